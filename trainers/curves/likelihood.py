"""Forgetting curves by likelihood: fitted to choices, with intervals, and judged on choices held out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy.optimize import minimize

from trainers.curves.choices import Choices, Floats, Ints
from trainers.forgetting import Forgetting, ForgettingSettings, build
from trainers.forgetting.base import MOST
from trainers.forgetting.parameters import Parameter

STARTS = {"time": (0.01, 0.1, 0.5, 2.0, 7.0, 21.0, 60.0, 365.0), "moments": (0.5, 2.0, 6.0, 20.0, 100.0)}
"""Half-lives that a fit begins from, by clock: the likelihood of a curve is not concave."""
BEGUN = 2  # of the starts, those that are followed to the end
REFERENCE = {"time": 30.0, "moments": 5.0}
PRIOR = 8.0
"""Standard deviation, in logarithms, of the weak normal prior on each free number, around the curve with a half-life
of 30 days or 5 moments (and even shares). Worth less than one event, it keeps what the data say nothing of finite."""
RESOLUTION = 1e-3
"""Ages are read to 0.05 %: a curve is then evaluated at a few thousand ages, not at every event."""
STEP = 1e-5  # of central differences, in free numbers
SIDE, WIDE = 1e-3, 0.3
"""Of the differences of gradients that the curvature is taken from. A curve that ends has a kink of the likelihood at
each age: what is between two of them, 0.05 % apart, says nothing of how it bends. Such an end is no regular
parameter either, and its interval an approximation: in 30 simulated logs `WIDE` held the truth in all, 0.1 in 26."""
AGE = (math.log(1e-7), math.log(1e6))
BOUNDS = {
    "positive": (-5.0, 5.0),
    "share": (-12.0, 12.0),
    "rate": (-16.0, 4.0),
    "positives": AGE,
    "shares": (-10.0, 10.0),
    "slopes": (-16.0, 8.0),
}


@dataclass(frozen=True)
class Ages:
    """The different ages of E events, each read to 0.05 %, and which one each event has."""

    days: Floats
    moments: Floats
    place: Ints

    @classmethod
    def of(cls, days: Floats, moments: Floats, clock: str) -> Ages:
        day, moment = np.zeros(len(days), np.int64), np.zeros(len(days), np.int64)
        if clock != "moments":
            day = np.round(np.log(np.maximum(days, 1e-9)) / RESOLUTION).astype(np.int64)
        if clock != "time":
            moment = moments.astype(np.int64)
        least, wide = day.min(), int(moment.max()) + 1
        keys, place = np.unique((day - least) * wide + moment, return_inverse=True)
        tens, ones = np.divmod(keys, wide)
        return cls(np.exp((tens + least) * RESOLUTION), ones.astype(np.float64), place)


class Weighing:
    """What a curve makes of choices: the weight of each event, P of each target, and their derivatives."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.starts = choices.offsets[:-1]
        self.of = choices.moment_of_event
        self.latest = choices.days == np.minimum.reduceat(choices.days, self.starts)[self.of]
        self.sources = list(choices.sources.values())
        self.turned = [source.T.tocsr() for source in self.sources]
        self.mass = None if (choices.mass == 1).all() else choices.mass

    def weights(self, lost: Floats) -> Floats:
        """[E] w = R / Σ R within each moment, from g [E].

        Where nothing is left of any event, as beyond the horizon of `linear`, the latest ones stand for all, as they
        did just before they were gone too.
        """
        least = np.minimum.reduceat(lost, self.starts)
        gone = np.isclose(least, MOST, rtol=1e-12, atol=0.0)
        if gone.any():
            lost = np.where(gone[self.of] & ~self.latest, 2 * MOST, lost)
        # What is nearest keeps 1, however far it is.
        kept = np.exp(-np.minimum(lost - least[self.of], MOST))
        kept = kept if self.mass is None else kept * self.mass
        weights: Floats = kept / np.add.reduceat(kept, self.starts)[self.of]
        return weights

    def parts(self, weights: Floats) -> Floats:
        """[T, 1 + S] the probability of each target under each reason alone."""
        found: Floats = np.column_stack(
            [self.choices.popular, *(source @ weights for source in self.sources)]
        )
        return found

    def slopes(self, weights: Floats, shares: Floats, chance: Floats) -> Floats:
        """[E] ∂ Σ_t log P_t / ∂ g_e = −w_e·(s_e − Σ_f w_f s_f), s_e = Σ_t Σ_s λ_s S_s[t, e] / P_t."""
        upward = np.zeros(len(weights))
        for share, turned in zip(shares[1:], self.turned, strict=True):
            upward += share * (turned @ (1.0 / chance))
        mean = np.add.reduceat(weights * upward, self.starts)
        return -weights * (upward - mean[self.of])


