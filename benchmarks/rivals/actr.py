"""ACT-R's activation, as recommenders use it: Reiter-Haas, Parada-Cabaleiro, Schedl, Motamedi, Tkalčič & Lex 2021,
"Predicting Music Relistening Behavior Using the ACT-R Framework" (RecSys); Tran, Salha-Galvan, Sguerra & Hennequin
2024, "Transformers Meet ACT-R: Repeat-Aware and Sequential Listening Session Recommendation" (RecSys, PISA)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from benchmarks.rivals.base import Moments, Rival, Scores, profile
from trainers.histories import Histories
from trainers.log import TrainingData


@dataclass
class ActR(Rival):
    """scores = B + spreading·S + matching·P, each of sum 1 over the catalogue.

    B: base level, softmax of ln Σ age^−d over the user's own items, which is Σ age^−d over its sum. S: spreading from
    the context, mean over its items j of the share of j's sessions that had i too. P: partial matching, mean over the
    context of the cosine between the users of i and of j (items have no other features here). The context is the
    user's last `context` moments; a session is what a user does without a break of `session` days.

    PISA feeds these into a transformer over item embeddings; this is the memory alone.

    Attributes:
        decay: d, ACT-R's ½.
    """

    fitted_by: ClassVar[tuple[str, ...]] = ("session",)

    decay: float = 0.5
    spreading: float = 0.5
    matching: float = 0.0
    context: int = 1
    session: float = 1.0
    together: sp.csr_array = field(init=False, repr=False, compare=False)
    alike: sp.csr_array = field(init=False, repr=False, compare=False)

    def fit(self, training: TrainingData) -> None:
        moments = Moments.of(training)
        items = moments.matrix()
        breaks = (np.diff(moments.user, prepend=-1) != 0) | (np.diff(moments.days, prepend=0) > self.session)
        counts = _grouped(items, np.cumsum(breaks) - 1)
        self.together = sp.csr_array(sp.diags_array(1 / np.maximum(_diagonal(counts), 1)) @ _hollow(counts))
        shared = _grouped(items, np.cumsum(np.diff(moments.user, prepend=-1) != 0) - 1)
        length = sp.diags_array(1 / np.sqrt(np.maximum(_diagonal(shared), 1)))
        self.alike = sp.csr_array(length @ _hollow(shared) @ length)

    def score(self, histories: Histories) -> Scores:
        base = profile(histories, np.maximum(histories.days, 1e-9) ** -self.decay).toarray()
        context = profile(histories, (histories.moments < self.context).astype(np.float64))
        scores: Scores = _whole(base)
        if self.spreading:
            scores += self.spreading * _whole((context @ self.together).toarray())
        if self.matching:
            scores += self.matching * _whole((context @ self.alike).toarray())
        return scores


def _grouped(items: sp.csr_array, group: np.ndarray) -> sp.csr_array:
    """[I, I] in how many groups of moments two items are together."""
    member = sp.csr_array((np.ones(len(group), np.float32), (group, np.arange(len(group)))))
    sets = member @ items
    sets.data[:] = 1
    return sp.csr_array(sets.T @ sets)


def _diagonal(matrix: sp.csr_array) -> np.ndarray:
    return np.asarray(matrix.diagonal(), np.float64)


def _hollow(matrix: sp.csr_array) -> sp.csr_array:
    """Without its diagonal: an item does not remind of itself."""
    made = matrix.copy()
    made.setdiag(0)
    return made


def _whole(scores: Scores) -> Scores:
    """Rows of sum 1; rows of zeros stay."""
    made: Scores = scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-12)
    return made
