"""Interleaving: both models share every list, and the same user chooses between them. It needs far fewer users than
arms apart, and says only who is preferred, not by how much of the outcome."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from evaluators.arrays import Ints
from evaluators.intervals import per_user

Teams = NDArray[np.int8]


@dataclass(frozen=True)
class Preference:
    """wins, losses, ties: users who chose more often from B than from A, less often, equally; share: of B among the
    users who preferred one, with its exact interval; p: two-sided sign test; signed_rank: p of Wilcoxon's test, which
    counts how much more often."""

    wins: int
    losses: int
    ties: int
    share: float
    low: float
    high: float
    p: float
    signed_rank: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def team_draft(a: Ints, b: Ints, random: np.random.Generator) -> tuple[Ints, Teams]:
    """Mix two lists: in each round a coin says which model picks first, and each adds its best item not yet there.

    a, b [B, K] items, best first, -1 for nothing, none twice; -> list [B, K], team [B, K]: 0 where A picked, 1 where B
    did, -1 where nothing was left. An item that both would show is credited to who picked it, each equally likely, so
    that equal models win equally often.

    Source: Radlinski, Kurup & Joachims 2008, "How does clickthrough data reflect retrieval quality?".

    >>> mixed, team = team_draft(np.array([[1, 2, 3]]), np.array([[4, 5, 6]]), np.random.default_rng(0))
    >>> mixed.tolist(), team.tolist()
    ([[4, 1, 5]], [[1, 0, 1]])
    """
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError(
            f"`a.shape == b.shape == (B, K)` must hold, but got ({a.shape}, {b.shape}); pair the lists."
        )
    rows, width = a.shape
    both = np.stack([a, b])
    mixed = np.full((rows, width), -1, dtype=np.int64)
    team = np.full((rows, width), -1, dtype=np.int8)
    filled = np.zeros(rows, dtype=np.int64)
    every = np.arange(rows)
    for _ in range(width):
        first = random.integers(0, 2, rows)
        for side in np.stack([first, 1 - first]):
            offered = both[side, every]
            new = (offered >= 0) & ~(offered[:, :, None] == mixed[:, None, :]).any(2)
            picks = new.any(1) & (filled < width)
            at, place = every[picks], filled[picks]
            mixed[at, place] = offered[at, new[at].argmax(1)]
            team[at, place] = side[at]
            filled[at] += 1
    return mixed, team


def preference(credit: NDArray[Any], users: NDArray[Any], level: float = 0.95) -> Preference:
    """Which model users chose from: the paired sign test, in which a user counts once however often they came.

    credit [Q]: +1 where what was chosen at a visit came from B's team, -1 from A's, 0 where nothing was chosen; users
    [Q]. Ties between the models are left out (the exact conditional test: Dixon & Mood 1946), the interval of the share
    is Clopper and Pearson's (1934).

    >>> found = preference(np.array([1, 1, -1, 1, 0, 1]), np.array([0, 0, 0, 1, 2, 3]))
    >>> found.wins, found.losses, found.ties, found.p
    (3, 0, 1, 0.25)
    """
    total, _ = per_user(credit, users)
    wins, losses = int((total > 0).sum()), int((total < 0).sum())
    if not wins + losses:
        return Preference(0, 0, len(total), 0.5, 0.0, 1.0, 1.0, 1.0)
    test = scipy.stats.binomtest(wins, wins + losses)
    around = test.proportion_ci(level)
    ranked = float(scipy.stats.wilcoxon(total, zero_method="zsplit").pvalue)
    return Preference(
        wins, losses, len(total) - wins - losses, float(test.statistic),
        float(around.low), float(around.high), float(test.pvalue), ranked,
    )  # fmt: skip
