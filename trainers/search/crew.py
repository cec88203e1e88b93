"""The actors of a search, and what Tune asks for the next trial: several searches share one crew."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ray import tune
from ray.tune.search import Searcher

from trainers.model import ModelSettings
from trainers.remote import told
from trainers.search.course import Task
from trainers.search.halving import Reading
from trainers.search.ledger import Entry
from trainers.search.objective import Judge, Objective, Subject
from trainers.search.proposals import Search
from trainers.search.records import Records
from trainers.spent import Spent, Starter, Watch, unspent

CREW_PATIENCE = 20.0  # seconds that the first trials wait for the other actors to come up


class Turns(Searcher):
    """Deals out the trials of several searches, the search that is least far first; what each proposes depends on its
    own trials alone."""

    def __init__(
        self,
        searches: Sequence[Search],
        over: Callable[[int, int], None],
        spent: Callable[[Spent], None] = unspent,
    ) -> None:
        super().__init__(metric="value", mode="max")
        self.searches = searches
        self._over, self._spent = over, spent
        self._tasks: dict[str, tuple[int, Task]] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if all(search.over for search in self.searches):
            return str(Searcher.FINISHED)
        for place in sorted(range(len(self.searches)), key=lambda place: self.searches[place].proposed):
            if (task := self.searches[place].propose()) is not None:
                self._tasks[trial_id] = place, task
                return {"search": place, **task.to_dict()}
        return None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        place, task = self._tasks[trial_id]
        search = self.searches[place]
        if result and "spent" in result:
            self._spent(Spent(*result["spent"]))
        if error or not result or result.get("error") or "readings" not in result:
            search.tell(task.number, None)
        else:
            entry = Entry(tuple(result["readings"]), result["value"])
            search.tell(task.number, entry.value, entry.readings, entry.stop(task.cutoffs))
        self._over(place, task.number)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune writes its searcher down, and whoever waits for `over` stays here."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Tune wants a file; what matters of the searches' state is in the ledger."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a search is taken up again from its ledger, not from Tune's files")


class Trial(tune.Trainable):
    """One trial; its actor stays for the next ones, so that what all trials share is read once."""

    def setup(
        self,
        config: dict[str, Any],
        objective: Objective,
        subjects: Sequence[Subject],
        folder: Path,
        crew: Path,
        size: int,
        seconds: float | None,
        starter: Starter,
    ) -> None:
        self.subjects, self.crew, self.seconds = subjects, crew, seconds
        self.watch = Watch(starter)
        self.records = Records(folder, objective.key())
        self.judge = objective.open()
        self.reset_config(config)
        wait_for_crew(crew, size)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.place: int = new_config["search"]
        self.task = Task(**{name: new_config[name] for name in Task.names()})
        return True

    def step(self) -> dict[str, Any]:
        result = self._result()
        return {**result, "spent": tuple(self.watch.read()), "done": True}

    def _result(self) -> dict[str, Any]:
        try:
            settings = self.subjects[self.place].along(self.task.course)
            # A search that was killed may have finished later trials than the first missing, and a proposal may repeat.
            entry = self.records.find(settings, self.task)
            if entry is None:
                with at_most(self.seconds, late_file(self.crew, self.place, self.task.number)):
                    entry = carry_out(self.task, settings, self.judge, self.records)
        except Exception as error:
            # A result like others: Tune would end the actor, and with it all that it has read.
            return {"value": None, "readings": [], "error": told(error)}
        return {"value": entry.value, "readings": list(entry.readings), "error": None}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        pass

    def load_checkpoint(self, checkpoint: Any) -> None:
        pass


def carry_out(task: Task, settings: ModelSettings, judge: Judge, records: Records) -> Entry:
    """Judge a model until the task is done or the trial stopped, and write it down.

    Raises:
        FloatingPointError: the metric is no number.
    """
    started = time.monotonic()
    readings: list[Reading] = []
    bar = dict(task.cutoffs)
    for reached in judge(settings, records.start(settings, task)):
        value = float(reached.values.mean())
        if not np.isfinite(value):
            raise FloatingPointError(f"the metric is {value}")
        if not reached.whole:
            readings.append((reached.at, value))
        if reached.whole or reached.at == task.until or value < bar.get(reached.at, -np.inf):
            break
    return records.enter(settings, task, reached, readings, time.monotonic() - started)


def wait_for_crew(folder: Path, size: int) -> None:
    """Wait until `size` actors are up, or for so long as that may take.

    Tune gives a waiting trial to whichever actor is free, and ends the actor that was being started for it. Where
    trials are shorter than that start, the first actor would take them all and no other would ever come up."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(uuid.uuid4())).touch()
    until = time.monotonic() + CREW_PATIENCE
    while time.monotonic() < until and len(list(folder.iterdir())) < size:
        time.sleep(0.05)


def late_file(crew: Path, place: int, number: int) -> Path:
    """Where an actor that ends itself leaves word of the trial that took too long."""
    return crew.with_name("late") / f"{place}-{number}"


@contextmanager
def at_most(seconds: float | None, word: Path) -> Iterator[None]:
    """End this process where the block takes longer: a trial that hangs inside a library hears nothing softer. Tune
    takes the trial for failed and starts another actor for the next."""
    if seconds is None:
        yield
        return

    def end() -> None:
        word.parent.mkdir(parents=True, exist_ok=True)
        word.touch()
        os._exit(1)

    watch = threading.Timer(seconds, end)
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()
