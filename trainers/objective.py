"""What a search maximises, and around what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from trainers.model import ModelSettings
from trainers.space import Params, Space


@dataclass(frozen=True)
class Reached:
    """How far a trial has come.

    Attributes:
        at: after so many epochs, or with so large a share of the users.
        values: the metric of the validation queries that are answered; [Q] of all in their order where it is whole.
        whole: this is the trial's end.
    """

    at: float
    values: npt.NDArray[np.float64]
    whole: bool = True


class Objective(Protocol):
    """Judges a model on validation. It travels to the workers, so it carries paths, not arrays."""

    def key(self) -> str:
        """Names all that values depend on: results of different keys are never mixed."""

    def about(self) -> dict[str, Any]:
        """What values of two searches must have in common to be compared: the data, the cuts, the metric."""

    def open(self) -> Callable[[ModelSettings], Iterator[Reached]]:
        """Called once a worker: what is shared by all trials is read here. The function returned judges a model step by
        step: where it comes to a rung of the scheduler, and last where it is whole. Who asks for no further step stops
        the trial."""


@dataclass(frozen=True)
class Subject:
    """A model, and the space around it to search."""

    model: ModelSettings
    space: Space

    def at(self, params: Params) -> ModelSettings:
        return self.space.apply(self.model, params)

    def without_forgetting(self) -> Subject:
        """The same under `none`."""
        return Subject(self.model.without_forgetting(), self.space.without_forgetting())
