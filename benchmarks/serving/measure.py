"""An event and a list, in a live state, from a replay, and by the exact model."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

import evaluators
from harness.serving.known import KnownUsers
from harness.serving.live import LiveState
from harness.serving.package import Package
from harness.settings import RunSettings
from harness.steps.workshop import Workshop
from trainers.log import PackedLog, ranges
from trainers.serving import UserState

K = 10  # items of a list
LENGTHS, ITEMS, LATER = (100, 1000, 10_000, 100_000), 300, 20


@dataclass(frozen=True)
class Asked:
    """A moment of the test period and the list after it.

    Attributes:
        events: how many the user had.
        update, recommend: CPU seconds of the live state for an event (the mean of the moment's), and for the list.
        replay: of the states made anew from the user's events, and the list.
        exact: of the exact model, from the packed history, and the list.
        waited: seconds until an event was on the disk.
        off, bound: the largest difference of a score to the exact one, and how large it may be.
        alike: the share of the exact list that is in the live one.
    """

    events: int
    update: float
    recommend: float
    replay: float
    exact: float
    waited: float
    off: float
    bound: float
    alike: float


def packaged(settings: RunSettings) -> tuple[Package, float]:
    """The model of a configuration, fitted before the test cut, with all users, and the cut."""
    workshop = Workshop.open(settings)
    about = {
        "repeats": settings.data.repeats,
        "fingerprint": workshop.store.fingerprint,
        "trained_until": workshop.test.training.end,
    }
    model = workshop.described("test")
    package = Package.of(model, workshop.store, workshop.test.split.catalogue, about)
    return package, workshop.test.split.start


def before(users: KnownUsers, cut: float) -> KnownUsers:
    """The same users with their events before a time."""
    log = users.log
    bounds = zip(log.offsets[:-1].tolist(), log.offsets[1:].tolist(), strict=True)
    counts = np.array([int(np.searchsorted(log.times[begin:end], cut)) for begin, end in bounds])
    rows = ranges(log.offsets[:-1], counts)
    return KnownUsers(
        users.ids,
        PackedLog(
            np.concatenate(([0], np.cumsum(counts))),
            log.items[rows],
            log.times[rows],
            log.weights[rows],
            log.vocabulary,
            log.types[rows],
            log.category,
        ),
    )


def simulated(package: Package) -> tuple[KnownUsers, float]:
    """Users of 100, 1,000, … events of `ITEMS` items, one an hour, and `LATER` more after the time that is returned."""
    rng = np.random.default_rng(0)
    end = float(package.about["trained_until"])
    times = [end - 3600.0 * np.arange(count + LATER)[::-1] for count in LENGTHS]
    offsets = np.concatenate(([0], np.cumsum([len(each) for each in times])))
    items = rng.choice(len(package.items), ITEMS, replace=False)[rng.integers(0, ITEMS, offsets[-1])]
    log = PackedLog(
        offsets,
        items.astype(np.int32),
        np.concatenate(times),
        np.ones(len(items), np.float32),
        len(package.items) + 1,
    )
    return KnownUsers([f"{count:,} events" for count in LENGTHS], log), end - 3600.0 * (LATER - 0.5)


def fed(
    package: Package, cut: float, most: int, folder: Path
) -> tuple[LiveState, dict[str, list[Asked]], float]:
    """A live state of the package's users as of the cut, what was asked of it then by user, and how long making it
    took."""
    assert package.known is not None
    users, log = package.known, package.known.log
    begin = time.perf_counter()
    live = LiveState.make(folder, replace(package, known=None), before(users, cut))
    spent = time.perf_counter() - begin
    found: dict[str, list[Asked]] = {}
    for rows in moments(log, cut, most):
        user = users.ids[int(log.users_of(rows[:1])[0])]
        found.setdefault(user, []).append(ask(live, package, rows, user))
    return live, found, spent


def ask(live: LiveState, package: Package, rows: npt.NDArray[np.int64], user: str) -> Asked:
    """Take in the events of a moment, and ask for the list a second later in all three ways."""
    assert package.known is not None
    log, items, clock = package.known.log, [*package.items, ""], time.process_time
    at = float(log.times[rows[0]])
    waiting, begin = time.perf_counter(), clock()
    for row in rows.tolist():
        live.update(user, items[log.items[row]], at, float(log.weights[row]))
    waited, updated = time.perf_counter() - waiting, clock()
    listed = live.recommend(user, at + 1, K)
    recommended = clock()
    state = UserState(live.model)
    for event in live.journal.events(user, np.inf):
        state.update(package.column_of.get(event.item, -1), event.weight, event.at)
    evaluators.top(state.scores(at + 1)[None], K)
    replayed = clock()
    histories = package.histories_of([user], [at + 1])
    columns, _ = package.top(histories, K)
    done = clock()
    off = np.abs(live.scores(user, at + 1) - package.model.score(histories)[0])
    alike = {entry.item for entry in listed} & {package.items[column] for column in columns[0].tolist()}
    return Asked(
        live.journal.count(user, np.inf),
        (updated - begin) / len(rows),
        recommended - updated,
        replayed - recommended,
        done - replayed,
        waited / len(rows),
        float(off.max()),
        float(live.model.bound(histories)[0].max()),
        len(alike) / K,
    )


def moments(log: PackedLog, cut: float, most: int) -> list[npt.NDArray[np.int64]]:
    """The rows of the first `most` moments from `cut` on, in the order of time."""
    late = np.flatnonzero(log.times >= cut)
    order = np.lexsort((late, log.users_of(late), log.times[late]))
    rows = late[order]
    edges = np.flatnonzero((np.diff(log.users_of(rows)) != 0) | (np.diff(log.times[rows]) != 0)) + 1
    return [part for part in np.split(rows, edges) if len(part)][:most]


def sizes(live: LiveState, users: KnownUsers) -> npt.NDArray[np.int64]:
    """[U] bytes of each user's state as it is stored."""
    return np.array([len(live.journal.state(user) or b"") for user in users.ids])
