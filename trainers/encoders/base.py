"""What every encoder offers, and the settings that all terms share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from trainers.forgetting import ForgettingSettings, build
from trainers.histories import Histories
from trainers.log import TrainingData

Array = npt.NDArray[np.generic]
Scores = npt.NDArray[np.floating]
Statistics = dict[str, npt.NDArray[np.floating]]
"""Sums over users: those of two halves of the users add up to those of all."""


class EncoderSettings(BaseModel):
    """What every term of a model says of itself.

    Attributes:
        kind: the encoder.
        name: how a search space and a report call the term; the kind where it is left out.
        weight: its factor in the sum of terms.
        scale: `raw` scores, or `standard`: each query's scores are shifted and scaled to mean 0 and variance 1 over
            the catalogue, which makes the weights of terms with different units comparable.
        weights: whether an event counts by the log's column `weight` (the quantity bought, the rating).
        forgetting: R(age) of this term.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    name: str = Field("", pattern=r"^[A-Za-z0-9_-]*$")  # it becomes a file name, and `+` joins names
    weight: float = Field(1.0, ge=0, allow_inf_nan=False)
    scale: Literal["raw", "standard"] = "raw"
    weights: bool = False
    forgetting: ForgettingSettings = ForgettingSettings()

    @property
    def label(self) -> str:
        return self.name or self.kind

    def without_forgetting(self) -> Self:
        """The same term under `none`: it remembers everything, in its profile and in its loss."""
        return self.model_copy(update={"forgetting": ForgettingSettings()})


class Encoder(ABC):
    """A fitted (or not yet fitted) encoder. `state` is all that it learned; settings and state make it again."""

    kind: ClassVar[str]

    def __init__(self, settings: Any, items: int) -> None:
        self.settings = settings
        self.items = items
        self.forgetting = build(settings.forgetting)

    @abstractmethod
    def score(self, histories: Histories) -> Scores:
        """[Q, I] the score of every catalogue column at every moment, before `scale` and `weight`."""

    @abstractmethod
    def state(self) -> dict[str, Array]:
        """Everything that was learned, as named arrays."""

    @abstractmethod
    def load(self, state: dict[str, Array]) -> None:
        """Take back what `state` gave."""

    @classmethod
    def fit_key(cls, settings: Any) -> dict[str, Any]:
        """The settings on which the fit depends: two terms that agree in them share one fit."""
        key: dict[str, Any] = settings.model_dump(mode="json", exclude={"name", "weight", "scale"})
        return key

    def event_scores(self, histories: Histories, column: int) -> Scores | None:
        """[E] what each event of one history adds to the raw score of `column`, summing to it exactly; None where
        the encoder does not split over events."""
        return None


class ClosedForm(Encoder):
    """An encoder that is solved from sums over users, so that many workers can each sum their own."""

    @abstractmethod
    def statistics(self, data: TrainingData, users: slice) -> Statistics:
        """The sums over a range of users."""

    @abstractmethod
    def solve(self, statistics: Statistics) -> None:
        """Fit from the sums over all users."""

    @classmethod
    def statistics_key(cls, settings: Any) -> dict[str, Any]:
        """The settings on which the sums depend: a search that varies others sums once."""
        return cls.fit_key(settings)
