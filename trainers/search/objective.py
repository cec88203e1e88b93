"""What a search maximises, and around what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from trainers.model import ModelSettings
from trainers.search.course import Course, scheduled
from trainers.search.curve_space import Params
from trainers.search.space import Space

State = dict[str, Any]
"""What it takes to go on with a trial, as tensors, numbers, words, lists and dictionaries of such."""


@dataclass(frozen=True)
class Reached:
    """How far a trial has come.

    Attributes:
        at: after so many epochs, or with so large a share of the users.
        values: the metric of the validation queries that are answered; [Q] of all in their order where it is whole.
        whole: this is the trial's end.
        state: what it takes to go on from here, where the scheduler is one that asks for it.
        told: figures of the model as it is here, by name, as the half-lives of its learned curves.
    """

    at: float
    values: npt.NDArray[np.float64]
    whole: bool = True
    state: State | None = None
    told: dict[str, float] = field(default_factory=dict)


class Judge(Protocol):
    """Judges a model step by step: where it comes to a rung of the scheduler, and last where it is whole. Who asks for
    no further step stops the trial."""

    def __call__(self, settings: ModelSettings, start: State | None = None) -> Iterator[Reached]:
        """From the beginning, or from where the same trial, or one that was the same up to there, had come to."""


class Objective(Protocol):
    """Judges a model on validation. It travels to the workers, so it carries paths, not arrays."""

    def key(self) -> str:
        """Names all that values depend on: results of different keys are never mixed."""

    def about(self) -> dict[str, Any]:
        """What values of two searches must have in common to be compared: the data, the cuts, the metric."""

    def open(self) -> Judge:
        """Called once a worker: what is shared by all trials is read here."""


@dataclass(frozen=True)
class Subject:
    """A model, and the space around it to search."""

    model: ModelSettings
    space: Space

    def at(self, params: Params) -> ModelSettings:
        return self.space.apply(self.model, params)

    def along(self, course: Course) -> ModelSettings:
        """The model whose training follows a course."""
        return scheduled([(after, self.at(params)) for after, params in course])

    def without_forgetting(self) -> Subject:
        """The same under `none`."""
        return Subject(self.model.without_forgetting(), self.space.without_forgetting(self.model))