@dataclass(frozen=True)
class Free:
    """The learned parameters of a curve as one vector of unbounded numbers.

    Attributes:
        curve: with the values that are not learned.
        learned: the parameters.
        shapes: of their values.
        centre: the vector of the reference curve, around which the prior lies.
        stretchable: whether all ages are learned, so that a start may be at any half-life.
    """

    curve: Forgetting
    learned: tuple[Parameter, ...]
    shapes: tuple[tuple[int, ...], ...]
    centre: Floats
    stretchable: bool

    @classmethod
    def of(cls, settings: ForgettingSettings) -> Free:
        curve = build(settings)
        names = settings.learned if settings.learn else tuple(each.name for each in curve.learnable)
        learned = tuple(each for each in curve.parameters if each.name in names)
        stretchable = bool(learned) and all(
            each.name in names for each in curve.parameters if each.power or each.kind == "rate"
        )
        shapes = tuple(np.shape(curve.values[each.name]) for each in learned)
        free = cls(curve, learned, shapes, np.zeros(0), stretchable)
        centre = _at(curve, REFERENCE) if stretchable else curve
        return cls(curve, learned, shapes, free.vector(centre), stretchable)

    def vector(self, curve: Forgetting) -> Floats:
        """[P] the free numbers of another curve of the kind, within their bounds."""
        parts = [np.reshape(each.to_free(curve.values[each.name]), -1) for each in self.learned]
        free = np.concatenate([*parts, np.zeros(0)])
        low, high = np.array(self.bounds).reshape(-1, 2).T
        bounded: Floats = np.clip(free, low, high)
        return bounded

    def values(self, free: Floats) -> dict[str, Any]:
        found, at = {}, 0
        for each, shape in zip(self.learned, self.shapes, strict=True):
            size = int(np.prod(shape, dtype=int))
            found[each.name] = each.from_free(free[at : at + size].reshape(shape))
            at += size
        return found

    def forgetting(self, free: Floats) -> Forgetting:
        return self.curve.with_values(self.values(free)) if self.learned else self.curve

    @property
    def bounds(self) -> list[tuple[float, float]]:
        bounds = []
        for each, shape in zip(self.learned, self.shapes, strict=True):
            of_age = each.kind == "positive" and each.power
            sides = (AGE if each.power > 0 else (-AGE[1], -AGE[0])) if of_age else BOUNDS[each.kind]
            bounds += [sides] * int(np.prod(shape, dtype=int))
        return bounds

    def starts(self) -> list[Floats]:
        """Vectors to begin from: the curve as it was given, and at each half-life of the grid."""
        given = [self.vector(self.curve)]
        if not self.stretchable:
            return given
        places: list[dict[str, float]] = [{}]
        for factor in self.curve.factors:
            places = [at | {factor.clock: h} for at in places for h in STARTS[factor.clock]]
        return given + [self.vector(_at(self.curve, at)) for at in places]


def _at(curve: Forgetting, half_lives: dict[str, float]) -> Forgetting:
    """The curve stretched to a half-life by clock; by as much from a unit of one where it has none."""
    stretched = []
    for factor in curve.factors:
        half_life = factor.half_life
        unit = half_life if math.isfinite(half_life) and half_life > 0 else 1.0
        stretched.append(factor.stretched(half_lives[factor.clock] / unit))
    return stretched[0] if len(stretched) == 1 else type(curve)(*stretched)


