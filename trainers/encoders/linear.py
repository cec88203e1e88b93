"""`linear`: closed-form item-to-item weights over the decayed profile."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import Field
from scipy.linalg import LinAlgError, cho_factor, cho_solve, lapack

from trainers.encoders.base import Array, ClosedForm, HistorySettings, Scores, Split, Statistics
from trainers.histories import Histories
from trainers.log import Queries, TrainingData
from trainers.storage.saved import Shape

Matrix = npt.NDArray[np.float32]

BLOCK_MOMENTS = 4096  # training moments whose profiles are held at once
BLOCK_ROWS = 256  # of a matrix that is mirrored

NOT_POSITIVE = "`linear`: the Gram matrix plus l2 is not positive definite ({}); raise l2."


class LinearSettings(HistorySettings):
    """`{kind: linear, variant: ease, l2: 500, forgetting: {family: exponential, half_life: 30}}`.

    Attributes:
        variant: `ease`, or `next`.
        l2: λ > 0, the ridge.
    """

    kind: Literal["linear"] = "linear"
    variant: Literal["ease", "next"] = "ease"
    l2: float = Field(500.0, gt=0, allow_inf_nan=False)


class Linear(ClosedForm):
    """scores = profile @ B, the profile being Σ R(age)·w over the history.

    `ease` (Steck 2019): B minimises ‖X − XB‖² + λ‖B‖² with a zero diagonal, X counting each user-item pair of training
    once: P = (XᵀX + λI)⁻¹, B_ij = −P_ij / P_jj. The fit knows no forgetting, only the profile does.

    `next`: ridge regression from the decayed profile at each training moment (events strictly before it) to the
    items of that moment, each moment counting once: B = (PᵀP + λI)⁻¹ PᵀY.
    """

    kind = "linear"
    matrix: Matrix

    @classmethod
    def statistics_key(cls, settings: Any) -> dict[str, Any]:
        if settings.variant == "ease":
            return {"kind": "linear", "variant": "ease", **cls.curve_key(settings)}
        return {name: value for name, value in cls.fit_key(settings).items() if name != "l2"}

    @classmethod
    def fit_key(cls, settings: Any) -> dict[str, Any]:
        if settings.variant == "ease":
            return {**cls.statistics_key(settings), "l2": settings.l2}
        return super().fit_key(settings)

    def statistics(self, data: TrainingData, users: slice) -> Statistics:
        if self.settings.variant == "ease":
            sums: Statistics = {"gram": self._pairs_gram(data, users)}
        else:
            sums = self._moments_gram(data, data.moments(users))
        return {**super().statistics(data, users), **sums}

    def _pairs_gram(self, data: TrainingData, users: slice) -> Matrix:
        """XᵀX; its entries are counts, which float32 holds exactly up to 16 million users of a pair."""
        rows = data.rows_of(users)
        counts = data.counts(users)
        user = np.repeat(np.arange(len(counts)), counts)
        pairs = sp.csr_array(
            (np.ones(len(rows), np.float32), (user, data.column[data.log.items[rows]])),
            shape=(len(counts), self.items),
        )
        pairs.sum_duplicates()
        pairs.data[:] = 1.0
        gram = np.empty((self.items, self.items), np.float32)
        by_item = pairs.T.tocsr()
        # In blocks: the sparse product would be larger than the dense one.
        for start in range(0, self.items, BLOCK_ROWS):
            gram[start : start + BLOCK_ROWS] = (by_item[start : start + BLOCK_ROWS] @ pairs).toarray()
        return gram

    def _moments_gram(self, data: TrainingData, moments: Queries) -> Statistics:
        gram = np.zeros((self.items, self.items))
        cross = np.zeros((self.items, self.items))
        for start in range(0, len(moments), BLOCK_MOMENTS):
            block = moments.take(slice(start, start + BLOCK_MOMENTS))
            profile = self.profile(Histories.of(data.log, block, data.column, self.items))
            share = 1.0 / np.diff(block.target_offsets)
            answer = sp.csr_array(
                (np.repeat(share, np.diff(block.target_offsets)), block.targets, block.target_offsets),
                shape=(len(block), self.items),
            )
            gram += (profile.T @ profile).toarray()
            cross += (profile.T @ answer).toarray()
        return {"gram": gram, "cross": cross}

    def solve(self, statistics: Statistics) -> None:
        super().solve(statistics)
        if self.settings.variant == "ease":
            self.matrix = _ease(statistics["gram"].astype(np.float32), self.settings.l2)
        else:
            ridge = statistics["gram"].astype(np.float64)
            ridge[np.diag_indices(self.items)] += self.settings.l2
            answer = statistics["cross"].astype(np.float64)
            try:
                factor = cho_factor(ridge, overwrite_a=True)
            except LinAlgError as error:
                raise ValueError(NOT_POSITIVE.format(error)) from error
            self.matrix = np.asarray(cho_solve(factor, answer), np.float32)

    def score(self, histories: Histories) -> Scores:
        profile = self.profile(histories)
        # By column: each row of the matrix is read once for all queries, not once an event (a third less time).
        scores: Scores = profile.tocsc() @ self.matrix
        return scores

    def state(self) -> dict[str, Array]:
        return {**super().state(), "matrix": self.matrix}

    def load(self, state: dict[str, Array]) -> None:
        super().load(state)
        self.matrix = np.asarray(state["matrix"], np.float32)

    def shapes(self) -> dict[str, Shape]:
        return {**super().shapes(), "matrix": (self.items, self.items)}

    def split(self, histories: Histories, column: int, score: float) -> Split:
        left = self.retained(histories)
        return Split(left * self.matrix[histories.columns, column], left, 0.0)


def _ease(gram: Matrix, l2: float) -> Matrix:
    """B from XᵀX, which is overwritten, and λ. Its inverse comes from its Cholesky factor in place: a fourth of the
    time and a third of the memory of a general inverse."""
    gram[np.diag_indices(len(gram))] += np.float32(l2)
    # The transpose is the order that LAPACK reads.
    factor, info = lapack.spotrf(gram.T, lower=1, overwrite_a=1)
    if info == 0:
        factor, info = lapack.spotri(factor, lower=1, overwrite_c=1)
    if info != 0:
        raise ValueError(NOT_POSITIVE.format(f"LAPACK info {info}"))
    inverse = np.ascontiguousarray(factor.T)  # LAPACK filled its upper half
    for start in range(0, len(inverse), BLOCK_ROWS):
        stop = start + BLOCK_ROWS
        corner = inverse[start:stop, start:stop]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
        inverse[stop:, start:stop] = inverse[start:stop, stop:].T
    inverse /= -np.diag(inverse).copy()
    np.fill_diagonal(inverse, 0)
    return inverse
