"""SLIST: Choi, Kim, Lee, Shim & Lee 2021, "Session-aware Linear Item-Item Models for Session-based Recommendation"
(WWW)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from benchmarks.rivals.base import Floats, Matrix, Moments, Rival, Scores, product, profile, ridge, scaled
from trainers.histories import Histories
from trainers.log import TrainingData

LEAST = 0.01  # weights below it are left out


@dataclass
class Slist(Rival):
    """B = (α·XᵀWX + (1 − α)·SᵀWS + λI)⁻¹ (α·XᵀWX + (1 − α)·SᵀWT), scores = x·B.

    SLIS: X has a row for each user (the session), its items. SLIT: a row for each moment but a user's last, S what was
    up to it, exp(−moments / tau_train), and T what came after it, weighted alike from the next moment on. W: a user
    counts exp(−days since their last event / tau_user). The inputs X and S have rows of sum 1, the outputs do not (the
    authors' code). Inference: x weighs an event exp(−moments / tau).

    Attributes:
        l2: λ.
        alpha: the share of SLIS.
        tau_train, tau: in moments.
        tau_user: in days.
    """

    fitted_by: ClassVar[tuple[str, ...]] = ("l2", "alpha", "tau_train", "tau_user")

    l2: float = 10.0
    alpha: float = 0.2
    tau_train: float = 2.0
    tau_user: float = 256.0
    tau: float = 4.0
    matrix: Matrix = field(init=False, repr=False, compare=False)

    def fit(self, training: TrainingData) -> None:
        moments = Moments.of(training)
        items = moments.matrix()
        last = np.maximum.reduceat(moments.days, np.flatnonzero(np.diff(moments.user, prepend=-1)))
        user = np.cumsum(np.diff(moments.user, prepend=-1) != 0) - 1
        counts = np.exp(-(moments.days.max() - last) / self.tau_user)

        member = sp.csr_array((np.ones(len(user), np.float32), (user, np.arange(len(user)))))
        whole = member @ items
        whole.data[:] = 1
        inputs, row = scaled(normalised(whole), np.sqrt(self.alpha * counts)), self.alpha * counts
        gram, cross = product(inputs, inputs), product(normalised(whole), scaled(whole, row))

        before, after = self._sides(moments, items)
        row = (1 - self.alpha) * counts[user]
        gram += product(before, scaled(before, row))
        cross += product(before, scaled(after, row))
        self.matrix = ridge(gram, cross, self.l2)

    def _sides(self, moments: Moments, items: sp.csr_array) -> tuple[sp.csr_array, sp.csr_array]:
        """S and T [M, I]; a user's last moment has nothing after it and an empty row in both."""
        reach = max(1, math.ceil(-self.tau_train * math.log(LEAST)))

        def left(gap: int, _: Floats) -> float:
            return math.exp(-gap / self.tau_train)

        def next_on(gap: int, _: Floats) -> float:
            return math.exp(-(gap - 1) / self.tau_train)

        follows = np.append(moments.user[1:] == moments.user[:-1], False)
        before = scaled(moments.pairs(left, range(reach + 1)), follows)
        after = sp.csr_array(moments.pairs(next_on, range(1, reach + 1)).T)
        return normalised(before @ items), after @ items

    def score(self, histories: Histories) -> Scores:
        scores: Scores = profile(histories, np.exp(-histories.moments / self.tau)).tocsc() @ self.matrix
        return scores


def normalised(matrix: sp.csr_array) -> sp.csr_array:
    """Rows of sum 1; empty ones stay empty."""
    sums: Floats = np.asarray(matrix.sum(axis=1), np.float64)
    return scaled(matrix, 1 / np.maximum(sums, 1e-12))
