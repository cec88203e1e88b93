"""What a test of means needs of the arms: counts, means and variances; for one moment, for every look, for many
experiments at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from evaluators.arrays import Floats, Ints


@dataclass(frozen=True)
class Arms:
    """count, mean, variance [..., K]: users with an outcome, their mean, their sample variance, for each of K arms.

    Looks stand on the axis before the arms, experiments before them: [R, T, K]. An arm with fewer than two users has
    an infinite variance: it knows nothing.

    >>> arms = Arms.of(np.array([1.0, 3.0, 2.0, 6.0]), np.array([0, 0, 1, 1]))
    >>> arms.count.tolist(), arms.mean.tolist(), arms.variance.tolist()
    ([2.0, 2.0], [2.0, 4.0], [2.0, 8.0])
    >>> arms.lift.tolist(), arms.error.tolist()  # sqrt(2 / 2 + 8 / 2)
    ([2.0], [2.23606797749979])
    """

    count: Floats
    mean: Floats
    variance: Floats

    @classmethod
    def of(cls, outcome: NDArray[Any], arm: Ints, arms: int | None = None) -> Arms:
        """outcome, arm [U] -> [K]; K is the largest arm plus one where `arms` does not say."""
        width = int(np.max(arm)) + 1 if arms is None else arms
        made = cls.accrued(outcome, arm, np.zeros(len(arm), np.int64), (1, 1, width))
        return cls(made.count[0, 0], made.mean[0, 0], made.variance[0, 0])

    @classmethod
    def accrued(
        cls,
        outcome: NDArray[Any],
        arm: Ints,
        look: Ints,
        shape: tuple[int, int, int],
        experiment: Ints | None = None,
    ) -> Arms:
        """What had come in by each look -> [R, T, K].

        outcome, arm, look, experiment [N]: a user's outcome, arm, the first look that counts it (the outcome is
        complete by then and never changes), and the experiment that the user is in (0 where left out).
        """
        values = np.asarray(outcome, np.float64)
        if not len(values) == len(arm) == len(look) or not len(values):
            raise ValueError(
                f"`len(outcome) == len(arm) == len(look) >= 1` must hold, but got ({len(values)}, {len(arm)}, "
                f"{len(look)}); pass one of each a user."
            )
        if not np.isfinite(values).all():
            raise ValueError(
                "`outcome` must be finite, but a user's is not; repair the metric or drop the user."
            )
        centre = float(values.mean())  # sums of squares about it lose no digits
        about = values - centre
        first = 0 if experiment is None else experiment
        place = np.ravel_multi_index(tuple(np.broadcast_arrays(first, look, arm)), shape)
        size = int(np.prod(shape))
        count, total, square = (
            np.bincount(place, weight, size).reshape(shape).cumsum(1).astype(np.float64)
            for weight in (None, about, about**2)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.where(count > 0, total / np.maximum(count, 1), 0.0)
            spread = np.maximum(square - count * mean**2, 0.0) / np.maximum(count - 1, 1)
        return cls(count, np.where(count > 0, mean + centre, 0.0), np.where(count > 1, spread, np.inf))

    @property
    def lift(self) -> Floats:
        """-> [..., K-1] each other arm's mean less the first arm's."""
        return self.mean[..., 1:] - self.mean[..., :1]

    @property
    def square_error(self) -> Floats:
        """-> [..., K-1] the variance of each lift:  σ_0²/n_0 + σ_k²/n_k."""
        parts = self.variance / np.maximum(self.count, 1)
        return parts[..., 1:] + parts[..., :1]

    @property
    def error(self) -> Floats:
        return np.sqrt(self.square_error)

    @property
    def users(self) -> Floats:
        """-> [..., K-1] users in the two arms that each lift compares."""
        return self.count[..., 1:] + self.count[..., :1]

    def z(self) -> Floats:
        """-> [..., K-1] lift / error; 0 where nothing is known, and where there is neither lift nor spread."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.lift / self.error
        return np.nan_to_num(ratio, nan=0.0, posinf=np.inf, neginf=-np.inf)

    def degrees(self) -> Floats:
        """-> [..., K-1] Welch and Satterthwaite's degrees of freedom; infinite where there is no spread."""
        parts = self.variance / np.maximum(self.count, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            each = parts**2 / np.maximum(self.count - 1, 1)
            found = self.square_error**2 / (each[..., 1:] + each[..., :1])
        return np.where(np.isfinite(found), found, np.inf)

    def p(self) -> Floats:
        """-> [..., K-1] two-sided p of Welch's t-test (Welch 1947); 1 where an arm knows nothing."""
        known = np.isfinite(self.square_error)
        found = 2 * scipy.stats.t.sf(np.abs(self.z()), self.degrees())
        return np.where(known, found, 1.0)


def welch(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Two-sided p of Welch's t-test for two independent samples; 1 where they are constant and equal.

    >>> round(welch(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])), 4)
    0.2879
    """
    if not np.ptp(first) and not np.ptp(second):
        return float(first[0] == second[0])
    return float(scipy.stats.ttest_ind(first, second, equal_var=False).pvalue)


def names_of(names: Sequence[str] | None, arms: int) -> tuple[str, ...]:
    """The arms' names: those given, or A, B, C …; ValueError where their number disagrees."""
    made = tuple(names) if names is not None else tuple(chr(ord("A") + place) for place in range(arms))
    if len(made) != arms:
        raise ValueError(f"`len(names) == arms` must hold, but got ({len(made)}, {arms}); name each arm.")
    return made
