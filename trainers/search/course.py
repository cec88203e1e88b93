"""What a trial is to do: the settings of its model, by epoch where they change on the way, and how far it goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from trainers.encoders import NeuralSettings, TermSettings
from trainers.model import ModelSettings
from trainers.search.curve_space import Params
from trainers.search.halving import Reading
from trainers.training.changes import CHANGEABLE, Change

Course = tuple[tuple[int, Params], ...]
"""(after how many epochs, the point of the space from there on); the first stands at 0."""


@dataclass(frozen=True)
class Task:
    """A trial, or a part of one.

    Attributes:
        number: by which it is told how it ended.
        course: its parameters.
        cutoffs: what it must reach at each rung to go on.
        until: it ends after so many epochs and leaves what it takes to go on; by default it is done whole.
        after: where what was left of the same training may be: so many epochs each.
    """

    number: int
    course: Course
    cutoffs: tuple[Reading, ...] = ()
    until: int | None = None
    after: tuple[int, ...] = ()

    @property
    def params(self) -> Params:
        """What it goes by in the end."""
        return self.course[-1][1]

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.names()}

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(each.name for each in fields(cls))


@dataclass(frozen=True)
class Step:
    """A round of the training that a member has in the end.

    Attributes:
        begin, until: the epochs that were over before it and after it.
        member: whose round it was; where that is another one than in the round before, its training was taken over.
        params: the settings it went by.
        value: the metric after it, of the parameters as they were then; None of the last, whose value is the trial's.
        told: other figures of the model as it was then, as the half-lives of its learned curves.
    """

    begin: int
    until: int
    member: int
    params: Params
    value: float | None
    told: dict[str, float] = field(default_factory=dict)


def scheduled(stages: Sequence[tuple[int, ModelSettings]]) -> ModelSettings:
    """The first of some models, its networks trained by the settings of the next ones from so many epochs on: one
    model, whose description holds the whole schedule."""
    first = stages[0][1]
    terms = []
    for place, term in enumerate(first.terms):
        changes, before = [], term
        for after, model in stages[1:]:
            now = model.terms[place]
            if isinstance(now, NeuralSettings) and after < now.training.epochs:
                values = {name: _of(now, name) for name in CHANGEABLE if _of(now, name) != _of(before, name)}
                if values:
                    changes.append(Change(after=after, **values))
                before = now
        terms.append(_with_changes(term, changes))
    return ModelSettings(terms=tuple(terms))


def until(model: ModelSettings, epochs: int) -> ModelSettings:
    """The model without what would change only after so many epochs: up to there the two are trained alike."""
    terms = [
        _with_changes(term, [change for change in term.training.changes if change.after < epochs])
        if isinstance(term, NeuralSettings)
        else term
        for term in model.terms
    ]
    return ModelSettings(terms=tuple(terms))


def _of(term: Any, name: str) -> Any:
    return term.dropout if name == "dropout" else getattr(term.training, name)


def _with_changes(term: TermSettings, changes: Sequence[Change]) -> TermSettings:
    if not isinstance(term, NeuralSettings) or tuple(changes) == term.training.changes:
        return term
    training = term.training.model_copy(update={"changes": tuple(changes)})
    return term.model_copy(update={"training": training})
