"""The trials of a search in MLflow while the search goes on."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from itertools import takewhile
from types import TracebackType
from typing import Any

from mlflow.exceptions import MlflowException

from harness.masking import masked
from harness.progress import say
from harness.registry.nested import FAILED, GOING_ON, Below
from harness.registry.parts import Part, of_search, of_trial, trial_of
from trainers.search.outcome import Outcome

EVERY = 2.0  # seconds between two looks at what there is to tell
REST = 9.0
"""And so many times as long as the last telling took, which leaves a search of seconds its processor."""


@dataclass
class _Search:
    """One of the searches: how many trials it has, and those that are over, by number."""

    trials: int
    over: dict[int, dict[str, Any]] = field(default_factory=dict)
    untold: list[int] = field(default_factory=list)

    @property
    def first(self) -> list[dict[str, Any]]:
        """The trials before the first that is not over, or failed and may be tried again: what is said of these depends
        neither on who was faster nor on how often the process was started."""
        return [self.over[number] for number in takewhile(self._settled, range(self.trials))]

    def _settled(self, number: int) -> bool:
        trial = self.over.get(number)
        return trial is not None and (trial["value"] is not None or trial["stopped"] is not None)


class Live:
    """Tells MLflow of trials as they end, all that ended meanwhile at once, from a thread of its own.

    A registry that gives no answer stops nothing: it is told later, and at the end of the run of all that it lacks.
    Used as a context; where the block fails, so did its searches.
    """

    def __init__(self, below: Below, metric: str) -> None:
        self.below, self.metric = below, metric
        self._searches: dict[str, _Search] = {}
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def over(self, called: str, trials: int, outcome: Outcome) -> None:
        """A trial of a search of so many is over."""
        with self._lock:
            search = self._searches.setdefault(called, _Search(trials))
            search.over[outcome.number] = trial_of(outcome)
            search.untold.append(outcome.number)

    def __enter__(self) -> Live:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join()
        if error is not None:
            self._write([self._search(called, FAILED) for called in self._searches])

    def _watch(self) -> None:
        took = 0.0
        while not self._left.wait(max(EVERY, REST * took)):
            begun = time.monotonic()
            self._tell()
            took = time.monotonic() - begun
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            waiting = {
                called: len(search.untold) for called, search in self._searches.items() if search.untold
            }
            parts = [part for called in waiting for part in self._parts(called)]
        if parts and self._write(parts):
            with self._lock:
                for called, told in waiting.items():
                    del self._searches[called].untold[:told]

    def _parts(self, called: str) -> list[Part]:
        search = self._searches[called]
        trials = [of_trial(called, self.metric, search.over[number]) for number in search.untold]
        return [self._search(called, GOING_ON), *trials]

    def _search(self, called: str, ended: str) -> Part:
        search = self._searches[called]
        return of_search(called, self.metric, search.trials, search.first, ended)

    def _write(self, parts: list[Part]) -> bool:
        try:
            self.below.write(parts)
        except MlflowException as error:
            if not self._lost:
                said = masked(" ".join(str(error).split())[:200])
                say(f"the registry gives no answer and is told of trials later: {said}")
            self._lost = True
            return False
        self._lost = False
        return True
