"""A packed event log, its moments, and what of it a model may be fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

DAY = 86_400.0

LAYOUT = {"offsets": "<i8", "items": "<i4", "times": "<f8", "weights": "<f4", "types": "<i2"}
"""Array → type on disk of a packed log's folder; each is a file `<name>.bin` without a header."""
CATEGORY = ("category.bin", "<i4")
"""File and type on disk of the items' categories, beside the arrays of `LAYOUT`; it has no header either."""
NAMES = {"event_type": "types.arrow", "category": "categories.arrow"}
"""By scope, the file on disk of its groups' names, in order of number (column `id`); a log may have none."""


def moment_numbers(
    offsets: npt.NDArray[np.integer], times: npt.NDArray[np.floating]
) -> npt.NDArray[np.int32]:
    """The number of each event's moment within its user, 0 for the user's first; events of one time share it.

    Args:
        offsets: [U + 1] rows of user u are `offsets[u]:offsets[u + 1]`.
        times: [N] seconds, ascending within each user.

    >>> moment_numbers(np.array([0, 3, 5]), np.array([1.0, 1.0, 2.0, 5.0, 9.0])).tolist()
    [0, 0, 1, 0, 1]
    """
    if not len(times):
        return np.zeros(0, np.int32)
    starts = np.asarray(offsets[:-1])[np.diff(offsets) > 0]
    begins = np.ones(len(times), bool)
    begins[1:] = times[1:] != times[:-1]
    begins[starts] = True
    number = np.cumsum(begins)
    first = np.repeat(number[starts], np.diff(np.append(starts, len(times))))
    within: npt.NDArray[np.int32] = (number - first).astype(np.int32)
    return within


