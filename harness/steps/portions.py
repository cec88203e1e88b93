"""A stage whole, or in portions of its users."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.stage import Stage


@dataclass(frozen=True)
class Portions:
    """A stage cut between users.

    Attributes:
        order: [Q] the queries in the order of the portions.
        stages: each with the share of the users that it and those before it have.
    """

    order: npt.NDArray[np.int64]
    stages: list[tuple[float, Stage]]

    @classmethod
    def whole(cls, stage: Stage) -> Portions:
        """One portion, its queries in their order."""
        return cls(np.arange(len(stage.queries)), [(1.0, stage)])

    @classmethod
    def of_users(cls, stage: Stage, shares: Sequence[float], seed: int) -> Portions:
        """Up to each share of the users, as the seed shuffles them; a portion that nobody is in is left out."""
        _, user = np.unique(stage.users, return_inverse=True)
        place = np.random.default_rng(seed).permutation(user.max() + 1)
        order = np.argsort(place[user], kind="stable")
        users = stage.users[order]
        nth = np.concatenate(([0], np.cumsum(users[1:] != users[:-1])))
        ends = [int(np.searchsorted(nth, math.ceil(share * (nth[-1] + 1)))) for share in shares]
        stages, begin = [], 0
        for share, end in zip(shares, ends, strict=True):
            if end > begin:
                stages.append((share, stage.part(order[begin:end])))
                begin = end
        return cls(order, stages)
