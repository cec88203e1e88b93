"""`own`: the user's own past items, by what is left of them."""

from __future__ import annotations

from typing import Literal

import numpy as np

from trainers.encoders.base import ClosedForm, HistorySettings, Scores, Split, Statistics
from trainers.histories import Histories
from trainers.log import TrainingData


class OwnSettings(HistorySettings):
    """`{kind: own, forgetting: {family: power, tau: 7, exponent: 0.5}}`."""

    kind: Literal["own"] = "own"


class Own(ClosedForm):
    """The decayed profile itself: Σ R(age)·w over the user's events of each item. It may learn its curve."""

    kind = "own"

    def statistics(self, data: TrainingData, users: slice) -> Statistics:
        return super().statistics(data, users)

    def solve(self, statistics: Statistics) -> None:
        super().solve(statistics)

    def score(self, histories: Histories) -> Scores:
        scores: Scores = self.profile(histories).toarray()
        return scores

    def split(self, histories: Histories, column: int, score: float) -> Split:
        left = np.where(histories.columns == column, self.retained(histories), 0.0)
        return Split(left, left, 0.0)
