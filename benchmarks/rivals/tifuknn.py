"""TIFU-KNN: Hu, He, Gao & Zhang 2020, "Modeling Personalized Item Frequency Information for Next-basket Recommendation"
(SIGIR)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from benchmarks.rivals.base import Floats, Ints, Rival, Scores, profile
from trainers.histories import Histories
from trainers.log import Queries, TrainingData


@dataclass
class TifuKnn(Rival):
    """scores = alpha·v_u + (1 − alpha)·mean of v over the k nearest other users (Euclidean), v the item frequencies.

    A user's n baskets fall into `groups` groups of ⌈n / groups⌉, the earliest group taking what is left. A basket that
    is p baskets before the end of its group of size s counts within^p / s, and a group that is g groups before the
    last of m counts across^g / m.

    The neighbours are as they were at the cut; the user is as they are at the query.

    Attributes:
        within, across: the decay rates r_b and r_g.
        groups: how many groups at most.
        k: the neighbours.
        alpha: the share of the user's own frequencies.
    """

    fitted_by: ClassVar[tuple[str, ...]] = ("within", "across", "groups")

    within: float = 0.9
    across: float = 0.7
    groups: int = 7
    k: int = 300
    alpha: float = 0.7
    users: Ints = field(init=False, repr=False, compare=False)
    vectors: sp.csr_array = field(init=False, repr=False, compare=False)
    lengths: Floats = field(init=False, repr=False, compare=False)
    offsets: Ints = field(init=False, repr=False, compare=False)

    def fit(self, training: TrainingData) -> None:
        self.offsets = np.asarray(training.log.offsets)
        self.users = np.flatnonzero(training.stop > self.offsets[:-1])
        zero = np.zeros(len(self.users), np.int64)
        whole = Queries(
            np.full(len(self.users), training.end + 1),
            self.offsets[self.users],
            training.stop[self.users],
            np.zeros(len(self.users) + 1, np.int64),
            zero[:0],
        )
        histories = Histories.of(training.log, whole, training.column, len(training.catalogue))
        self.vectors = self.frequencies(histories)
        self.lengths = np.asarray(self.vectors.multiply(self.vectors).sum(axis=1), np.float64)

    def frequencies(self, histories: Histories) -> sp.csr_array:
        """[Q, I] the vector of each history."""
        baskets = np.zeros(len(histories), np.int64)
        back = histories.moments.astype(np.int64)  # baskets since
        np.maximum.at(baskets, histories.query, back + 1)
        size = -(-baskets // self.groups)
        n, s = baskets[histories.query], size[histories.query]
        group, place = back // s, back % s
        count = -(-n // s)
        here = np.where(group == count - 1, n - s * (count - 1), s)
        return profile(histories, self.within**place / here * self.across**group / count)

    def score(self, histories: Histories) -> Scores:
        own = self.frequencies(histories)
        squared = np.asarray(own.multiply(own).sum(axis=1), np.float64)
        distance = self.lengths[None, :] + squared[:, None] - 2 * (own @ self.vectors.T).toarray()
        some = np.diff(histories.offsets) > 0
        user = np.searchsorted(self.offsets, histories.rows[histories.offsets[:-1][some]], side="right") - 1
        at = np.minimum(np.searchsorted(self.users, user), len(self.users) - 1)
        known = self.users[at] == user
        distance[np.flatnonzero(some)[known], at[known]] = np.inf  # nobody is their own neighbour
        k = min(self.k, len(self.users) - 1)
        near = np.argpartition(distance, k - 1, axis=1)[:, :k]
        shape = distance.shape
        chosen = sp.csr_array(
            (np.full(near.size, 1 / k, np.float32), near.ravel(), np.arange(0, near.size + 1, k)), shape=shape
        )
        scores: Scores = self.alpha * own.toarray() + (1 - self.alpha) * (chosen @ self.vectors).toarray()
        return scores
