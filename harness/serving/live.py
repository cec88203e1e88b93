"""Users whose lists are fresh after every event, without a replay of their histories."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from safetensors.numpy import load, save

import evaluators
from harness.files import write_json
from harness.serving.journal import Event, Journal
from harness.serving.known import KnownUsers
from harness.serving.package import Package
from trainers.forgetting.compiled import Compiled
from trainers.serving import UserState, compiled

JOURNAL, PACKAGE, CURVES = "state.db", "package", "curves.json"
FORMAT = "1"
BLOCK = 200  # users that `make` takes in at once


class Recommended(NamedTuple):
    """An item of a list."""

    item: str
    title: str
    score: float


class LiveState:
    """The users of a model, in a folder of their own on a local disk.

    An event that `update` has answered is on the disk with the state that it makes; where the process is killed before,
    neither is. An event that was taken in is known again by user, item, time, weight and type, and counts once, so
    whoever is not sure may send it again. One that comes late is put in its place: that user's history is replayed.

    Lists come from a state of constant size for each item that a user had (`trainers.serving.UserState`). Late events,
    questions about the past and `exclude_seen` read the events, which are kept too.

    Attributes:
        package: the model and its names.
        model: the same, compiled; its `errors` say how far each term's R may be off.
        about: what `make` was told of the model.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = Package.load(folder / PACKAGE)
        curves = json.loads((folder / CURVES).read_text())
        known = {label: Compiled.from_dict(curve) for label, curve in curves.items()}
        self.model = compiled(self.package.model, known=known)
        self.journal = Journal(folder / JOURNAL)
        if (found := self.journal.said("format")) != FORMAT:
            raise ValueError(f"{folder} must be of format {FORMAT}, but is of {found}; make it anew.")
        self.about: dict[str, Any] = json.loads(self.journal.said("about") or "{}")

    @classmethod
    def open(cls, folder: Path) -> Self:
        """One that `make` has made; ValueError where it has not, or not to the end."""
        if not cls.whole(folder):
            raise ValueError(f"{folder} must hold a live state that is whole, but does not; make it (again).")
        return cls(folder)

    @staticmethod
    def whole(folder: Path) -> bool:
        """Whether `make` has come to its end there."""
        if not (folder / JOURNAL).exists():
            return False
        journal = Journal(folder / JOURNAL)
        filled = journal.said("filled")
        journal.close()
        return filled is not None

    @classmethod
    def make(
        cls,
        folder: Path,
        package: Package,
        users: KnownUsers | None = None,
        about: dict[str, Any] | None = None,
        states: int = 12,
        progress: Callable[[int], None] = lambda users: None,
    ) -> Self:
        """Begin with a model and the events of its users; where it was interrupted it goes on, where it is done it is
        opened.

        Args:
            users: those that the package brings where they are left out.
            about: what the model is known by.
            states: exponentials for each curve, as `trainers.serving.compiled` takes them.
            progress: told how many users are there.

        Raises:
            ValueError: a term of the model has no state of constant size, or the folder holds another model's state.
        """
        about = about or {}
        if not (folder / JOURNAL).exists():
            _begin(folder, package, about, states)
        live = cls(folder)
        if live.about != about:
            raise ValueError(
                f"{folder} must be of the model {about}, but is of {live.about}; name another folder."
            )
        if live.journal.said("filled") is None:
            live._fill(users or package.known, progress)
        return live

    def _fill(self, users: KnownUsers | None, progress: Callable[[int], None]) -> None:
        done = self.journal.users()
        todo = [number for number, user in enumerate(users.ids) if user not in done] if users else []
        for start in range(0, len(todo), BLOCK):
            with self.journal.transaction():
                for number in todo[start : start + BLOCK]:
                    assert users is not None
                    self.journal.add_all(self._logged(users, number))
                    self._keep(users.ids[number], self._replay(users.ids[number]))
            progress(len(done) + min(start + BLOCK, len(todo)))
        with self.journal.transaction():
            self.journal.say("filled", "true")

    def _logged(self, users: KnownUsers, number: int) -> list[Event]:
        """The events of a user of a log, those that agree in everything numbered."""
        log, names = users.log, [*self.package.event_types, ""]
        items = [*self.package.items, ""]
        rows = slice(int(log.offsets[number]), int(log.offsets[number + 1]))
        columns = (array[rows].tolist() for array in (log.times, log.items, log.weights, log.types))
        counts: dict[Event, int] = {}
        events = []
        for at, column, weight, kind in zip(*columns, strict=True):
            event = Event(users.ids[number], at, items[column], weight, names[kind])
            counts[event] = counts.get(event, -1) + 1
            events.append(event._replace(number=counts[event]))
        return events

    # Events

    def update(
        self, user: str, item: str, at: float, weight: float = 1.0, event_type: str | None = None
    ) -> bool:
        """Take in an event; False where it was taken in before. An item that the model does not know counts as a
        moment.

        Args:
            at: unix seconds.
            event_type: its name; the model's first one where left out.

        Raises:
            ValueError: `at` is not a finite number, or the weight not one ≥ 0. Nothing has changed then.
        """
        return self.update_all([(user, item, at, weight, event_type)]) == 1

    def update_all(self, events: Iterable[tuple[str, str, float, float, str | None]]) -> int:
        """Take in (user, item, at, weight, event type) of many events, all or none; how many were new."""
        with self.journal.transaction():
            return sum(self._take(*event) for event in events)

    def _take(self, user: str, item: str, at: float, weight: float, kind: str | None) -> bool:
        if not math.isfinite(at):
            raise ValueError(f"`at` must be unix seconds, but got {at}.")
        types = self.package.event_types
        event = Event(
            user,
            float(at),
            item if item in self.package.column_of else "",
            float(np.float32(weight)),  # as a log has it
            types[0] if kind is None else kind if kind in types else "",
        )
        if not self.journal.add(event):
            return False
        state = self._state(user)
        if at < state.latest:
            state = self._replay(user)
        else:
            self._add(state, event)
        self._keep(user, state)
        return True

    # Lists

    def recommend(
        self, user: str, at: float, k: int = 10, *, exclude_seen: bool | None = None
    ) -> list[Recommended]:
        """The best k items at `at` (unix seconds), without what happened at or after it. A user may be new.

        Args:
            exclude_seen: leave out what the user had; by default where the log has no repeats.
        """
        scores = self.scores(user, at)
        if exclude_seen is None:
            exclude_seen = not self.package.about["repeats"]
        seen = self.package.column(self.journal.items(user, at)) if exclude_seen else np.zeros(0, np.int32)
        seen = seen[seen >= 0]
        found = evaluators.top(scores[None], k, evaluators.Csr(np.array([0, len(seen)]), seen))[0]
        items, titles = self.package.items, self.package.titles
        return [Recommended(items[c], titles[c], float(scores[c])) for c in found.tolist() if c >= 0]

    def scores(self, user: str, at: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        """[I] of all items."""
        state = self._state(user)
        if at <= state.latest:  # the state has gone on
            state = self._replay(user, at)
        return state.scores(at)

    # States

    def _state(self, user: str) -> UserState:
        kept = self.journal.state(user)
        return UserState(self.model) if kept is None else UserState.from_arrays(self.model, load(kept))

    def _replay(self, user: str, before: float = math.inf) -> UserState:
        state = UserState(self.model)
        for event in self.journal.events(user, before):
            self._add(state, event)
        return state

    def _add(self, state: UserState, event: Event) -> None:
        state.update(self.package.column_of.get(event.item, -1), event.weight, event.at)

    def _keep(self, user: str, state: UserState) -> None:
        self.journal.keep(user, save(dict(state.to_arrays())))

    def close(self) -> None:
        self.journal.close()


def _begin(folder: Path, package: Package, about: dict[str, Any], states: int) -> None:
    """The folder without users. The journal comes last: where it is, all is."""
    model = compiled(package.model, states)
    _ = model.served  # refuses a term without a state before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / PACKAGE, ignore_errors=True)
    replace(package, known=None).save(folder / PACKAGE)
    write_json(folder / CURVES, {label: curve.to_dict() for label, curve in model.curves.items()})
    Journal.create(folder / JOURNAL, {"format": FORMAT, "about": json.dumps(about)})
