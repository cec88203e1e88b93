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

from trainers.choices import Choices, Floats, Ints
from trainers.forgetting import Forgetting
from trainers.likelihood import RESOLUTION, CurveFit, Weighing

MOST_GROUPS = 50
"""Of event types and categories, so many (those with the most events) have a stretch of their own. Users all have."""
FURTHEST = 5.0  # of a log stretch: a factor of 150
STEP = 1e-4
ROUNDS = 60  # of EM, which ends as soon as the mean and σ move by less than 0.5 % of σ


@dataclass(frozen=True)
class Stretches:
    """Log stretches of a common curve.

    Attributes:
        scope: whose curves they are.
        common: the curve of a group of which nothing is known.
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


def fit_groups(choices: Choices, common: CurveFit, scope: str, *, sigma: float | None = None) -> Stretches:
    """The stretch of each group of a scope, given the common curve and its shares.

    Args:
        scope: `event_type`, `category` or `user`.
        sigma: fixes σ; learned where it is left out. A large one pools nothing, a small one everything.
    """
    problem = _Problem(choices, common, scope)
    count = len(problem.groups)
    if not count or not len(common.free):
        zeros = np.zeros(count)
        return Stretches(scope, common.forgetting, problem.groups, problem.events, zeros, zeros, 0.0)
    stretch, known, middle = np.zeros(count), 0.5 if sigma is None else sigma, 0.0
    for _ in range(ROUNDS):
        stretch = problem.best(stretch, middle, known)
        variance = problem.variance(stretch, known)
        before = (middle, known)
        middle = float(stretch.mean())
        if sigma is None:
            known = math.sqrt(float(np.mean((stretch - middle) ** 2 + variance)))
        if max(abs(middle - before[0]), abs(known - before[1])) < 0.005 * before[1]:
            break
    curve = common.forgetting.stretched(math.exp(middle))
    return Stretches(scope, curve, problem.groups, problem.events, stretch - middle, np.sqrt(variance), known)


class _Problem:
    """The likelihood as a function of δ [G] alone."""

    def __init__(self, choices: Choices, common: CurveFit, scope: str) -> None:
        self.weighing, self.curve = Weighing(choices), common.forgetting
        self.shares = np.array(list(common.shares.values()))
        self.apart = scope == "user"  # a history is one user's: the likelihood is a sum over groups
        numbers = choices.groups[scope]
        groups, events = np.unique(numbers[numbers >= 0], return_counts=True)
        if not self.apart and len(groups) > MOST_GROUPS:
            largest = np.sort(np.argsort(-events, kind="stable")[:MOST_GROUPS])
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
                step = np.clip(upward * self.variance(stretch, sigma), -1.0, 1.0)
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

    def variance(self, stretch: Floats, sigma: float) -> Floats:
        """[G] of δ, from the curvature of the posterior, which is nowhere taken for less than the prior's."""
        side = 1e-2
        if self.apart:
            bend = (self.gradient(stretch - side)[1] - self.gradient(stretch + side)[1]) / (2 * side)
            alone: Floats = 1.0 / (np.maximum(bend, 0.0) + 1 / sigma**2)
            return alone
        rows = [
            (self.gradient(stretch - side * unit)[1] - self.gradient(stretch + side * unit)[1]) / (2 * side)
            for unit in np.eye(len(stretch))
        ]
        sizes, axes = np.linalg.eigh((np.array(rows) + np.array(rows).T) / 2)
        found: Floats = ((axes**2) / (np.maximum(sizes, 0.0) + 1 / sigma**2)).sum(1)
        return found
