"""What is finished of the tasks of a search: whole trials, stopped ones, and rounds of a population."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trainers.model import ModelSettings
from trainers.search.course import Step, Task
from trainers.search.halving import Reading
from trainers.search.ledger import Entry, Ledger
from trainers.search.objective import Reached, State
from trainers.search.rounds import Rounds


class Records:
    """The ledger, and beside it the rounds that are not the last of their member."""

    def __init__(self, folder: Path, objective: str) -> None:
        self.ledger = Ledger(folder, objective)
        self.rounds = Rounds(self.ledger)

    def find(self, settings: ModelSettings, task: Task) -> Entry | None:
        """How a task ended, if it did."""
        if task.until is None:
            return self.ledger.find(settings, task.cutoffs)
        found = self.rounds.find(settings, task.until)
        return Entry(((float(task.until), found["value"]),)) if found else None

    def told(self, settings: ModelSettings, step: Step) -> Step:
        """A round with the figures that are written down of it."""
        found = self.rounds.find(settings, step.until)
        return replace(step, told=found["told"]) if found else step

    def start(self, settings: ModelSettings, task: Task) -> State | None:
        """What a task goes on from: nothing, where it begins or where all that was left is lost."""
        return self.rounds.start(settings, task.after)

    def enter(
        self,
        settings: ModelSettings,
        task: Task,
        reached: Reached,
        readings: Sequence[Reading],
        seconds: float,
    ) -> Entry:
        """Write down where a task came to an end."""
        if task.until is not None and not reached.whole:
            self.rounds.enter(settings, task.until, reached, seconds)
            return Entry(tuple(readings[-1:]))
        values = reached.values if reached.whole else None
        self.ledger.enter(settings, values, seconds, params=task.params, readings=readings, at=reached.at)
        return Entry(tuple(readings), None if values is None else float(values.mean()))