@dataclass(frozen=True)
class CurveFit:
    """A curve fitted to choices.

    Attributes:
        forgetting: the curve.
        shares: by reason (`popular`, `own`, `related`), λ.
        log_likelihood: float64 [T] log P of every target that it was fitted on, nats.
        free: the vector of its learned parameters, in `space`.
        covariance: [P, P] of `free`, the shares' uncertainty included: the sandwich B⁻¹ M B⁻¹ with B the curvature of
            log-likelihood and prior, M = Σ_u s_u s_uᵀ over users, whose choices are not independent of each other.
    """

    forgetting: Forgetting
    shares: dict[str, float]
    log_likelihood: Floats
    free: Floats
    covariance: Floats
    space: Free = field(repr=False)

    @property
    def parameters(self) -> int:
        """How many numbers the curve was free to choose; shares that sum to one are one fewer."""
        bound = sum(1 for each in self.space.learned if each.kind == "shares")
        return len(self.free) - bound

    @property
    def half_life(self) -> float:
        """The age from which less than half of what a new event has is left."""
        return self.forgetting.halved

    @cached_property
    def spread(self) -> float:
        """The standard error of log half-life by the delta method; infinite where there is no half-life nearby."""
        return self._spread(lambda curve: curve.halved)

    def half_life_interval(self, level: float = 0.95) -> tuple[float, float]:
        """The half-life's interval, symmetric in its logarithm; (0, ∞) where the data cannot say."""
        return around(self.half_life, self.spread, level)

    def moments_half_life_interval(self, level: float = 0.95) -> tuple[float, float]:
        """The same of the factor of later moments, with `clock: both`."""
        last = self.forgetting.factors[-1]
        return around(last.halved, self._spread(lambda curve: curve.factors[-1].halved), level)

    def _spread(self, read: Callable[[Forgetting], float]) -> float:
        if not len(self.free):
            return math.inf
        gradient = np.zeros(len(self.free))
        for place in range(len(self.free)):
            ends = []
            for side in (1e-4, -1e-4):
                moved = self.free.copy()
                moved[place] += side
                ends.append(_log(read(self.space.forgetting(moved))))
            gradient[place] = (ends[0] - ends[1]) / 2e-4 if all(map(math.isfinite, ends)) else math.inf
        if not np.isfinite(gradient).all():
            return math.inf
        return math.sqrt(max(float(gradient @ self.covariance @ gradient), 0.0))


def _log(value: float) -> float:
    return math.log(value) if 0 < value < math.inf else math.inf


