"""What every closed-form rival offers, and the sums that several of them need."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.linalg import cho_factor, cho_solve

from trainers.histories import Histories
from trainers.log import TrainingData

Matrix = npt.NDArray[np.float32]
Scores = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NONE = np.zeros(0, np.int64)
BLOCK = 512  # rows of a Gram matrix that are summed at once


@dataclass
class Rival(ABC):
    """A recommender whose init fields are its settings.

    Attributes:
        fitted_by: the settings that `fit` depends on; all others matter to `score` alone.
    """

    fitted_by: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def fit(self, training: TrainingData) -> None:
        """Learn from the training rows; nothing is updated afterwards."""

    @abstractmethod
    def score(self, histories: Histories) -> Scores:
        """-> [Q, I]"""

    def settings(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.init}

    def key(self) -> tuple[Any, ...]:
        """What `fit` depends on."""
        return tuple(getattr(self, name) for name in self.fitted_by)

    def serving(self, other: Rival) -> Rival:
        """What this one has fitted, under the settings of `other`, which would have fitted the same."""
        if self.key() != other.key():
            raise ValueError(f"`fit` depends on {self.fitted_by}, but got {self.key()} and {other.key()}.")
        made = copy.copy(self)
        for name, value in other.settings().items():
            setattr(made, name, value)
        return made


@dataclass(frozen=True)
class Moments:
    """The moments of training, a user's oldest first: user [M], time [M] in days, row [M + 1] into the training rows.

    A basket or a page of ratings is one moment: its events have no order, so wherever a paper counts positions in a
    sequence, moments are counted here.
    """

    user: Ints
    days: Floats
    row: Ints
    columns: Ints
    items: int

    @classmethod
    def of(cls, training: TrainingData) -> Moments:
        log, rows = training.log, training.rows
        user = np.repeat(np.arange(log.users), training.stop - log.offsets[:-1])
        times = np.asarray(log.times)[rows]
        opens = np.ones(len(rows), bool)
        opens[1:] = (user[1:] != user[:-1]) | (times[1:] != times[:-1])
        at = np.flatnonzero(opens)
        columns = training.column[np.asarray(log.items)[rows]].astype(np.int64)
        return cls(user[at], times[at] / 86_400, np.append(at, len(rows)), columns, len(training.catalogue))

    def __len__(self) -> int:
        return len(self.user)

    @property
    def of_event(self) -> Ints:
        """[E] the moment of each training event."""
        return np.repeat(np.arange(len(self)), np.diff(self.row))

    def matrix(self, weights: Floats | None = None) -> sp.csr_array:
        """[M, I] the items of each moment, each once; `weights` [E] instead of ones."""
        data = np.ones(len(self.columns)) if weights is None else weights
        cells, first = np.unique(self.of_event * np.int64(self.items) + self.columns, return_index=True)
        row, column = np.divmod(cells, self.items)
        shape = (len(self), self.items)
        return sp.csr_array((data[first].astype(np.float32), (row, column)), shape=shape)

    def pairs(self, weight: Callable[[int, Floats], npt.ArrayLike], gaps: range) -> sp.csr_array:
        """[M, M] weight(moments, days) between a moment and those of its user `gaps` moments before it."""
        rows, columns, data = [], [], []
        for gap in gaps:
            later = np.flatnonzero(self.user[gap:] == self.user[: len(self) - gap]) + gap
            if not len(later):
                break
            rows.append(later)
            columns.append(later - gap)
            days = self.days[later] - self.days[later - gap]
            data.append(np.broadcast_to(weight(gap, days), len(later)).astype(np.float32))
        where = (np.concatenate([*rows, NONE]), np.concatenate([*columns, NONE]))
        values = np.concatenate([*data, NONE.astype(np.float32)])
        return sp.csr_array((values, where), shape=(len(self), len(self)))


def profile(histories: Histories, weights: Floats) -> sp.csr_array:
    """[Q, I] Σ weight over a query's events of each item; weights [E]."""
    where = (histories.query, histories.columns)
    return sp.csr_array((weights.astype(np.float32), where), shape=(len(histories), histories.items))


def product(one: sp.csr_array, other: sp.csr_array) -> Matrix:
    """oneᵀ @ other, dense [I, J]; the sparse product would be larger."""
    transposed = one.T.tocsr()
    out = np.empty((one.shape[1], other.shape[1]), np.float32)
    for start in range(0, len(out), BLOCK):
        out[start : start + BLOCK] = (transposed[start : start + BLOCK] @ other).toarray()
    return out


def scaled(matrix: sp.csr_array, rows: npt.NDArray[Any]) -> sp.csr_array:
    """diag(rows) @ matrix."""
    made = matrix.copy()
    made.data = made.data * np.repeat(rows, np.diff(made.indptr)).astype(np.float32)
    return made


def ridge(gram: Matrix, cross: Matrix, l2: float) -> Matrix:
    """(gram + l2·I)⁻¹ cross; gram is overwritten."""
    gram[np.diag_indices(len(gram))] += np.float32(l2)
    solved: Matrix = cho_solve(
        cho_factor(gram, overwrite_a=True, check_finite=False), cross, check_finite=False
    )
    return solved
