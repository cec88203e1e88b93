"""Whether a difference is more than chance: paired tests in which the unit is the user, corrections for many of them,
and the smallest difference that the queries at hand can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from evaluators.arrays import Floats
from evaluators.intervals import Intervals, Method, chunks, interval, per_user, standard_error


@dataclass(frozen=True)
class Difference:
    """How far one model is ahead of another on the same queries: first minus second.

    >>> Difference(0.1, 0.05, 0.15, 0.01).to_dict()
    {'difference': 0.1, 'low': 0.05, 'high': 0.15, 'p': 0.01}
    """

    difference: float
    low: float
    high: float
    p: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def paired(
    a: NDArray[Any],
    b: NDArray[Any],
    users: NDArray[Any],
    level: float = 0.95,
    n: int = 1000,
    draws: int = 10_000,
    seed: int = 0,
    method: Method = "percentile",
) -> Difference:
    """The mean of a - b over queries, with the interval of `interval` and a two-sided p-value.

    a, b, users [Q]: the figures of two models on the same queries, in the same order.

    The p-value is a paired randomisation test (Smucker, Allan & Carterette 2007, "A comparison of statistical
    significance tests for information retrieval evaluation"): were the models alike, each user's difference
    could as well have had the other sign. All queries of a user flip together:  p = (1 + |{draws : |Σ_u ±d_u|
    >= |Σ_u d_u|}|) / (1 + draws), which is never 0 (Phipson & Smyth 2010).

    Raises ValueError on shapes that disagree, on no query, on a value that is not finite, and on fewer than
    2,000 draws.

    >>> paired(np.full(3, 0.75), np.full(3, 0.25), np.array([0, 1, 2]), draws=3999).difference
    0.5
    """
    if np.shape(a) != np.shape(b):
        raise ValueError(
            f"`a.shape == b.shape` must hold, but got ({np.shape(a)}, {np.shape(b)}); pair the same queries."
        )
    if draws < 2000:
        raise ValueError(
            f"`draws >= 2000` must hold, but got (draws={draws}); a p-value needs that many to be steady."
        )
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    estimate = interval(difference, users, level, n, seed, method)
    total, _ = per_user(difference, users)
    return Difference(estimate.mean, estimate.low, estimate.high, _sign_flip(total, draws, seed))


def difference(a: NDArray[Any], b: NDArray[Any], users: NDArray[Any], how: Intervals) -> Difference:
    """`paired`, with the interval found as `how` says.

    >>> found = difference(np.array([0.75, 0.5]), np.full(2, 0.25), np.array([0, 1]), Intervals(method="robust"))
    >>> round(found.low, 3), round(found.high, 3)
    (-1.213, 1.963)
    """
    return paired(a, b, users, how.level, how.n, seed=how.seed, method=how.method_for(users))


def _sign_flip(total: Floats, draws: int, seed: int) -> float:
    """Two-sided p-value of Σ total under random signs; total [U]."""
    random = np.random.default_rng(seed)
    seen, beyond = abs(total.sum()), 0
    tolerance = 1e-12 * np.abs(total).sum()  # sums of the same numbers in another order must count as equal
    for size in chunks(draws, len(total)):
        flips = random.integers(0, 2, (size, len(total)), dtype=np.int8)
        beyond += int((np.abs(total.sum() - 2 * (flips @ total)) >= seen - tolerance).sum())
    return (1 + beyond) / (1 + draws)


def wilcoxon(a: NDArray[Any], b: NDArray[Any], users: NDArray[Any]) -> float:
    """Two-sided p-value of the signed-rank test on each user's mean difference (Wilcoxon 1945; users without a
    difference split evenly, Pratt's and Conover's advice): a large gain of a few users weighs no more than its rank.

    a, b, users [Q] as in `paired`. 1 where no user differs.

    >>> wilcoxon(np.ones(8), np.zeros(8), np.arange(8))
    0.0078125
    """
    total, count = per_user(np.asarray(a, np.float64) - np.asarray(b, np.float64), users)
    mean = total / count
    return float(scipy.stats.wilcoxon(mean, zero_method="zsplit").pvalue) if mean.any() else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """p-values of several comparisons, adjusted so that the chance of any false one stays below the level (Holm
    1979); in the order given.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(
        np.maximum.accumulate(np.asarray(p, float)[order] * np.arange(len(order), 0, -1)), 1
    )
    return [float(each) for each in adjusted]


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """The same, so that the expected share of false ones among those below the level stays below it (Benjamini &
    Hochberg 1995).

    >>> [round(each, 9) for each in benjamini_hochberg([0.01, 0.04, 0.03])]
    [0.03, 0.04, 0.04]
    """
    return [float(each) for each in scipy.stats.false_discovery_control(p, method="bh")] if len(p) else []


def detectable(
    a: NDArray[Any], b: NDArray[Any], users: NDArray[Any], level: float = 0.95, power: float = 0.8
) -> float:
    """The smallest true difference that a paired test on these queries finds with this power:
    (t_(1+level)/2 + t_power) · se, se the cluster-robust standard error of the differences seen (Bloom 1995, "Minimum
    detectable effects").

    Raises ValueError on fewer than 2 users, and on a power that is no share.
    """
    total, count = per_user(np.asarray(a, np.float64) - np.asarray(b, np.float64), users)
    if len(count) < 2 or not 0 < power < 1:
        raise ValueError(
            f"`0 < power < 1` and 2 users must hold, but got (power={power}, users={len(count)})."
        )
    degrees = len(count) - 1
    reach = scipy.stats.t.ppf((1 + level) / 2, degrees) + scipy.stats.t.ppf(power, degrees)
    return float(reach) * standard_error(total, count)