def around(value: float, spread: float, level: float) -> tuple[float, float]:
    """value·e^(±z·spread)."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    if not (0 < value < math.inf) or z * spread > 300:
        return 0.0, math.inf
    return value * math.exp(-z * spread), value * math.exp(z * spread)


def fit(choices: Choices, settings: ForgettingSettings) -> CurveFit:
    """The curve of this family that makes the choices most likely, with its shares λ.

    What is learned is `settings.learn`, or all that can be where it is not set. The log-likelihood is maximised by
    L-BFGS from the best of a grid of half-lives (where all ages are learned) and from the values given."""
    problem = Problem(choices, Free.of(settings))
    starts = [(problem.begun(free), free) for free in problem.space.starts()]
    starts.sort(key=lambda start: -start[0][0])
    best = None
    for (_, logits), free in starts[: BEGUN if len(problem.space.centre) else 1]:
        found = minimize(
            problem.loss,
            np.concatenate((free, logits)),
            jac=True,
            method="L-BFGS-B",
            bounds=problem.bounds,
            options={"maxiter": 200, "ftol": 1e-9, "gtol": 1e-6},
        )
        if best is None or found.fun < best.fun:
            best = found
    assert best is not None
    return problem.fitted(best.x)


class Problem:
    """The fit of one curve: the vector is that of the curve, then the logits of the shares, the first of which is 0."""

    def __init__(self, choices: Choices, space: Free) -> None:
        self.choices, self.space = choices, space
        self.weighing = Weighing(choices)
        self.ages = Ages.of(choices.days, choices.moments, space.curve.clock)
        self.curved = len(space.centre)
        self.centre = np.concatenate((space.centre, np.zeros(len(choices.sources))))
        self.bounds = [*space.bounds, *[(-12.0, 12.0)] * len(choices.sources)]

    def lost(self, free: Floats) -> Floats:
        """[A] g at each different age."""
        values = self.space.values(free)
        return np.asarray(self.space.curve.lost(self.ages.days, self.ages.moments, values), np.float64)

    def by_parameter(self, free: Floats) -> Floats:
        """[P, A] ∂g / ∂free at each different age, by central differences."""
        rows = [
            (self.lost(free + STEP * unit) - self.lost(free - STEP * unit)) / (2 * STEP)
            for unit in np.eye(self.curved)
        ]
        return np.array(rows).reshape(self.curved, len(self.ages.days))

    def begun(self, free: Floats) -> tuple[float, Floats]:
        """The mean log-likelihood at a curve with its best shares, and their logits, by a few steps of EM."""
        parts = self.weighing.parts(self.weighing.weights(self.lost(free)[self.ages.place]))
        shares = np.full(parts.shape[1], 1 / parts.shape[1])
        for _ in range(20):
            owed = parts * shares
            shares = np.maximum((owed / owed.sum(1, keepdims=True)).mean(0), 1e-4)
            shares /= shares.sum()
        return float(np.log(parts @ shares).mean()), np.log(shares[1:] / shares[0])

    def loss(self, vector: Floats) -> tuple[float, Floats]:
        """−(log-likelihood + log prior) a target, and its gradient."""
        free, logits = vector[: self.curved], vector[self.curved :]
        weights = self.weighing.weights(self.lost(free)[self.ages.place])
        parts, shares = self.weighing.parts(weights), _softmax(logits)
        chance = parts @ shares
        slopes = self.weighing.slopes(weights, shares, chance)
        by_age = np.bincount(self.ages.place, slopes, minlength=len(self.ages.days))
        upward = self.by_parameter(free) @ by_age if self.curved else np.zeros(0)
        by_logit = shares[1:] * (parts[:, 1:] / chance[:, None] - 1.0).sum(0)
        apart = vector - self.centre
        total = np.log(chance).sum() - 0.5 * (apart**2).sum() / PRIOR**2
        gradient = np.concatenate((upward, by_logit)) - apart / PRIOR**2
        return -float(total) / len(chance), -gradient / len(chance)

    def scores(self, vector: Floats) -> Floats:
        """[U, P + S] the gradient of each user's log-likelihood."""
        free, logits = vector[: self.curved], vector[self.curved :]
        weights = self.weighing.weights(self.lost(free)[self.ages.place])
        parts, shares = self.weighing.parts(weights), _softmax(logits)
        chance = parts @ shares
        slopes = self.weighing.slopes(weights, shares, chance)
        _, number = np.unique(self.choices.user, return_inverse=True)
        who = number[self.weighing.of]
        columns = [np.bincount(who, slopes * row[self.ages.place]) for row in self.by_parameter(free)]
        whose = number[self.choices.moment]
        for place, share in enumerate(shares[1:], 1):
            columns.append(
                np.bincount(
                    whose,
                    share * (parts[:, place] / chance - 1.0),
                    minlength=len(columns[0]) if columns else int(number.max()) + 1,
                )
            )
        return np.column_stack(columns)

    def fitted(self, vector: Floats) -> CurveFit:
        free = vector[: self.curved]
        shares = _softmax(vector[self.curved :])
        parts = self.weighing.parts(self.weighing.weights(self.lost(free)[self.ages.place]))
        named = dict(zip(self.choices.names, shares.tolist(), strict=True))
        return CurveFit(
            self.space.forgetting(free),
            named,
            np.log(parts @ shares),
            free,
            self._covariance(vector),
            self.space,
        )

    def _covariance(self, vector: Floats) -> Floats:
        """[P, P] by the sandwich; where the optimum lies on a bound, curvature is made no less than the prior's."""
        if not self.curved:
            return np.zeros((0, 0))
        side = SIDE if self.space.curve.smooth else WIDE
        rows = [
            (self.loss(vector + side * unit)[1] - self.loss(vector - side * unit)[1]) / (2 * side)
            for unit in np.eye(len(vector))
        ]
        bread = np.array(rows) * len(self.choices)
        sizes, axes = np.linalg.eigh((bread + bread.T) / 2)
        inverse = (axes / np.maximum(sizes, 1 / PRIOR**2)) @ axes.T
        scores = self.scores(vector)
        users = len(scores)
        meat = scores.T @ scores * (users / max(users - 1, 1)) + np.eye(len(vector)) / PRIOR**2
        found: Floats = (inverse @ meat @ inverse)[: self.curved, : self.curved]
        return found


def log_likelihood(choices: Choices, found: CurveFit) -> Floats:
    """[T] log P of each target under a fitted curve and its shares, nats; of choices that it was not fitted on.

    Raises:
        ValueError: the choices have other reasons than the fit.
    """
    if choices.names != tuple(found.shares):
        raise ValueError(
            f"the choices must have the reasons of the fit ({', '.join(found.shares)}), but have "
            f"({', '.join(choices.names)})."
        )
    weighing = Weighing(choices)
    lost = np.asarray(found.forgetting.lost(choices.days, choices.moments), np.float64)
    chance = weighing.parts(weighing.weights(lost)) @ np.array(list(found.shares.values()))
    known: Floats = np.log(chance)
    return known


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(np.concatenate(([0.0], logits)) - max(0.0, float(logits.max(initial=0.0))))
    shares: Floats = raised / raised.sum()
    return shares
