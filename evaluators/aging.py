"""How fast a model goes stale: the trend of a metric with the age of the model that answers."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from evaluators.arrays import Floats, Ints
from evaluators.intervals import Estimate, check_resampling, per_user


def trend(
    values: NDArray[np.floating],
    ages: NDArray[np.floating],
    users: NDArray[np.integer],
    queries: NDArray[np.integer] | None = None,
    level: float = 0.95,
) -> Estimate:
    """The least-squares slope of a metric on the model's age, with an interval that knows users to be alike.

    values [A]: the metric of each answer; ages [A]: of the model that gave it, in any unit of time; users [A]: whose
    query it was; queries [A]: which query, where several models answered the same ones; -> metric per unit of time.

    With `queries`, slope = Σ x̃·y / Σ x̃², where x̃ is the age less the mean age of the answers to the same query: only
    answers to one query are compared with one another, so that neither the season nor the length of the histories
    enters (the within, or fixed-effects, estimator). Without, x̃ is the age less the mean of all, and what changed in
    the world meanwhile counts as age. Interval: ± t · se with U - 1 degrees of freedom, where se is robust to clusters
    of users (Liang & Zeger 1986; Cameron & Miller 2015, "A practitioner's guide to cluster-robust inference").

    Raises ValueError on shapes that disagree, fewer than 2 users, and ages that do not differ.

    >>> users = np.array([0, 0, 1, 1])
    >>> found = trend(np.array([0.9, 0.8, 0.4, 0.2]), np.array([0.0, 1.0, 0.0, 1.0]), users, queries=users)
    >>> round(found.mean, 6)
    -0.15
    """
    check_resampling(level, 1)
    y, x = np.asarray(values, np.float64), np.asarray(ages, np.float64)
    if y.ndim != 1 or not y.shape == x.shape == np.shape(users) or not len(y):
        raise ValueError(
            f"`values.shape == ages.shape == users.shape == (A,)` with A >= 1 must hold, but got "
            f"({y.shape}, {x.shape}, {np.shape(users)}); pass one of each an answer."
        )
    groups = np.zeros(len(y), np.int64) if queries is None else np.unique(queries, return_inverse=True)[1]
    x, y = _within(x, groups), _within(y, groups)
    spread = float((x**2).sum())
    if spread <= 0:
        raise ValueError(
            "`ages` must differ" + (" within a query" if queries is not None else "") + "; take more periods."
        )
    slope = float((x * y).sum()) / spread
    score, _ = per_user(x * (y - slope * x), users)
    used = int((per_user(x**2, users)[0] > 0).sum())
    if used < 2:
        raise ValueError(
            f"`users` must hold at least 2 users whose answers differ in age, but got {used}; add users."
        )
    error = np.sqrt(used / (used - 1) * float((score**2).sum())) / spread
    half = float(scipy.stats.t.ppf((1 + level) / 2, used - 1)) * error
    return Estimate(slope, slope - half, slope + half)


def _within(values: Floats, groups: Ints) -> Floats:
    """Values less the mean of their group."""
    means: Floats = np.bincount(groups, values) / np.bincount(groups)
    return values - means[groups]
