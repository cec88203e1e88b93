"""`trend`: what everybody has been taking lately; the control that any gain must survive."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from trainers.curves.learning import of_crowd
from trainers.encoders.base import Array, ClosedForm, EncoderSettings, Scores, Statistics
from trainers.forgetting import Forgetting
from trainers.histories import Histories
from trainers.log import DAY, TrainingData
from trainers.storage.saved import Shape


class TrendSettings(EncoderSettings):
    """`{kind: trend, weight: 0.3, forgetting: {family: exponential, half_life: 7}}`.

    A trend is nobody's: its scope is never `user`. A learned one is the same for all and on the clock `time`, since a
    crowd has no moments to count; stretches by event type or category are fixed."""

    scopes: ClassVar[tuple[str, ...]] = ("all", "event_type", "category")
    kind: Literal["trend"] = "trend"

    @model_validator(mode="after")
    def _learns_one_curve_of_time(self) -> Self:
        curve = self.forgetting
        if curve.learned and (curve.scope, curve.clock) != ("all", "time"):
            raise ValueError(
                "`forgetting.learn` of `trend` needs `scope: all` and `clock: time`, but got "
                f"(scope={curve.scope}, clock={curve.clock})."
            )
        return self


class Trend(ClosedForm):
    """Decayed popularity: Σ R(age) over all training events of an item, the most popular one at 1.

    Ages are counted to the last training event (or, with `clock: moments`, to the user's last training moment), the
    same for every query: refreshing the trend after the cut would update a parameter.
    """

    kind = "trend"

    def learn(
        self, data: TrainingData, repeats: bool, seed: int
    ) -> tuple[Forgetting, npt.NDArray[np.float64] | None]:
        return of_crowd(self.settings.forgetting, data, seed=seed)

    def statistics(self, data: TrainingData, users: slice) -> Statistics:
        rows = data.rows_of(users)
        log = data.log
        days = (data.end - log.times[rows]) / DAY
        last = log.moments[np.maximum(data.stop - 1, 0)]
        moments = np.repeat(last[users], data.counts(users)) - log.moments[rows]
        longer = (
            1.0 if self.stretch is None else self.of_groups(log.groups(self.settings.forgetting.scope, rows))
        )
        kept = self.forgetting.retention(days / longer, moments / longer)
        if self.settings.weights:
            kept = kept * log.weights[rows]
        popularity = np.bincount(data.column[log.items[rows]], kept, minlength=self.items)
        return {**super().statistics(data, users), "popularity": popularity.astype(np.float64)}

    def solve(self, statistics: Statistics) -> None:
        super().solve(statistics)
        popularity = statistics["popularity"]
        self.popularity = popularity / max(popularity.max(), np.finfo(np.float64).tiny)

    def score(self, histories: Histories) -> Scores:
        return np.broadcast_to(self.popularity, (len(histories), self.items))

    def state(self) -> dict[str, Array]:
        return {**super().state(), "popularity": self.popularity}

    def load(self, state: dict[str, Array]) -> None:
        super().load(state)
        self.popularity = np.asarray(state["popularity"], np.float64)

    def shapes(self) -> dict[str, Shape]:
        return {**super().shapes(), "popularity": (self.items,)}
