"""When users come: the parameters of arrivals and sessions, fitted to a log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from evaluators.arrays import Floats, Ints, owners

SESSION = 0.5 / 24  # events of a user less than half an hour apart are of one session
NODES = np.linspace(-3.5, 3.5, 57)  # of the users' normal effect: dense, since many gaps tell one user's well
WEIGHTS = stats.norm.pdf(NODES)


@dataclass(frozen=True)
class Arrivals:
    """As in `Parameters`."""

    join: float
    gap: float
    gap_within: float
    gap_between: float
    stay: float


def fit_arrivals(offsets: Ints, days: Floats) -> Arrivals:
    """offsets [U+1], days [N] of a packed log, from its first event on.

    join: twice the mean of first events. stay: the events that go on with a session, as a share. Gaps between sessions:
    log-normal with a normal random effect a user, by maximum likelihood; the effect is integrated on a grid, and the
    time from each user's last session to the end of the log counts as a gap that is at least so long, without which
    slow users would seem fast.

    Raises ValueError where no user has two sessions.
    """
    seen = np.diff(offsets) > 0
    first = days[offsets[:-1][seen]]
    user = owners(offsets)
    since = np.diff(days)
    within = user[1:] == user[:-1]
    between = within & (since >= SESSION)
    if not between.any():
        raise ValueError("a log must have users with two sessions, but this one has none; give a longer log.")
    gaps, who = np.log(since[between]), user[1:][between]
    users = len(offsets) - 1
    count = np.bincount(who, minlength=users)[seen]
    total, square = (np.bincount(who, gaps**power, users)[seen] for power in (1, 2))
    last = np.log(np.maximum(days.max() - days[offsets[1:][seen] - 1], SESSION))
    start = [gaps.mean(), np.log(gaps.std() + 1e-3), np.log(gaps.std() / 2 + 1e-3)]
    found = optimize.minimize(_surprise, start, (count, total, square, last), method="Nelder-Mead")
    middle, within_sd, between_sd = found.x
    stay = float((within & ~between).sum() / len(days))
    return Arrivals(
        2 * float(first.mean()),
        float(np.exp(middle)),
        float(np.exp(within_sd)),
        float(np.exp(between_sd)),
        stay,
    )


def _surprise(at: Floats, count: Ints, total: Floats, square: Floats, last: Floats) -> float:
    """-log likelihood of the gaps: count, total, square, last [U] of their logarithms."""
    within, between = np.exp(at[1]), np.exp(at[2])
    mean = at[0] + between * NODES[:, None]
    squares = square - 2 * mean * total + count * mean**2
    log = -squares / (2 * within**2) - count * np.log(within) + special.log_ndtr((mean - last) / within)
    top = log.max(0)
    return -float((top + np.log((WEIGHTS / WEIGHTS.sum()) @ np.exp(log - top))).sum())
