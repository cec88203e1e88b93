"""A simulated A/B test: users are dealt to two arms, one model serves each, what they really did decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import blake2b
from math import ceil, isfinite, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluators.arrays import Floats, Ints
from evaluators.intervals import check_resampling, per_user, picks, tails

MISMATCH = 0.001  # a sample ratio less likely than this stops an experiment


@dataclass(frozen=True)
class Lift:
    """B over A, in units of the outcome (absolute) or as a share of A's mean (relative)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SampleRatio:
    """Users seen per arm against those expected from the shares; p of the chi-square test."""

    users: tuple[int, int]
    expected: tuple[float, float]
    p: float
    mismatch: bool


@dataclass(frozen=True)
class Experiment:
    """mean: A's and B's mean outcome per user; absolute, relative: lift of B over A (relative is None where
    A's mean may be 0); p: Welch's t-test, two-sided; ratio: the sample-ratio check; needed: users per arm to
    detect the seen lift (None where there is none); detectable: the smallest absolute lift that these arms
    would detect; both at `level` and `power`."""

    mean: tuple[float, float]
    absolute: Lift
    relative: Lift | None
    p: float
    ratio: SampleRatio
    needed: int | None
    detectable: float
    level: float
    power: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def simulate(
    a: NDArray[Any],
    b: NDArray[Any],
    users: NDArray[Any],
    *,
    shares: tuple[float, float] = (0.5, 0.5),
    salt: str = "lethe",
    level: float = 0.95,
    power: float = 0.8,
    n: int = 1000,
    seed: int = 0,
) -> Experiment:
    """Deal users to arms A and B, serve each by its model, compare the mean outcome per user.

    a, b [Q]: the metric of model A and of model B on the same queries; users [Q]: their ids (the log's own
    ids, if the same person is to get the same arm another day); only the value of a user's own arm is read. A
    user's outcome is the mean over that user's queries. The lift's interval resamples users within each arm.

    Source: Kohavi, Tang & Xu 2020, "Trustworthy Online Controlled Experiments" (arms by hash, 4; sample
    ratio, 21). A simulation knows only what users did under the recommender of their day: it rehearses the
    test, it is not the test.

    Raises ValueError on shapes that disagree, on shares that are not two positive numbers that sum to 1, and
    on an arm with fewer than two users.

    >>> made = simulate(np.tile([0.1, 0.2], 50), np.tile([0.2, 0.3], 50), np.arange(100))
    >>> round(made.absolute.value, 2), made.ratio.mismatch
    (0.09, False)
    """
    check_resampling(level, n)
    if np.shape(a) != np.shape(b):
        raise ValueError(
            f"`a.shape == b.shape` must hold, but got ({np.shape(a)}, {np.shape(b)}); pair the same queries."
        )
    if not 0 < power < 1:
        raise ValueError(f"`0 < power < 1` must hold, but got (power={power}); 0.8 is customary.")
    outcomes_a, outcomes_b = (total / count for total, count in (per_user(a, users), per_user(b, users)))
    arm = assign(pd.unique(np.asarray(users)), shares, salt)
    first, second = outcomes_a[arm == 0], outcomes_b[arm == 1]
    if min(len(first), len(second)) < 2:
        raise ValueError(
            f"each arm must have at least 2 users, but got ({len(first)}, {len(second)}); "
            "use more users or evener shares."
        )
    absolute, relative = _lifts(first, second, level, n, seed)
    lift, spread = absolute.value, (float(first.std(ddof=1)), float(second.std(ddof=1)))
    return Experiment(
        mean=(float(first.mean()), float(second.mean())),
        absolute=absolute,
        relative=relative,
        p=welch(first, second),
        ratio=sample_ratio((len(first), len(second)), shares),
        needed=users_needed(lift, spread, 1 - level, power) if lift else None,
        detectable=detectable(spread, (len(first), len(second)), 1 - level, power),
        level=level,
        power=power,
    )


