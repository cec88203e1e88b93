"""What came of a search: its trials, and what was known before them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from trainers.model import ModelSettings
from trainers.search.course import Course, Step
from trainers.search.curve_space import Params
from trainers.search.halving import Stop
from trainers.search.objective import Subject
from trainers.search.space import Space
from trainers.search.warm import Known


@dataclass(frozen=True)
class Outcome:
    """A trial that is over: finished with a `value`, stopped early (`stop`), or failed with an `error`.

    Attributes:
        params: what it goes by in the end.
        file: of its values by query.
        steps: of a member of a population, how its training came about.
        at: how far it came, in epochs or share of users.
    """

    number: int
    params: Params
    value: float | None
    error: str | None = None
    file: str | None = None
    stop: Stop | None = None
    steps: tuple[Step, ...] = ()
    at: float = 0.0

    @property
    def course(self) -> Course:
        """What it went by, from so many epochs on."""
        return tuple((step.begin, step.params) for step in self.steps) or ((0, self.params),)

    @property
    def name(self) -> str:
        return f"trial-{self.number:03d}"

    def per_query(self) -> npt.NDArray[np.float64]:
        """[Q] the metric of every validation query."""
        if self.file is None:
            why = f"failed and has no values: {self.error}" if self.error else "was stopped before its end"
            raise ValueError(f"`{self.name}` {why}")
        values: npt.NDArray[np.float64] = np.load(self.file)
        return values


@dataclass(frozen=True)
class SearchResult:
    """All trials in the order of their proposal, and what was known of a former search."""

    space: Space
    model: ModelSettings
    trials: list[Outcome]
    importance: dict[str, float] = field(default_factory=dict)
    known: Known | None = None

    @property
    def failed(self) -> list[Outcome]:
        return [trial for trial in self.trials if trial.error is not None]

    @property
    def stopped(self) -> list[Outcome]:
        return [trial for trial in self.trials if trial.stop is not None]

    @property
    def ranking(self) -> list[Outcome]:
        """The finished trials, best first; of equals, the one proposed first. What was stopped is none of them."""
        finished = [trial for trial in self.trials if trial.value is not None]
        return sorted(finished, key=lambda trial: (-(trial.value or 0.0), trial.number))

    def settings(self, trial: Outcome) -> ModelSettings:
        return Subject(self.model, self.space).along(trial.course)
