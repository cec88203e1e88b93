"""Any curve as a few exponentials, so that what is left of a history is kept up to date in constant work per event.

R(age) ≈ Σ_k w_k·e^(−λ_k·age): each term is a state that decays by a factor as time passes and to which an event adds 1,
and the sum of the states, weighted, is the sum of R over all events, however old. Completely monotone curves are such
mixtures with positive weights (Bernstein 1929), and for them a dozen states come within 2e-4 over ten years; for others
the weights have signs, the fit is coarser (0.05 for `linear`, whose end is sharp), and the result may lie a little
outside [0, 1]. How far it is off is part of it: `error`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares, nnls

from trainers.forgetting.base import MOST, Age, Floats, Forgetting, check_factor, checked_share, stays_below
from trainers.forgetting.parameters import namespace

AGES = {"time": (1 / 1440, 3652.5), "moments": (1.0, 1000.0)}
"""The ages that matter, besides 0: a minute to ten years, the next moment to the thousandth."""

FITTED, CHECKED, RATES, STEPS = 400, 8000, 100, 200
RIDGE = 1e-9
"""Keeps weights of different signs from growing against each other; times the sum of squares of the weights."""
LEAST_RIDGE = 1e-12
"""The same for positive weights, which cannot: it only keeps near rates apart, over which the solver would cycle."""


class Compiled(Forgetting):
    """R(days, moments) = Σ_k weights_k · exp(−days_k·days − moments_k·moments), the compiled form of a curve.

    Attributes:
        day_rates, moment_rates: [K] per day and per later moment; zeros for the clock that the curve does not read.
        weights: [K], of any sign.
        error: the largest |R_compiled − R| at age 0 and at the ages from `ages[0]` to `ages[1]` (of each factor, where
            there are two).
        ages: by clock, the ages that it was fitted to.
    """

    family = "compiled"

    def __init__(
        self,
        clock: str,
        day_rates: Floats,
        moment_rates: Floats,
        weights: Floats,
        error: float,
        ages: Mapping[str, tuple[float, float]],
    ) -> None:
        self.clock, self.error, self.ages, self.values = clock, error, dict(ages), {}
        self.day_rates, self.moment_rates, self.weights = day_rates, moment_rates, weights
        self.monotone = self.completely_monotone = bool((weights >= 0).all())

    @property
    def rates(self) -> Floats:
        """[K] per unit of the clock; of a product, per day."""
        return self.moment_rates if self.clock == "moments" else self.day_rates

    @property
    def states(self) -> int:
        return len(self.weights)

    def decay(self, days: float, moments: float) -> Floats:
        """[K] what each state is multiplied by when so much passes on each clock."""
        return np.exp(-(self.day_rates * days + self.moment_rates * moments))

    def retention(self, days: Age, moments: Age) -> Age:
        # One state at a time: all at once would take K times the memory of the history.
        exp = namespace(days).exp
        terms = zip(self.day_rates.tolist(), self.moment_rates.tolist(), self.weights.tolist(), strict=True)
        return cast(Age, sum(w * exp(-(d * days + m * moments)) for d, m, w in terms))

    def at(self, age: Age) -> Age:
        nothing = age * 0
        return self.retention(nothing, age) if self.clock == "moments" else self.retention(age, nothing)

    def curve(self, age: Any, values: Mapping[str, Any]) -> Any:
        """−log of what `at` gives; signs of weights may take that to 0, where g is cut."""
        xp = namespace(age)
        return -xp.log(xp.clip(self.at(age), np.exp(-MOST), None))

    def lost(self, days: Any, moments: Any, values: Mapping[str, Any] | None = None) -> Any:
        xp = namespace(days)
        return -xp.log(xp.clip(self.retention(days, moments), np.exp(-MOST), None))

    @property
    def starts_at(self) -> float:
        return float(self.weights.sum())

    def age_at(self, share: float) -> float:
        """Infinite where it is not among the ages that it was fitted to."""
        low, high = self.ages["moments" if self.clock == "moments" else "time"]
        return stays_below(self.at, checked_share(share), np.geomspace(low * 1e-6, high, 20_001))

    def exponentials(self) -> tuple[Floats, Floats] | None:
        return None if self.clock == "both" else (self.rates, self.weights)

    def with_values(self, values: Mapping[str, Any]) -> Self:
        return self

    def stretched(self, factor: float) -> Self:
        check_factor(factor)
        ages = {clock: (low * factor, high * factor) for clock, (low, high) in self.ages.items()}
        rates = self.day_rates / factor, self.moment_rates / factor
        return type(self)(self.clock, *rates, self.weights, self.error, ages)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for a file; `Compiled.from_dict` reads them. It is not a configuration."""
        return {
            "family": self.family,
            "clock": self.clock,
            "day_rates": self.day_rates.tolist(),
            "moment_rates": self.moment_rates.tolist(),
            "weights": self.weights.tolist(),
            "error": self.error,
            "ages": {clock: list(ends) for clock, ends in self.ages.items()},
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        arrays = (
            np.asarray(plain[name], dtype=np.float64) for name in ("day_rates", "moment_rates", "weights")
        )
        ages = {clock: (float(low), float(high)) for clock, (low, high) in plain["ages"].items()}
        day_rates, moment_rates, weights = arrays
        return cls(plain["clock"], day_rates, moment_rates, weights, float(plain["error"]), ages)

    def __repr__(self) -> str:
        return f"Compiled(clock={self.clock!r}, states={self.states}, error={self.error:.2g})"

    def __hash__(self) -> int:
        return hash(
            (self.clock, self.day_rates.tobytes(), self.moment_rates.tobytes(), self.weights.tobytes())
        )


def compile(
    curve: Forgetting,
    states: int = 12,
    ages: tuple[float, float] | Mapping[str, tuple[float, float]] | None = None,
) -> Compiled:
    """`curve` as at most `states` exponentials, near it at age 0 and from `ages[0]` to `ages[1]`.

    Args:
        curve: any forgetting function; one on both clocks takes up to `states` for each clock, and all their products.
        states: at most how many.
        ages: in the unit of the clock, or by clock; `AGES` where it is left out.
    """
    if states < 1:
        raise ValueError(f"`states >= 1` must hold, but got {states}.")
    given = (
        ages
        if isinstance(ages, Mapping)
        else {}
        if ages is None
        else {one.clock: ages for one in curve.factors}
    )
    spans = {one.clock: given.get(one.clock, AGES[one.clock]) for one in curve.factors}
    for low, high in spans.values():
        if not 0 < low < high:
            raise ValueError(f"`0 < low < high` must hold for `ages`, but got ({low:g}, {high:g}).")
    return reduce(_outer, (_compile_one(one, states, *spans[one.clock]) for one in curve.factors))


def _compile_one(curve: Forgetting, states: int, low: float, high: float) -> Compiled:
    exact = curve.exponentials()
    rates, weights = exact if exact and len(exact[0]) <= states else _fitted(curve, states, low, high)
    clocks = (rates, 0 * rates) if curve.clock == "time" else (0 * rates, rates)
    found = Compiled(curve.clock, *clocks, weights, 0.0, {curve.clock: (low, high)})
    found.error = _largest(lambda age: found.at(age) - curve.at(age), low, high, curve.turns)
    return found


def _outer(one: Compiled, other: Compiled) -> Compiled:
    """The product: each state of the one with each of the other.

    |R₁R₂ − C₁C₂| ≤ |R₁ − C₁|·|C₂| + |R₂ − C₂|·R₁, with R ≤ 1 and |C₂| ≤ 1 + error₂."""
    day_rates, moment_rates = (
        np.add.outer(first, second).reshape(-1)
        for first, second in ((one.day_rates, other.day_rates), (one.moment_rates, other.moment_rates))
    )
    weights = np.multiply.outer(one.weights, other.weights).reshape(-1)
    error = one.error * (1 + other.error) + other.error
    return Compiled("both", day_rates, moment_rates, weights, error, one.ages | other.ages)


def _largest(difference: Callable[[Floats], Floats], low: float, high: float, turns: Floats) -> float:
    """The largest |difference| over age 0 and [low, high]: on a grid twenty times as fine as the fitted one and where
    the curve `turns`, and what it may bend between two ages of a grid, by the differences of second order."""
    found = float(np.abs(difference(np.zeros(1)))[0])
    for ages in (np.geomspace(low, high, CHECKED), turns[(low <= turns) & (turns <= high)]):
        off = difference(ages)
        # A kink bends by all of the second difference at once, and may lie across two steps.
        between = 2 * float(np.abs(np.diff(off, 2)).max(initial=0.0))
        found = max(found, float(np.abs(off).max(initial=0.0)) + between)
    return found + 4 * float(np.finfo(np.float64).eps)


# The fit


@dataclass(frozen=True)
class _Target:
    """What is fitted: R at age 0 and at ages log-spaced over those that matter."""

    ages: Floats
    kept: Floats
    positive: bool

    def basis(self, log_rates: Floats) -> Floats:
        return np.asarray(np.exp(-np.outer(self.ages, np.exp(log_rates))))

    def weights(self, log_rates: Floats) -> Floats:
        """The best weights for these rates."""
        ridge = np.sqrt(LEAST_RIDGE if self.positive else RIDGE)
        rows = np.vstack((self.basis(log_rates), ridge * np.eye(len(log_rates))))
        wanted = np.concatenate((self.kept, 0 * log_rates))
        if self.positive:
            return np.asarray(nnls(rows, wanted, maxiter=100 * len(log_rates))[0])
        return np.asarray(np.linalg.lstsq(rows, wanted, rcond=None)[0])

    def off(self, log_rates: Floats, weights: Floats) -> float:
        return float(np.abs(self.basis(log_rates) @ weights - self.kept).max())


def _fitted(curve: Forgetting, states: int, low: float, high: float) -> tuple[Floats, Floats]:
    # Age 0, that of the latest moment, is one age in many histories: it counts as a tenth of all.
    ages = np.concatenate((np.zeros(FITTED // 10), np.geomspace(low, high, FITTED)))
    target = _Target(ages, curve.at(ages), curve.completely_monotone)
    found = []
    while states:  # half as many may be nearer: more of them find more ways to stop early
        starts = _spread(target, states)
        if target.positive:
            starts.append(_merged(target, states, low, high))
        found += [_refined(target, log_rates) for log_rates in starts]
        states //= 2
    log_rates, weights = min(found, key=lambda pair: target.off(*pair))
    log_rates, weights = log_rates[weights != 0], weights[weights != 0]
    order = np.argsort(log_rates)
    return np.exp(log_rates[order]), weights[order]


def _merged(target: _Target, states: int, low: float, high: float) -> Floats:
    """Where the rates of the best positive mixture lie: that of a fine grid of rates has few that are not zero, and
    neighbours among them, the cheapest first, become one."""
    grid = np.log(np.geomspace(1e-3 / high, 20 / low, RATES))
    weights = target.weights(grid)
    log_rates, weights = grid[weights > 0], weights[weights > 0]
    while len(log_rates) > states:
        pair = weights[:-1] * weights[1:] / (weights[:-1] + weights[1:]) * np.diff(log_rates) ** 2
        k = int(np.argmin(pair))
        total = weights[k] + weights[k + 1]
        middle = (weights[k] * log_rates[k] + weights[k + 1] * log_rates[k + 1]) / total
        log_rates = np.concatenate((log_rates[:k], [middle], log_rates[k + 2 :]))
        weights = np.concatenate((weights[:k], [total], weights[k + 2 :]))
    return np.asarray(log_rates)


def _spread(target: _Target, states: int) -> list[Floats]:
    """Rates spread over the ages at which the curve moves, narrowly and widely."""
    moves = np.abs(np.diff(target.kept)) > 1e-4 * np.abs(np.diff(target.kept)).max()
    begin, end = target.ages[1:][moves][[0, -1]] if moves.any() else target.ages[[-FITTED, -1]]
    spans = ((0.3 / end, 30 / end), (0.1 / end, 3 / begin), (0.01 / end, 10 / end))
    return [np.log(np.geomspace(least, max(most, 3 * least), states)) for least, most in spans]


def _refined(target: _Target, log_rates: Floats) -> tuple[Floats, Floats]:
    """Rates and weights moved together to the least squares, from the best weights of these rates."""
    weights = target.weights(log_rates)
    count, ridge = len(log_rates), 0.0 if target.positive else np.sqrt(RIDGE)
    read, chain = (np.exp, np.exp) if target.positive else (np.array, np.ones_like)

    def residuals(point: Floats) -> Floats:
        found = read(point[count:])
        off = target.basis(point[:count]) @ found - target.kept
        return np.concatenate((off, ridge * found))

    def jacobian(point: Floats) -> Floats:
        basis, found = target.basis(point[:count]), read(point[count:])
        by_rate = -np.outer(target.ages, np.exp(point[:count])) * basis * found
        by_weight = basis * chain(point[count:])
        penalty = np.hstack((np.zeros((count, count)), ridge * np.diag(chain(point[count:]))))
        return np.vstack((np.hstack((by_rate, by_weight)), penalty))

    # A state without weight would never get any: it begins with a little.
    start = np.concatenate((log_rates, np.log(np.maximum(weights, 1e-3)) if target.positive else weights))
    reach = (-30.0, 2.0) if target.positive else (-1e6, 1e6)
    slow, quick = math.log(1e-4 / target.ages[-1]), math.log(100 / target.ages[-FITTED])
    least, most = (np.repeat(ends, count) for ends in ((slow, reach[0]), (quick, reach[1])))
    end = least_squares(
        residuals,
        np.clip(start, least, most),
        jacobian,
        bounds=(least, most),
        x_scale="jac",
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
        max_nfev=STEPS,
    ).x
    pairs = [
        (log_rates, weights),
        (end[:count], target.weights(end[:count])),
        (end[:count], read(end[count:])),
    ]
    return min(pairs, key=lambda pair: target.off(*pair))


# States


class ItemStates:
    """What is left of one user's events by item, Σ R(age)·w: K numbers for each item that the user has had, as of its
    latest event, so that an event is constant work whatever the history.

    >>> from trainers.forgetting import FAMILIES
    >>> states = ItemStates(compile(FAMILIES["exponential"](half_life=7.0)))
    >>> states.add(5, 2.0, at=0.0, moment=0)
    >>> states.add(5, 1.0, at=7.0, moment=1)
    >>> columns, left = states.read(at=7.0, moment=1)
    >>> columns.tolist(), left.round(12).tolist()
    ([5], [2.0])
    """

    FIRST = 4  # items that there is room for at first; it doubles

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self._slots: dict[int, int] = {}
        self._allot(self.FIRST)

    def _allot(self, room: int) -> None:
        self._columns = np.zeros(room, np.int32)
        self._at = np.zeros(room)
        self._moments = np.zeros(room, np.int64)
        self._amounts = np.zeros((room, self.compiled.states))

    def add(self, column: int, weight: float, at: float, moment: int) -> None:
        """An event of an item at `at` (days), in the user's moment of that number; in the order of time."""
        slot = self._slots.get(column)
        if slot is None:
            slot = self._new(column)
        else:
            passed = float(moment - self._moments[slot])
            self._amounts[slot] *= self.compiled.decay(at - self._at[slot], passed)
        self._amounts[slot] += weight
        self._at[slot], self._moments[slot] = at, moment

    def _new(self, column: int) -> int:
        slot = len(self._slots)
        if slot == len(self._columns):
            held = self.arrays()
            self._allot(2 * slot)
            self._take(held)
        self._slots[column], self._columns[slot] = slot, column
        return slot

    def read(self, at: float, moment: int) -> tuple[npt.NDArray[np.int32], Floats]:
        """The items [S] that the user has had, and what is left of each [S]."""
        count, compiled = len(self._slots), self.compiled
        days, moments = at - self._at[:count], moment - self._moments[:count]
        lost = np.outer(days, compiled.day_rates) + np.outer(moments, compiled.moment_rates)
        left: Floats = (self._amounts[:count] * np.exp(-lost)) @ compiled.weights
        return self._columns[:count], left

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of it, by name."""
        count = len(self._slots)
        return {
            "columns": self._columns[:count].copy(),
            "at": self._at[:count].copy(),
            "moments": self._moments[:count].copy(),
            "amounts": self._amounts[:count].copy(),
        }

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take back what `arrays` gave."""
        count = len(arrays["columns"])
        self._allot(max(count, self.FIRST))
        self._take(arrays)
        self._slots = {column: slot for slot, column in enumerate(self._columns[:count].tolist())}

    def _take(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        count = len(arrays["columns"])
        self._columns[:count] = arrays["columns"]
        self._at[:count] = arrays["at"]
        self._moments[:count] = arrays["moments"]
        self._amounts[:count] = arrays["amounts"]

    @property
    def nbytes(self) -> int:
        held = (self._columns, self._at, self._moments, self._amounts)
        return sum(array.nbytes for array in held) + sys.getsizeof(self._slots)
