"""Small logs for the tests of this folder, and slow, obvious versions of what the package computes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainers.forgetting import Forgetting
from trainers.histories import Histories
from trainers.log import CATEGORY, DAY, LAYOUT, PackedLog, Queries, TrainingData

Event = tuple[float, int] | tuple[float, int, float]
"""Day, item, and the weight where it is not 1."""


def packed(
    users: Sequence[Sequence[Event]],
    vocabulary: int | None = None,
    *,
    types: Sequence[int] = (),
    category: Sequence[int] | None = None,
) -> PackedLog:
    """A log from each user's events, oldest first; a type for each event, a category for each item."""
    events = [event for user in users for event in user]
    items = np.array([event[1] for event in events], np.int32)
    return PackedLog(
        np.concatenate(([0], np.cumsum([len(user) for user in users]))).astype(np.int64),
        items,
        np.array([event[0] * DAY for event in events], np.float64),
        np.array([event[2] if len(event) > 2 else 1.0 for event in events], np.float32),
        vocabulary if vocabulary is not None else int(items.max()) + 1,
        np.array(types, np.int16),
        None if category is None else np.array(category, np.int32),
    )


def training(log: PackedLog, cut: float | None = None, *, validate: bool = False) -> TrainingData:
    """What lies before the day `cut` (everything by default); the moments after it validate, where asked."""
    before = np.ones(len(log.items), bool) if cut is None else log.times < cut * DAY
    bounds = list(zip(log.offsets[:-1], log.offsets[1:], strict=True))
    stop = np.array([begin + before[begin:end].sum() for begin, end in bounds], np.int64)
    catalogue = np.unique(log.items[before]).astype(np.int64)
    column = np.full(log.vocabulary, -1, np.int32)
    column[catalogue] = np.arange(len(catalogue))
    queries = []
    for (begin, end), first in zip(bounds, stop, strict=True):
        for time in np.unique(log.times[first:end]):
            history = int(begin + (log.times[begin:end] < time).sum())
            now = log.items[begin:end][log.times[begin:end] == time]
            relevant = sorted({int(column[item]) for item in now} - {-1})
            if history > begin and relevant:
                queries.append((float(time), int(begin), history, relevant))
    validation = None
    if validate:
        validation = queries_of(queries)
    return TrainingData(log, stop, catalogue, column, float(log.times[before].max()), validation)


def queries_of(entries: Sequence[tuple[float, int, int, list[int]]]) -> Queries:
    """Queries from (time in seconds, begin, end, targets)."""
    return Queries(
        np.array([entry[0] for entry in entries], np.float64),
        np.array([entry[1] for entry in entries], np.int64),
        np.array([entry[2] for entry in entries], np.int64),
        np.concatenate(([0], np.cumsum([len(entry[3]) for entry in entries]))).astype(np.int64),
        np.array([target for entry in entries for target in entry[3]], np.int64),
    )


def crowded(seed: int = 0, *, users: int = 12, items: int = 9, most: int = 14) -> PackedLog:
    """Many events of one second, repeats, users without events; times are whole days out of twenty."""
    rng = np.random.default_rng(seed)
    log: list[list[Event]] = []
    for _ in range(users):
        count = int(rng.integers(0, most))
        days = np.sort(rng.integers(0, 20, count))
        weights = rng.integers(1, 5, count)
        log.append(
            [(float(d), int(rng.integers(items)), float(w)) for d, w in zip(days, weights, strict=True)]
        )
    log[0] = [(float(item), item) for item in range(items)]  # every item is there, in training too
    log[1] = []
    return packed(log, items)


def cycle(users: int = 24, items: int = 6, moments: int = 10) -> PackedLog:
    """Everyone goes round the items in order, a day a step: the latest item says exactly what comes next."""
    return packed(
        [[(float(step), (user + step) % items) for step in range(moments)] for user in range(users)], items
    )


def naive_profile(
    log: PackedLog,
    queries: Queries,
    column: npt.NDArray[np.int32],
    items: int,
    forgetting: Forgetting,
    weighted: bool = False,
) -> npt.NDArray[np.float64]:
    """[Q, I] Σ R(age)·w, event by event; moments are counted as the distinct times between."""
    profile = np.zeros((len(queries), items))
    for query in range(len(queries)):
        rows = range(int(queries.begin[query]), int(queries.end[query]))
        times = [float(log.times[row]) for row in rows]
        for row in rows:
            where = int(column[log.items[row]])
            if where < 0:
                continue
            days = (float(queries.time[query]) - float(log.times[row])) / DAY
            moments = float(len({time for time in times if time > log.times[row]}))
            kept = float(forgetting.retention(np.array([days]), np.array([moments]))[0])
            profile[query, where] += kept * (float(log.weights[row]) if weighted else 1.0)
    return profile


def histories_of(data: TrainingData, queries: Queries) -> Histories:
    return Histories.of(data.log, queries, data.column, len(data.catalogue))


def write_log(log: PackedLog, folder: Path) -> None:
    """Write a packed log as `PackedLog.open` finds it."""
    folder.mkdir(parents=True)
    for name, kind in LAYOUT.items():
        getattr(log, name).astype(kind).tofile(folder / f"{name}.bin")
    category = np.full(log.vocabulary, -1) if log.category is None else log.category
    category.astype(CATEGORY[1]).tofile(folder / CATEGORY[0])


def same_queries(one: Queries, other: Queries) -> bool:
    return all(np.array_equal(a, vars(other)[name]) for name, a in vars(one).items())


def lists(queries: Queries) -> list[dict[str, Any]]:
    """The queries as plain values, days instead of seconds, to compare with what was worked out by hand."""
    return [
        {
            "day": float(queries.time[q]) / DAY,
            "rows": (int(queries.begin[q]), int(queries.end[q])),
            "targets": queries.targets[queries.target_offsets[q] : queries.target_offsets[q + 1]].tolist(),
        }
        for q in range(len(queries))
    ]
