"""How sure a mean over queries is: intervals in which the unit that varies is the user, not the query."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from evaluators.arrays import Floats, Ints

# Entries of a resampling matrix held at once: a replicate is as wide as the number of users.
CHUNK = 4_000_000

Method = Literal["percentile", "bca", "robust"]


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval, in the units of the figure; NaN where nothing can be said.

    >>> Estimate(0.5, 0.4, 0.6).to_dict()
    {'mean': 0.5, 'low': 0.4, 'high': 0.6}
    """

    mean: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """As JSON has it: None for what cannot be said."""
        found = {"mean": self.mean, "low": self.low, "high": self.high}
        return {name: None if np.isnan(value) else value for name, value in found.items()}


@dataclass(frozen=True)
class Intervals:
    """How intervals are found: their level in (0, 1), the n replicates of a resampling and its seed, the method as in
    `interval`.

    Raises ValueError on a level that is no share, on n < 1 and on another method.

    >>> Intervals(level=0.9).of(np.array([0.0, 1.0, np.nan, 1.0]), np.array([4, 9, 9, 9]))
    Estimate(mean=0.6666666666666666, low=0.0, high=1.0)
    """

    level: float = 0.95
    n: int = 1000
    seed: int = 0
    method: Method = "percentile"

    def __post_init__(self) -> None:
        check_resampling(self.level, self.n)
        if self.method not in get_args(Method):
            raise ValueError(
                f"`method` must be one of {', '.join(get_args(Method))}, but got {self.method!r}; "
                "percentile is customary."
            )

    def of(self, values: NDArray[Any], users: NDArray[Any]) -> Estimate:
        """The mean over queries with its interval over users: values, users [Q].

        A query of NaN says nothing and is left out; if all do, so does the estimate.
        """
        known = ~np.isnan(values)
        if not known.any():
            return Estimate(np.nan, np.nan, np.nan)
        values, users = np.asarray(values)[known], np.asarray(users)[known]
        return interval(values, users, self.level, self.n, self.seed, self.method_for(users))

    def method_for(self, users: NDArray[Any]) -> Method:
        """The method for queries of these users [Q]: of a single one only a resampling can say anything, so that is
        what it gets.

        >>> Intervals(method="robust").method_for(np.array([4, 4]))
        'percentile'
        """
        return self.method if (users != users[0]).any() else "percentile"

    def around(self, mean: float, deviation: float, bounds: tuple[float, float]) -> Estimate:
        """mean ± z·deviation within the bounds that the figure has; nothing about a mean of NaN.

        >>> Intervals(level=0.6826894921370859).around(0.9, 0.2, (0.0, 1.0))
        Estimate(mean=0.9, low=0.7, high=1.0)
        """
        if np.isnan(mean):
            return Estimate(np.nan, np.nan, np.nan)
        reach = NormalDist().inv_cdf((1 + self.level) / 2) * deviation
        return Estimate(mean, max(bounds[0], mean - reach), min(bounds[1], mean + reach))


def interval(
    values: NDArray[Any],
    users: NDArray[Any],
    level: float = 0.95,
    n: int = 1000,
    seed: int = 0,
    method: Method = "percentile",
) -> Estimate:
    """Mean over queries with an interval that knows queries of one person to be alike.

    values [Q], users [Q]: one figure per query and whose query it is. A bootstrap over queries would claim more
    certainty than there is, so users are resampled with replacement (the cluster bootstrap: Davison & Hinkley
    1997, "Bootstrap Methods and their Application", 3.8); a replicate with users v_1..v_U has the mean
    Σ total(v) / Σ count(v).

    method: `percentile`, of n replicates; `bca`, the same corrected for bias and skew (Efron 1987, "Better
    bootstrap confidence intervals"), for few users or a figure that few of them make; `robust`, without draws:
    mean ± t·se with the cluster-robust standard error of the ratio (Liang & Zeger 1986), t with U - 1 degrees.

    Raises ValueError on shapes that disagree, on no query, on a value that is not finite, and on a single user
    where the method is not `percentile`.

    >>> interval(np.array([0.0, 1.0, 1.0]), np.array([4, 9, 9]))
    Estimate(mean=0.6666666666666666, low=0.0, high=1.0)
    """
    total, count = per_user(values, users)
    check_resampling(level, n)
    mean = float(np.mean(values))
    if method != "percentile" and len(count) < 2:
        raise ValueError(f"`users` must hold at least 2 users for `{method}`, but got 1; take `percentile`.")
    if method == "robust":
        half = float(scipy.stats.t.ppf((1 + level) / 2, len(count) - 1)) * standard_error(total, count)
        return Estimate(mean, mean - half, mean + half)
    means = np.concatenate([total[pick].sum(1) / count[pick].sum(1) for pick in picks(len(count), n, seed)])
    at = tails(level) if method == "percentile" else _corrected(level, total, count, means)
    low, high = np.quantile(means, at)
    return Estimate(mean, float(low), float(high))


