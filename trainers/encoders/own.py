"""`own`: the user's own past items, by what is left of them."""

from __future__ import annotations

from typing import Literal

import numpy as np

from trainers.encoders.base import Array, ClosedForm, EncoderSettings, Scores, Statistics
from trainers.histories import Histories
from trainers.log import TrainingData


class OwnSettings(EncoderSettings):
    """`{kind: own, forgetting: {family: power, tau: 7, exponent: 0.5}}`."""

    kind: Literal["own"] = "own"


class Own(ClosedForm):
    """The decayed profile itself: Σ R(age)·w over the user's events of each item. It has nothing to fit."""

    kind = "own"

    def statistics(self, data: TrainingData, users: slice) -> Statistics:
        return {}

    def solve(self, statistics: Statistics) -> None:
        pass

    def score(self, histories: Histories) -> Scores:
        scores: Scores = histories.profile(self.forgetting, self.settings.weights).toarray()
        return scores

    def state(self) -> dict[str, Array]:
        return {}

    def load(self, state: dict[str, Array]) -> None:
        pass

    def event_scores(self, histories: Histories, column: int) -> Scores:
        kept = histories.retained(self.forgetting, self.settings.weights)
        return np.where(histories.columns == column, kept, 0.0)
