"""How sure a figure is: intervals and paired tests in which the unit drawn is the user, not the query."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluators.arrays import Floats, Ints

# Entries of a resampling matrix held at once: a replicate is as wide as the number of users.
CHUNK = 4_000_000


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval, in the units of the figure.

    >>> Estimate(0.5, 0.4, 0.6).to_dict()
    {'mean': 0.5, 'low': 0.4, 'high': 0.6}
    """

    mean: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


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


def interval(
    values: NDArray[Any], users: NDArray[Any], level: float = 0.95, n: int = 1000, seed: int = 0
) -> Estimate:
    """Mean over queries with a percentile interval from n bootstrap replicates that resample users with
    replacement.

    values [Q], users [Q]: one figure per query and whose query it is. Queries of one person are alike, so a
    bootstrap over queries would claim more certainty than there is (the cluster bootstrap: Davison & Hinkley
    1997, "Bootstrap Methods and their Application", 3.8). A replicate with users v_1..v_U has the mean  Σ
    total(v) / Σ count(v).

    Raises ValueError on shapes that disagree, on no query, and on a value that is not finite.

    >>> interval(np.array([0.0, 1.0, 1.0]), np.array([4, 9, 9]))
    Estimate(mean=0.6666666666666666, low=0.0, high=1.0)
    """
    total, count = per_user(values, users)
    check_resampling(level, n)
    means = np.concatenate([total[pick].sum(1) / count[pick].sum(1) for pick in picks(len(count), n, seed)])
    low, high = np.quantile(means, tails(level))
    return Estimate(float(np.mean(values)), float(low), float(high))


def paired(
    a: NDArray[Any],
    b: NDArray[Any],
    users: NDArray[Any],
    level: float = 0.95,
    n: int = 1000,
    draws: int = 10_000,
    seed: int = 0,
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
    estimate = interval(difference, users, level, n, seed)
    total, _ = per_user(difference, users)
    return Difference(estimate.mean, estimate.low, estimate.high, _sign_flip(total, draws, seed))


def _sign_flip(total: Floats, draws: int, seed: int) -> float:
    """Two-sided p-value of Σ total under random signs; total [U]."""
    random = np.random.default_rng(seed)
    seen, beyond = abs(total.sum()), 0
    tolerance = 1e-12 * np.abs(total).sum()  # sums of the same numbers in another order must count as equal
    for size in _chunks(draws, len(total)):
        flips = random.integers(0, 2, (size, len(total)), dtype=np.int8)
        beyond += int((np.abs(total.sum() - 2 * (flips @ total)) >= seen - tolerance).sum())
    return (1 + beyond) / (1 + draws)


def per_user(values: NDArray[Any], users: NDArray[Any]) -> tuple[Floats, Ints]:
    """Totals and counts per user, users in order of appearance: values, users [Q] -> [U], [U].

    >>> [a.tolist() for a in per_user(np.array([1.0, 2.0, 4.0]), np.array(["b", "a", "b"]))]
    [[5.0, 2.0], [2, 1]]
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.shape != np.shape(users) or not len(values):
        raise ValueError(
            f"`values.shape == users.shape == (Q,)` with Q >= 1 must hold, but got "
            f"({values.shape}, {np.shape(users)}); "
            "pass one value and one user per query."
        )
    if not np.isfinite(values).all():
        at = int(np.argmin(np.isfinite(values)))
        raise ValueError(
            f"values must be finite, but query {at} has {values[at]}; drop it or repair its metric."
        )
    codes = pd.factorize(np.asarray(users))[0]
    return np.bincount(codes, values).astype(np.float64), np.bincount(codes).astype(np.int64)


def picks(width: int, n: int, seed: int) -> Iterator[Ints]:
    """n draws of `width` users with replacement, in chunks [n', width]; the chunks lie end to end in one
    stream.

    >>> [pick.shape for pick in picks(3, 5, seed=0)]
    [(5, 3)]
    """
    random = np.random.default_rng(seed)
    for size in _chunks(n, width):
        yield random.integers(0, width, (size, width))


def tails(level: float) -> list[float]:
    """The two quantiles that a central interval of this level ends at.

    >>> tails(0.5)
    [0.25, 0.75]
    """
    return [(1 - level) / 2, (1 + level) / 2]


def check_resampling(level: float, n: int) -> None:
    """Raises ValueError unless 0 < level < 1 and n >= 1."""
    if not 0 < level < 1:
        raise ValueError(f"`0 < level < 1` must hold, but got (level={level}); 0.95 is customary.")
    if n < 1:
        raise ValueError(f"`n >= 1` must hold, but got (n={n}); 1000 replicates are customary.")


def _chunks(count: int, width: int) -> Iterator[int]:
    step = max(1, CHUNK // max(1, width))
    for done in range(0, count, step):
        yield min(step, count - done)