def standard_error(total: Floats, count: Ints) -> float:
    """The cluster-robust standard error of Σ total / Σ count over U users, total and count [U]:
    sqrt(U / (U - 1) · Σ (total - mean · count)²) / Σ count.

    >>> round(standard_error(np.array([0.0, 2.0]), np.array([1, 1])), 6)
    1.0
    """
    residual = total - total.sum() / count.sum() * count
    users = len(count)
    return float(np.sqrt(users / (users - 1) * (residual**2).sum()) / count.sum())


def _corrected(level: float, total: Floats, count: Ints, means: Floats) -> Floats:
    """The two quantiles of the replicates `means` that BCa ends at; a jackknife over users gives the skew."""
    middle = total.sum() / count.sum()
    tolerance = 1e-12 * max(1.0, abs(middle))  # sums of the same numbers in another order must count as equal
    below = (means < middle - tolerance).mean() + (np.abs(means - middle) <= tolerance).mean() / 2
    most = 1 - 0.5 / len(means)
    bias = scipy.stats.norm.ppf(np.clip(below, 1 - most, most))
    left_out = (total.sum() - total) / (count.sum() - count)
    apart = left_out.mean() - left_out
    spread = (apart**2).sum() ** 1.5
    skew = (apart**3).sum() / (6 * spread) if spread > 0 else 0.0
    z = bias + scipy.stats.norm.ppf(tails(level))
    corrected: Floats = scipy.stats.norm.cdf(bias + z / (1 - skew * z))
    return corrected


def over_seeds(values: NDArray[Any], users: NDArray[Any], level: float = 0.95) -> Estimate:
    """The mean over seeds and queries, with an interval for what another draw of seeds and of users would give.

    values [S, Q]: a row for each seed; users [Q]. Seeds and users are crossed, since every seed answers every
    query: Var = V(users) + V(seeds) - V(both), each from cluster totals (Cameron, Gelbach & Miller 2011, "Robust
    inference with multiway clustering", with the interaction freed of both means), and t with the degrees of
    freedom of Satterthwaite (1946), so that few seeds are not trusted more than they deserve.

    Raises ValueError on fewer than 2 seeds or 2 users, and as `interval`.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or len(values) < 2:
        raise ValueError(
            f"`values.shape == (S, Q)` with S >= 2 must hold, but got {values.shape}; add seeds."
        )
    check_resampling(level, 1)
    rows = [per_user(row, users) for row in values]
    total_SU, count = np.stack([total for total, _ in rows]), rows[0][1]
    seeds, people = total_SU.shape
    if people < 2:
        raise ValueError("`users` must hold at least 2 users, but got 1; add users.")
    mean = float(values.mean())
    residual_SU = total_SU - mean * count
    cells = values.size
    by_user = people / (people - 1) * (residual_SU.sum(0) ** 2).sum() / cells**2
    by_seed = seeds / (seeds - 1) * (residual_SU.sum(1) ** 2).sum() / cells**2
    alone_SU = residual_SU - residual_SU.mean(0) - residual_SU.mean(1, keepdims=True) + residual_SU.mean()
    both = (alone_SU**2).sum() * (seeds / (seeds - 1)) * (people / (people - 1)) / cells**2
    variance = max(by_user + by_seed - both, by_user, by_seed)
    if variance == 0:
        return Estimate(mean, mean, mean)
    degrees = (by_user + by_seed) ** 2 / (by_user**2 / (people - 1) + by_seed**2 / (seeds - 1))
    half = float(scipy.stats.t.ppf((1 + level) / 2, degrees)) * float(np.sqrt(variance))
    return Estimate(mean, mean - half, mean + half)


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
    for size in chunks(n, width):
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


def chunks(count: int, width: int) -> Iterator[int]:
    """`count` replicates of a width, in parts that fit `CHUNK` entries."""
    step = max(1, CHUNK // max(1, width))
    for done in range(0, count, step):
        yield min(step, count - done)


CUSTOMARY = Intervals()
