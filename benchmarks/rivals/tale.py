"""TALE: Park, Yoon, Choi & Lee 2025, "Temporal Linear Item-Item Model for Sequential Recommendation" (WSDM)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from benchmarks.rivals.base import Floats, Matrix, Moments, Rival, Scores, product, profile, ridge, scaled
from trainers.histories import Histories
from trainers.log import TrainingData


@dataclass
class Tale(Rival):
    """B = argmin ‖T − SB‖² + λ‖B‖² = (SᵀS + λI)⁻¹SᵀT, scores = x·B.

    Single-target augmentation: a row for each event of training, its target, and S what came before it. Time-interval
    weighting: S counts an event exp(−Δt / tau_train), never less than `floor`. Trend normalisation: both sides are
    scaled by n^beta, n an item's events of the last `trend` days up to then. Inference: x weighs an item
    exp(−moments / tau), by order, as the authors do.

    Targets of one moment share a row of S, which therefore counts once for each of them.

    Attributes:
        l2: λ.
        tau_train, floor: of the time-interval weighting; days.
        length: how many moments back a row reaches (the authors cut sequences too).
        beta: 0 is no normalisation.
        tau: at inference, in moments.
        once: at inference an item counts by its latest event alone (the authors' code), or by all of them.
    """

    fitted_by: ClassVar[tuple[str, ...]] = ("l2", "tau_train", "floor", "length", "beta", "trend")

    l2: float = 100.0
    tau_train: float = 7.0
    floor: float = 0.1
    length: int = 50
    beta: float = 0.0
    trend: float = 90.0
    tau: float = 4.0
    once: bool = True
    matrix: Matrix = field(init=False, repr=False, compare=False)

    def fit(self, training: TrainingData) -> None:
        moments = Moments.of(training)
        normal = moments.matrix(recent(moments, self.trend) ** self.beta if self.beta else None)

        def left(_: int, days: Floats) -> Floats:
            return np.maximum(np.exp(-days / self.tau_train), self.floor)

        source = moments.pairs(left, range(1, self.length + 1)) @ normal
        targets = np.diff(normal.indptr)
        gram = product(source, scaled(source, targets))
        self.matrix = ridge(gram, product(source, normal), self.l2)

    def score(self, histories: Histories) -> Scores:
        weights = np.exp(-histories.moments / self.tau)
        if self.once:
            weights *= latest(histories)
        scores: Scores = profile(histories, weights).tocsc() @ self.matrix
        return scores


def latest(histories: Histories) -> npt.NDArray[np.bool_]:
    """[E] which events are the last of their item."""
    cell = histories.query * np.int64(histories.items) + histories.columns
    _, last = np.unique(cell[::-1], return_index=True)  # histories are oldest first
    found = np.zeros(len(cell), bool)
    found[len(cell) - 1 - last] = True
    return found


def recent(moments: Moments, days: float) -> Floats:
    """[E] how many events an item had in the last `days` up to each of its events, itself included."""
    when = moments.days[moments.of_event]
    order = np.lexsort((when, moments.columns))
    span = when.max() - when.min() + days + 1
    key = moments.columns[order] * (2 * span) + (when[order] - when.min())  # by item, then by time
    counts = np.empty(len(key))
    counts[order] = np.searchsorted(key, key, side="right") - np.searchsorted(key, key - days, side="left")
    return counts