def assign(users: Iterable[Any], shares: tuple[float, float], salt: str) -> Ints:
    """The arm of each user: 0 or 1, a function of salt, id and shares alone, whatever the order and the
    machine.

    users [U] ids; a user's place in [0, 1) is blake2b("salt:id") / 2^64, and arm 0 is [0, shares[0]).

    >>> assign(range(8), (0.5, 0.5), "spring").tolist(), assign(["6", "7"], (0.5, 0.5), "spring").tolist()
    ([1, 1, 1, 0, 0, 0, 1, 0], [1, 0])
    """
    if len(shares) != 2 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(
            f"shares must be two positive numbers that sum to 1, but got {list(shares)}; use [0.5, 0.5]."
        )
    ids = users.tolist() if isinstance(users, np.ndarray) else users
    places = [
        int.from_bytes(blake2b(f"{salt}:{i}".encode(), digest_size=8).digest(), "big") / 2**64 for i in ids
    ]
    return (np.asarray(places) >= shares[0]).astype(np.int64)


def sample_ratio(users: tuple[int, int], shares: tuple[float, float]) -> SampleRatio:
    """Whether the arms are as large as their shares say: chi-square with one degree of freedom, flagged at p
    < 0.001.

    Source: Fabijan et al. 2019, "Diagnosing sample ratio mismatch in online controlled experiments".

    >>> sample_ratio((5000, 5300), (0.5, 0.5)).mismatch, sample_ratio((5000, 5400), (0.5, 0.5)).mismatch
    (False, True)
    """
    expected = (shares[0] * sum(users), shares[1] * sum(users))
    from scipy import stats  # it takes half a second to import, and searches import this package too

    p = float(stats.chisquare(users, expected).pvalue)
    return SampleRatio(users, expected, p, p < MISMATCH)


def welch(first: Floats, second: Floats) -> float:
    """Two-sided p of Welch's t-test (Welch 1947) for two independent samples; 1 where they are constant and
    equal.

    >>> round(welch(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])), 4)
    0.2879
    """
    if not np.ptp(first) and not np.ptp(second):
        return float(first[0] == second[0])
    from scipy import stats

    return float(stats.ttest_ind(first, second, equal_var=False).pvalue)


def users_needed(lift: float, spread: tuple[float, float], alpha: float = 0.05, power: float = 0.8) -> int:
    """Users per arm to detect an absolute lift:  ceil((z_{1-α/2} + z_power)² · (σ_A² + σ_B²) / lift²)
    (two-sided).

    Source: Chow, Shao, Wang & Lokhnygina 2017, "Sample Size Calculations in Clinical Research", 3.2.

    >>> users_needed(0.5, (1.0, 1.0))  # the textbook's 63 per arm
    63
    """
    if not lift or not isfinite(lift):
        raise ValueError(
            f"`lift != 0` must hold, but got (lift={lift}); no number of users detects a lift of nothing."
        )
    return max(2, ceil(_z(alpha, power) ** 2 * (spread[0] ** 2 + spread[1] ** 2) / lift**2))


def detectable(
    spread: tuple[float, float], users: tuple[int, int], alpha: float = 0.05, power: float = 0.8
) -> float:
    """The smallest absolute lift these arms detect:  (z_{1-α/2} + z_power) · sqrt(σ_A²/n_A + σ_B²/n_B).

    >>> round(detectable((1.0, 1.0), (63, 63)), 3)
    0.499
    """
    return _z(alpha, power) * sqrt(spread[0] ** 2 / users[0] + spread[1] ** 2 / users[1])


def _z(alpha: float, power: float) -> float:
    return NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power)


def _lifts(first: Floats, second: Floats, level: float, n: int, seed: int) -> tuple[Lift, Lift | None]:
    """Percentile bootstrap within each arm; no relative lift where A's mean may be 0."""
    means_a, means_b = (
        np.concatenate([arm[pick].mean(1) for pick in picks(len(arm), n, stream)])
        for arm, stream in ((first, seed), (second, seed + 1))
    )
    gaps = means_b - means_a
    low, high = (float(x) for x in np.quantile(gaps, tails(level)))
    lift = float(second.mean() - first.mean())
    base = float(first.mean())
    if base == 0 or (means_a == 0).any():
        return Lift(lift, low, high), None
    lower, upper = (float(x) for x in np.quantile(gaps / means_a, tails(level)))
    return Lift(lift, low, high), Lift(lift / base, lower, upper)
