"""How much longer a common curve lasts for a group of events: event types, categories, users; by empirical Bayes.

Group g has R_g(age) = R(age·e^(−δ_g)), so its half-life is the common one times e^δ_g. The prior of δ is N(0, σ²), and
σ² is learned: a group with few events stays near the common curve, one with many goes its own way (Laplace's
approximation within EM: σ² ← mean(δ² + var); Morris 1983 on why that beats either extreme). The common curve is
stretched along until the mean of δ is 0: where groups differ much, a curve fitted to all of them alike is not the
typical one, it leans to the groups that fade slowly, whose old events count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.optimize import minimize

from trainers.curves.choices import Choices, Floats, Ints
from trainers.curves.likelihood import RESOLUTION, CurveFit, Weighing
from trainers.forgetting import Forgetting

MOST_GROUPS = 50
"""Of event types and categories, so many (those with the most events) have a stretch of their own. Users all have."""
FURTHEST = 5.0  # of a log stretch: a factor of 150
STEP = 1e-4
ROUNDS, STEPS = 8, 2000
"""Of quadratics that are taken of the likelihood, until σ moves by less than 2 %, and of EM on each of them."""
LEAST_SIGMA, MOST_SIGMA = 1e-3, 3.0
ALIKE = 0.05  # groups that differ by less have one curve
SIDE = 1e-2  # of differences of gradients


@dataclass(frozen=True)
class Stretches:
    """Log stretches of a common curve.

    Attributes:
        scope: whose curves they are.
        common: the curve of a group of which nothing is known; where it is not free to be stretched, as it was fitted.
        groups: int64 [G] the numbers of the groups that have one, ascending.
        events: int64 [G] their events among the choices.
        log_stretch: float64 [G] δ.
        spread: float64 [G] posterior standard deviation of δ, given the common curve as it was fitted.
        sigma: σ, how far groups differ in truth.
    """

    scope: str
    common: Forgetting
    groups: Ints
    events: Ints
    log_stretch: Floats
    spread: Floats
    sigma: float

    def factors(self, size: int) -> Floats:
        """[size] e^δ by group number; 1 for a group without."""
        found = np.ones(size)
        found[self.groups] = np.exp(self.log_stretch)
        return found

    def interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """[G] and [G]: the ends of each stretch e^δ."""
        reach = NormalDist().inv_cdf((1 + level) / 2) * self.spread
        return np.exp(self.log_stretch - reach), np.exp(self.log_stretch + reach)


def fit_groups(
    choices: Choices,
    common: CurveFit,
    scope: str,
    *,
    sigma: float | None = None,
    most: int = MOST_GROUPS,
    least: int = 1,
) -> Stretches:
    """The stretch of each group of a scope, given the common curve and its shares.

    Args:
        scope: `event_type`, `category`, `user`, or what else `choices.groups` has.
        sigma: fixes σ; learned where it is left out. A large one pools nothing, a small one everything.
        most: groups that have a stretch of their own, those with the most events; all users have.
        least: events that a group needs for that.
    """
    problem = _Problem(choices, common, scope, most, least)
    count = len(problem.groups)
    if not count or not len(common.free):
        zeros = np.zeros(count)
        return Stretches(scope, common.forgetting, problem.groups, problem.events, zeros, zeros, 0.0)
    stretch, known, middle = np.zeros(count), 0.5 if sigma is None else sigma, 0.0
    spread = np.full(count, known)
    for _ in range(ROUNDS):
        stretch = problem.best(stretch, middle, known)
        before, near = known, problem.near(stretch)
        middle, known = near.prior(middle, known, learn=sigma is None)
        stretch, spread = near.posterior(middle, known)
        if abs(known - before) < 0.02 * before:
            break
    if sigma is None and known < ALIKE:
        # The common curve as it was fitted: its own stretch is not for a split to decide that tells nothing apart.
        zeros = np.zeros(count)
        return Stretches(
            scope, common.forgetting, problem.groups, problem.events, zeros, zeros + known, known
        )
    if not common.space.stretchable:
        # An age that the configuration fixes stays as it is: what the groups have in common is in their own stretches.
        return Stretches(scope, common.forgetting, problem.groups, problem.events, stretch, spread, known)
    curve = common.forgetting.stretched(math.exp(middle))
    return Stretches(scope, curve, problem.groups, problem.events, stretch - middle, spread, known)


@dataclass(frozen=True)
class _Near:
    """The log-likelihood near some δ as a quadratic, by axes on which the groups are independent: for each, where it is
    highest times its curvature, and the curvature, which is high enough for that to lie within 1.

    Attributes:
        axes: [G, G], or None where the groups themselves are independent.
        pull, bend: [G].
    """

    axes: Floats | None
    pull: Floats
    bend: Floats

    def _on(self, vector: Floats) -> Floats:
        return vector if self.axes is None else self.axes.T @ vector

    def posterior(self, middle: float, sigma: float) -> tuple[Floats, Floats]:
        """[G] and [G]: mean and standard deviation of δ under the prior N(middle, σ²)."""
        width = 1.0 / (self.bend + 1 / sigma**2)
        mean = width * (self.pull + self._on(np.full(len(width), middle)) / sigma**2)
        if self.axes is None:
            return mean, np.sqrt(width)
        return self.axes @ mean, np.sqrt((self.axes**2) @ width)

    def prior(self, middle: float, sigma: float, *, learn: bool) -> tuple[float, float]:
        """The mean and σ of the prior, by EM, from these; `learn` σ too."""
        for _ in range(STEPS):
            mean, spread = self.posterior(middle, sigma)
            before = middle, sigma
            middle = float(mean.mean())
            if learn:
                apart = math.sqrt(float(np.mean((mean - middle) ** 2 + spread**2)))
                sigma = min(max(apart, LEAST_SIGMA), MOST_SIGMA)
            if max(abs(middle - before[0]), abs(sigma - before[1])) < 1e-4 * sigma:
                break
        return middle, sigma


class _Problem:
    """The likelihood as a function of δ [G] alone."""

    def __init__(self, choices: Choices, common: CurveFit, scope: str, most: int, least: int) -> None:
        self.weighing, self.curve = Weighing(choices), common.forgetting
        self.shares = np.array(list(common.shares.values()))
        self.apart = scope == "user"  # a history is one user's: the likelihood is a sum over groups
        numbers = choices.groups[scope]
        groups, events = np.unique(numbers[numbers >= 0], return_counts=True)
        groups, events = groups[events >= least], events[events >= least]
        if not self.apart and len(groups) > most:
            largest = np.sort(np.argsort(-events, kind="stable")[:most])
            groups, events = groups[largest], events[largest]
        self.groups, self.events = groups.astype(np.int64), events.astype(np.int64)
        place = np.minimum(np.searchsorted(groups, numbers), max(len(groups) - 1, 0))
        mine = np.full(len(numbers), -1) if not len(groups) else np.where(groups[place] == numbers, place, -1)
        # Cells: events of one group and of one age, to the precision that the common curve is fitted with.
        age = np.round(np.log(np.maximum(choices.days, 1e-9)) / RESOLUTION).astype(np.int64)
        keys = np.stack(
            (
                mine,
                age if self.curve.clock != "moments" else 0 * age,
                choices.moments.astype(np.int64) if self.curve.clock != "time" else 0 * age,
            )
        )
        _, first, self.cell = np.unique(keys, axis=1, return_index=True, return_inverse=True)
        self.cell = self.cell.reshape(-1)
        self.days, self.moments, self.group = choices.days[first], choices.moments[first], mine[first]
        self.grouped = self.group >= 0

    def _lost(self, stretch: Floats, shift: float = 0.0) -> Floats:
        factor = np.exp(-np.where(self.grouped, stretch[self.group] + shift, 0.0))
        return np.asarray(self.curve.lost(self.days * factor, self.moments * factor), np.float64)

    def gradient(self, stretch: Floats) -> tuple[float, Floats]:
        """The log-likelihood and its gradient [G]."""
        weights = self.weighing.weights(self._lost(stretch)[self.cell])
        chance = self.weighing.parts(weights) @ self.shares
        slopes = self.weighing.slopes(weights, self.shares, chance)
        by_cell = np.bincount(self.cell, slopes, minlength=len(self.days))
        moved = (self._lost(stretch, STEP) - self._lost(stretch, -STEP)) / (2 * STEP)
        rise = (by_cell * moved)[self.grouped]
        summed = np.bincount(self.group[self.grouped], rise, minlength=len(stretch)).astype(np.float64)
        return float(np.log(chance).sum()), summed

    def best(self, stretch: Floats, middle: float, sigma: float) -> Floats:
        """The δ of the highest posterior, from these."""
        if self.apart:
            for _ in range(8):
                upward = self.gradient(stretch)[1] - (stretch - middle) / sigma**2
                step = np.clip(upward / (self._bend(stretch) + 1 / sigma**2), -1.0, 1.0)
                stretch = np.clip(stretch + step, -FURTHEST, FURTHEST)
                if np.abs(step).max() < 1e-2:
                    break
            return stretch

        def loss(at: Floats) -> tuple[float, Floats]:
            value, gradient = self.gradient(at)
            apart = at - middle
            return -value + 0.5 * float(apart @ apart) / sigma**2, -gradient + apart / sigma**2

        bounds = [(-FURTHEST, FURTHEST)] * len(stretch)
        found: Floats = minimize(loss, stretch, jac=True, method="L-BFGS-B", bounds=bounds).x
        return found

    def near(self, stretch: Floats) -> _Near:
        gradient = self.gradient(stretch)[1]
        if self.apart:
            bend = np.maximum(self._bend(stretch), np.abs(gradient))
            return _Near(None, bend * stretch + gradient, bend)
        rows = [
            (self.gradient(stretch - SIDE * unit)[1] - self.gradient(stretch + SIDE * unit)[1]) / (2 * SIDE)
            for unit in np.eye(len(stretch))
        ]
        sizes, axes = np.linalg.eigh((np.array(rows) + np.array(rows).T) / 2)
        upward = axes.T @ gradient
        sizes = np.maximum(np.maximum(sizes, 0.0), np.abs(upward))
        return _Near(axes, sizes * (axes.T @ stretch) + upward, sizes)

    def _bend(self, stretch: Floats) -> Floats:
        """[G] the curvature of each group's own likelihood, where they are independent."""
        ends = [self.gradient(stretch + side)[1] for side in (-SIDE, SIDE)]
        bend: Floats = np.maximum((ends[0] - ends[1]) / (2 * SIDE), 0.0)
        return bend
