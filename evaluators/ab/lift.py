"""A lift with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import scipy

from evaluators.ab.arms import Arms


@dataclass(frozen=True)
class Lift:
    """B over A, in units of the outcome (absolute) or as a share of A's mean (relative)."""

    value: float
    low: float
    high: float


def absolute(arms: Arms, level: float = 0.95) -> list[Lift]:
    """Each other arm's mean less the first's, ± t · sqrt(σ_0²/n_0 + σ_k²/n_k) with Welch's degrees; arms [K] -> K-1.

    >>> [lift] = absolute(Arms.of([1.0, 2.0, 3.0, 2.0, 3.0, 4.0], [0, 0, 0, 1, 1, 1]))
    >>> lift.value, round(lift.low, 3), round(lift.high, 3)
    (1.0, -1.267, 3.267)
    """
    half = scipy.stats.t.ppf((1 + level) / 2, arms.degrees()) * arms.error
    return [Lift(float(d), float(d - h), float(d + h)) for d, h in zip(arms.lift, half, strict=True)]


def relative(arms: Arms, level: float = 0.95) -> list[Lift | None]:
    """Each lift as a share of the first arm's mean, by Fieller's theorem: the ratios ρ for which  m_k - (1 + ρ)·m_0  is
    not told from 0. None where the first arm's mean is not told from 0, since the ratio then has no bounds.

    Source: Fieller 1954, "Some problems in interval estimation".

    >>> arms = Arms.of([9.0, 10.0, 11.0, 10.0, 11.0, 12.0], [0, 0, 0, 1, 1, 1])
    >>> [lift] = relative(arms)
    >>> round(lift.value, 3), round(lift.low, 3), round(lift.high, 3)
    (0.1, -0.114, 0.372)
    """
    found: list[Lift | None] = []
    parts = arms.variance / arms.count
    for place, degrees in enumerate(arms.degrees(), start=1):
        square = float(scipy.stats.t.ppf((1 + level) / 2, degrees)) ** 2
        base, mean = float(arms.mean[0]), float(arms.mean[place])
        inner = base**2 - square * parts[0]
        if inner <= 0:
            found.append(None)
            continue
        root = ((base * mean) ** 2 - inner * (mean**2 - square * parts[place])) ** 0.5
        low, high = sorted(float((base * mean + sign * root) / inner - 1) for sign in (-1, 1))
        found.append(Lift(mean / base - 1, low, high))
    return found
