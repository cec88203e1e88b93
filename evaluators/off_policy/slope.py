"""SLOPE: how much bias to accept for a smaller variance, without ever seeing the bias."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy

from evaluators.arrays import Floats

LENIENCE = np.sqrt(6) - 1


def slope(rows: Sequence[Floats], delta: float = 0.1) -> int:
    """Which of several estimators of one figure to take, by Lepski's principle.

    rows: for each candidate its values per round [N]; -> the number of the one taken. Candidates are visited
    from the widest interval to the narrowest; one is still taken while its estimate lies, for every candidate
    visited before it, within its own half-width plus (√6 - 1) times theirs: |θ_i - θ_j| <= c_i + (√6 - 1) c_j.
    The half-width is Student's, c = t(1 - δ; N - 1) · s / √N. Su, Srinath & Krishnamurthy 2020, "Adaptive
    estimator selection for off-policy evaluation", with the constant and without the need of monotone biases
    of Tucker & Lee 2021, "Improved estimator selection for off-policy evaluation" (SLOPE++).

    Raises ValueError on no candidate and on fewer than 2 rounds.

    >>> noisy, steady, wrong = np.array([0.0, 4.0, 0.0, 4.0]), np.full(4, 2.1), np.full(4, 40.0)
    >>> slope([noisy, steady]), slope([noisy, wrong])
    (1, 0)
    """
    if not rows or len(rows[0]) < 2:
        raise ValueError(
            f"`candidates >= 1` and `rounds >= 2` must hold, but got ({len(rows)}, "
            f"{len(rows[0]) if rows else 0}); choose a limit by hand."
        )
    rounds = len(rows[0])
    means = np.array([row.mean() for row in rows])
    widths = np.array([row.std() for row in rows]) / np.sqrt(rounds - 1)
    widths *= scipy.stats.t(rounds - 1).ppf(1 - delta)
    order = np.argsort(widths)[::-1]
    for place, candidate in enumerate(order[1:], start=1):
        before = order[:place]
        apart = np.abs(means[before] - means[candidate])
        if (apart > widths[candidate] + LENIENCE * widths[before]).any():
            return int(order[place - 1])
    return int(order[-1])
