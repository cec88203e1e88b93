"""How many users a test needs, what it can detect, and how often: before the test is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, isfinite, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from evaluators.ab.arms import Arms
from evaluators.arrays import Floats, Ints

Draw = Callable[[np.random.Generator, int], tuple[Floats, Ints]]
"""(random, users) -> outcome [users], arm [users]: one experiment of a known truth."""


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


def power_curve(lift: float, spread: tuple[float, float], users: NDArray[Any], alpha: float = 0.05) -> Floats:
    """The chance that a two-sided test finds a true lift:  Φ(δ - z_{1-α/2}) + Φ(-δ - z_{1-α/2}),
    δ = |lift| / sqrt((σ_A² + σ_B²) / n).

    users [N]: users per arm, n; -> [N].

    >>> power_curve(0.5, (1.0, 1.0), np.array([63, 126])).round(3).tolist()
    [0.801, 0.978]
    """
    shift = abs(lift) * np.sqrt(np.asarray(users, np.float64) / (spread[0] ** 2 + spread[1] ** 2))
    reach = scipy.stats.norm.ppf(1 - alpha / 2)
    found: Floats = scipy.stats.norm.cdf(shift - reach) + scipy.stats.norm.cdf(-shift - reach)
    return found


def simulated_power(
    draw: Draw, users: Sequence[int], *, alpha: float = 0.05, n: int = 1000, seed: int = 0
) -> Floats:
    """The same by simulation: the share of n experiments, drawn anew with so many users in all, whose Welch test finds
    the lift of the second arm; -> [len(users)]. Its standard error is sqrt(p(1-p)/n).

    >>> def planted(random: np.random.Generator, users: int) -> tuple[Floats, Ints]:
    ...     arm = np.arange(users) % 2
    ...     return random.normal(0.5 * arm), arm
    >>> bool(abs(simulated_power(planted, [126])[0] - 0.8) < 0.05)
    True
    """
    random = np.random.default_rng(seed)
    rates = []
    for size in users:
        made = [draw(random, size) for _ in range(n)]
        arms = Arms.accrued(
            np.concatenate([outcome for outcome, _ in made]),
            np.concatenate([arm for _, arm in made]),
            np.zeros(n * size, np.int64),
            (n, 1, 2),
            np.repeat(np.arange(n), size),
        )
        rates.append(float((arms.p() < alpha).mean()))
    return np.asarray(rates)


def _z(alpha: float, power: float) -> float:
    return NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power)