@dataclass(frozen=True)
class PackedLog:
    """Events packed by user, each user's oldest first: rows of user u are `offsets[u]:offsets[u + 1]`.

    Attributes:
        offsets: int64 [U + 1].
        items: int32 [N], numbers of the vocabulary.
        times: float64 [N], unix seconds; never narrowed before two are subtracted (float32 is off by a minute).
        weights: float32 [N], ≥ 0.
        vocabulary: how many items the vocabulary has.
        types: int16 [N], numbers of the event types, -1 for one that is not known; all 0 where left out.
        category: int32 [vocabulary], each item's category, -1 for none; or None: no item has one.
        names: by scope (`event_type`, `category`), the names of its groups in order of number, where they are known.
    """

    offsets: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    times: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float32]
    vocabulary: int
    types: npt.NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    category: npt.NDArray[np.int32] | None = None
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.types) != len(self.items):
            if len(self.types):
                raise ValueError(
                    f"`types` must be as many as `items`, but got ({len(self.types)}, {len(self.items)}); "
                    "leave it out where all events are alike."
                )
            object.__setattr__(self, "types", np.zeros(len(self.items), np.int16))

    @property
    def users(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def moments(self) -> npt.NDArray[np.int32]:
        """[N] the number of each event's moment within its user."""
        return moment_numbers(self.offsets, self.times)

    @classmethod
    def open(cls, folder: Path | str, vocabulary: int) -> PackedLog:
        """Memory-map the arrays of a folder in `LAYOUT`, and the categories of its `vocabulary` items."""
        arrays: dict[str, Any] = {
            name: np.memmap(Path(folder) / f"{name}.bin", kind, mode="r") for name, kind in LAYOUT.items()
        }
        category = open_category(folder, vocabulary)
        return cls(**arrays, vocabulary=vocabulary, category=category, names=_names(Path(folder)))

    def groups(self, scope: str, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
        """[n] by event of `rows`, the number of the group of a scope whose curve it has, -1 where it has none of its
        own; 0 for all where the scope has no groups."""
        if scope == "user":
            return self.users_of(rows)
        found: npt.NDArray[np.integer] = np.zeros(len(rows), np.int64)
        if scope == "event_type":
            found = self.types[rows]
        elif scope == "category":
            found = found - 1 if self.category is None else self.category[self.items[rows]]
        return found

    def users_of(self, begin: npt.NDArray[np.integer]) -> IntArray:
        """[Q] the users whose rows hold `begin`, -1 for one past the last row. A user without events holds none."""
        users: IntArray = np.searchsorted(self.offsets, begin, side="right") - 1
        return np.where(users < self.users, users, -1)

    def asked(self, users: npt.NDArray[np.integer], at: npt.NDArray[np.floating]) -> Queries:
        """Each of these users at a moment (unix seconds): the history is what came strictly before it.

        >>> log = PackedLog(np.array([0, 3]), np.zeros(3, np.int32), np.array([1.0, 2.0, 5.0]), np.ones(3), 1)
        >>> log.asked(np.array([0, 0]), np.array([2.0, 9.0])).end.tolist()
        [1, 3]
        """
        begin, stop = (np.asarray(self.offsets[each], np.int64) for each in (users, users + 1))
        bounds = zip(begin.tolist(), stop.tolist(), at.tolist(), strict=True)
        end = [low + int(np.searchsorted(self.times[low:high], when)) for low, high, when in bounds]
        nothing = np.zeros(len(begin) + 1, np.int64), np.zeros(0, np.int64)
        return Queries(np.asarray(at, np.float64), begin, np.array(end, np.int64), *nothing)


def open_category(folder: Path | str, vocabulary: int) -> npt.NDArray[np.int32]:
    """Memory-map the categories [vocabulary] of a packed log's folder."""
    name, kind = CATEGORY
    return np.memmap(Path(folder) / name, kind, mode="r", shape=(vocabulary,))


def _names(folder: Path) -> dict[str, list[str]]:
    import pyarrow as pa  # here: whoever makes a log in memory has no need of it

    found = {}
    for scope, name in NAMES.items():
        if (folder / name).exists():
            with pa.memory_map(str(folder / name)) as file:
                found[scope] = pa.ipc.open_file(file).read_all().column("id").to_pylist()
    return found


@dataclass(frozen=True)
class Queries:
    """Moments to answer, each from the packed rows `begin:end` of its user.

    Attributes:
        time: float64 [Q] the moments, unix seconds.
        begin, end: int64 [Q] the history's rows; every one of them is strictly before the moment.
        target_offsets, targets: the catalogue columns that were right, [Q + 1] and [R]. Encoders never read
            them; a likelihood does.
    """

    time: FloatArray
    begin: IntArray
    end: IntArray
    target_offsets: IntArray
    targets: npt.NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.time)

    def take(self, index: npt.NDArray[np.integer] | slice) -> Queries:
        """The queries of `index`, in its order."""
        rows = np.arange(len(self))[index]
        lengths = np.diff(self.target_offsets)[rows]
        return Queries(
            self.time[rows],
            self.begin[rows],
            self.end[rows],
            np.concatenate(([0], np.cumsum(lengths))),
            self.targets[ranges(self.target_offsets[rows], lengths)],
        )


def ranges(starts: npt.NDArray[np.integer], lengths: npt.NDArray[np.integer]) -> IntArray:
    """The concatenation of `arange(start, start + length)` over all pairs.

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    lengths = np.asarray(lengths, np.int64)
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    rows: IntArray = np.arange(total) + np.repeat(np.asarray(starts, np.int64) - (ends - lengths), lengths)
    return rows


@dataclass(frozen=True)
class TrainingData:
    """What a model may be fitted on: a prefix of every user's events, and the catalogue that they make.

    Attributes:
        log: the packed events.
        stop: int64 [U] user u's training events are the rows `log.offsets[u]:stop[u]`.
        catalogue: int [I] the vocabulary numbers seen in training, ascending; a model's columns.
        column: int32 [vocabulary] an item's column, -1 for one that training never saw.
        end: the time of the last training event, unix seconds: the age zero of everything that is
            summed over all users, since nothing may be updated after the cut.
        since: events before it are history, and nothing that is learned from; unix seconds.
        validation: queries after the cut for early stopping, or none. Never the test queries.
        held: the users whose rows this process has, where it has not fetched those of others; None: all.
    """

    log: PackedLog
    stop: IntArray
    catalogue: IntArray
    column: npt.NDArray[np.int32]
    end: float
    validation: Queries | None = None
    since: float = -np.inf
    held: slice | None = None

    @property
    def users(self) -> slice:
        """The users whose rows may be read."""
        return self.held or slice(0, self.log.users)

    def only(self, users: slice) -> TrainingData:
        """The same of a worker that has the rows of these users alone."""
        return replace(self, held=users)

    def of_held(self, queries: Queries) -> Queries:
        """The queries of users whose rows are here."""
        low, high = self.log.offsets[self.users.start], self.log.offsets[self.users.stop]
        return queries.take(np.flatnonzero((queries.begin >= low) & (queries.begin < high)))

    @cached_property
    def start(self) -> IntArray:
        """int64 [U] user u is learned from by the rows from `start[u]` up to `stop[u]`."""
        begin = self.log.offsets[:-1]
        if self.since == -np.inf:
            return begin
        old = np.concatenate(([0], np.cumsum(self.log.times < self.since)))
        return np.minimum(begin + old[self.log.offsets[1:]] - old[begin], self.stop)

    @cached_property
    def rows(self) -> IntArray:
        """All training rows, by user."""
        return self.rows_of(slice(None))

    def rows_of(self, users: slice) -> IntArray:
        """The training rows of a range of users."""
        return ranges(self.start[users], self.counts(users))

    def counts(self, users: slice) -> IntArray:
        """The number of training rows of each of a range of users."""
        counts: IntArray = self.stop[users] - self.start[users]
        return counts

    def shard(self, rank: int, size: int) -> slice:
        """The users of worker `rank` out of `size`: contiguous, about as many events for each."""
        events = np.concatenate(([0], np.cumsum(self.stop - self.log.offsets[:-1])))
        edges = np.searchsorted(events, np.linspace(0, events[-1], size + 1), side="left")
        edges[0], edges[-1] = 0, self.log.users
        return slice(int(edges[rank]), int(edges[rank + 1]))

    def moments(self, users: slice = slice(None)) -> Queries:
        """Every training moment that has a history, as a query whose targets are the items of its events."""
        rows = self.rows_of(users)
        if not len(rows):
            empty = np.zeros(0, np.int64)
            return Queries(np.zeros(0), empty, empty, np.zeros(1, np.int64), empty)
        first = np.repeat(self.log.offsets[:-1][users], self.counts(users))
        number = self.log.moments[rows]
        opens = np.ones(len(rows), bool)
        opens[1:] = (number[1:] != number[:-1]) | (first[1:] != first[:-1])
        at = np.flatnonzero(opens)
        length = np.diff(np.append(at, len(rows)))
        has_history = number[at] > 0
        at, length = at[has_history], length[has_history]
        targets = self.column[self.log.items[rows[ranges(at, length)]]]
        return Queries(
            np.asarray(self.log.times[rows[at]]),
            first[at],
            rows[at],
            np.concatenate(([0], np.cumsum(length))),
            targets,
        )

    def save(self, folder: Path) -> None:
        """Write everything but the log, for workers on other machines to map (`.npy` files).

        `end.npy` comes last: a folder that has it was written whole."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "stop.npy", self.stop)
        np.save(folder / "catalogue.npy", self.catalogue)
        np.save(folder / "column.npy", self.column)
        if self.validation is not None:
            for field in fields(Queries):
                np.save(folder / f"validation-{field.name}.npy", getattr(self.validation, field.name))
        np.save(folder / "end.npy", np.float64(self.end))

    @classmethod
    def open(cls, log: PackedLog, folder: Path) -> TrainingData:
        """Map what `save` wrote."""

        def load(name: str) -> Any:
            return np.load(folder / f"{name}.npy", mmap_mode="r")

        validation = None
        if (folder / "validation-time.npy").exists():
            validation = Queries(*(load(f"validation-{field.name}") for field in fields(Queries)))
        return cls(
            log,
            load("stop"),
            load("catalogue"),
            load("column"),
            float(np.load(folder / "end.npy")),
            validation,
        )
