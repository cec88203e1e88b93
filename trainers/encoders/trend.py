"""`trend`: what everybody has been taking lately; the control that any gain must survive."""

from __future__ import annotations

from typing import Literal

import numpy as np

from trainers.encoders.base import Array, ClosedForm, EncoderSettings, Scores, Statistics
from trainers.histories import Histories
from trainers.log import DAY, TrainingData


class TrendSettings(EncoderSettings):
    """`{kind: trend, weight: 0.3, forgetting: {family: exponential, half_life: 7}}`."""

    kind: Literal["trend"] = "trend"


class Trend(ClosedForm):
    """Decayed popularity: Σ R(age) over all training events of an item, the most popular one at 1.

    Ages are counted to the last training event (or, with `clock: moments`, to the user's last training moment), the
    same for every query: refreshing the trend after the cut would update a parameter.
    """

    kind = "trend"

    def statistics(self, data: TrainingData, users: slice) -> Statistics:
        rows = data.rows_of(users)
        log = data.log
        days = (data.end - log.times[rows]) / DAY
        last = log.moments[np.maximum(data.stop - 1, 0)]
        moments = np.repeat(last[users], data.stop[users] - log.offsets[:-1][users]) - log.moments[rows]
        kept = self.forgetting.retention(days, moments.astype(np.float64))
        if self.settings.weights:
            kept = kept * log.weights[rows]
        popularity = np.bincount(data.column[log.items[rows]], kept, minlength=self.items)
        return {"popularity": popularity.astype(np.float64)}

    def solve(self, statistics: Statistics) -> None:
        popularity = statistics["popularity"]
        self.popularity = popularity / max(popularity.max(), np.finfo(np.float64).tiny)

    def score(self, histories: Histories) -> Scores:
        return np.broadcast_to(self.popularity, (len(histories), self.items))

    def state(self) -> dict[str, Array]:
        return {"popularity": self.popularity}

    def load(self, state: dict[str, Array]) -> None:
        self.popularity = np.asarray(state["popularity"], np.float64)
