"""Histories at their moments, in the form that every encoder reads: columns, ages, weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from trainers.forgetting import Forgetting
from trainers.log import DAY, PackedLog, Queries, ranges

NOTHING_READ = 1e4
"""What stands for the days since the last event where there is none."""


@dataclass(frozen=True)
class Histories:
    """The histories of Q moments, their events flat: event e of query q has `offsets[q] <= e < offsets[q + 1]`.

    Events of items outside the catalogue are left out, but their moments still count as age.

    Attributes:
        offsets: int64 [Q + 1].
        columns: int32 [E] catalogue columns.
        days: float64 [E] ages in days, > 0.
        moments: float64 [E] ages in later moments of that user, 0 for the latest.
        weights: float32 [E] the log's weights.
        rows: int64 [E] the packed rows, to name an event again.
        items: the size I of the catalogue.
        users: int64 [Q] the packed log's user of each query; -1, also where left out, for one that is not known.
        types: int16 [E] event types; 0 where left out, -1 for one that is not known.
        categories: int32 [E] the category of each event's item, -1 for none.
        times: float64 [E] unix seconds of the events: `days` before the moment where left out.
        at: float64 [Q] unix seconds of the moments; 0 where left out.
    """

    offsets: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int32]
    days: npt.NDArray[np.float64]
    moments: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]
    items: int
    users: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    types: npt.NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    categories: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    times: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    at: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        queries, events = len(self), len(self.columns)
        left_out: dict[str, Callable[[], npt.NDArray[Any]]] = {
            "users": lambda: np.full(queries, -1, np.int64),
            "types": lambda: np.zeros(events, np.int16),
            "categories": lambda: np.full(events, -1, np.int32),
            "at": lambda: np.zeros(queries),
            "times": lambda: self.at[self.query] - self.days * DAY,
        }
        for name, values in left_out.items():
            if not len(getattr(self, name)):
                object.__setattr__(self, name, values())

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def of(cls, log: PackedLog, queries: Queries, column: npt.NDArray[np.int32], items: int) -> Histories:
        """Gather the histories of `queries`; `column` maps the vocabulary to the catalogue of size `items`."""
        lengths = queries.end - queries.begin
        rows = ranges(queries.begin, lengths)
        query = np.repeat(np.arange(len(queries)), lengths)
        columns = column[log.items[rows]]
        known = columns >= 0
        rows, query, columns = rows[known], query[known], columns[known]
        times = log.times[rows]
        latest = (
            log.moments[np.maximum(queries.end - 1, 0)] if len(rows) else np.zeros(len(queries), np.int32)
        )
        return cls(
            np.concatenate(([0], np.cumsum(np.bincount(query, minlength=len(queries))))),
            columns,
            (queries.time[query] - times) / DAY,
            (latest[query] - log.moments[rows]).astype(np.float64),
            log.weights[rows],
            rows,
            items,
            log.users_of(queries.begin),
            log.types[rows],
            np.full(len(rows), -1, np.int32) if log.category is None else log.category[log.items[rows]],
            times,
            queries.time,
        )

    def take(self, index: slice) -> Histories:
        """A contiguous block of the queries."""
        start, stop, _ = index.indices(len(self))
        events = slice(int(self.offsets[start]), int(self.offsets[stop]))
        return self._of_events(events, slice(start, stop), np.diff(self.offsets[start : stop + 1]))

    def latest(self, most: int) -> Histories:
        """The same queries with the latest `most` events of each."""
        ends = np.repeat(self.offsets[1:], np.diff(self.offsets))
        keep = np.arange(len(self.columns)) >= ends - most
        lengths = np.minimum(np.diff(self.offsets), most)
        return self if keep.all() else self._of_events(keep, np.arange(len(self)), lengths)

    def at_queries(self, index: npt.NDArray[np.integer]) -> Histories:
        """The queries of `index`, in its order."""
        lengths = np.diff(self.offsets)[index]
        return self._of_events(ranges(self.offsets[index], lengths), index, lengths)

    def _of_events(
        self,
        events: npt.NDArray[np.generic] | slice,
        queries: npt.NDArray[np.integer] | slice,
        lengths: npt.NDArray[np.integer],
    ) -> Histories:
        return Histories(
            np.concatenate(([0], np.cumsum(lengths))),
            self.columns[events],
            self.days[events],
            self.moments[events],
            self.weights[events],
            self.rows[events],
            self.items,
            self.users[queries],
            self.types[events],
            self.categories[events],
            self.times[events],
            self.at[queries],
        )

    def groups(self, scope: str) -> npt.NDArray[np.integer]:
        """[E] the number of the group of a scope whose curve each event has, -1 where it has none of its own; 0 for all
        where the scope has no groups.

        Args:
            scope: `event_type`, `category` (of the event's item), `user` (of the event's query), or another.
        """
        if scope == "event_type":
            return self.types
        if scope == "category":
            return self.categories
        if scope == "user":
            return self.users[self.query]
        return np.zeros(len(self.columns), np.int64)

    @cached_property
    def query(self) -> npt.NDArray[np.int64]:
        """[E] the query of each event."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @cached_property
    def _cells(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """The pattern of the profile: each event's cell, the row pointer, the columns. Found once, since a search
        asks for many profiles that differ in their retention alone."""
        key = self.query * np.int64(self.items) + self.columns
        cells, cell = np.unique(key, return_inverse=True)
        row_of_cell, column_of_cell = np.divmod(cells, self.items)
        pointer = np.concatenate(([0], np.cumsum(np.bincount(row_of_cell, minlength=len(self)))))
        return cell, pointer, column_of_cell.astype(np.int32)

    def retained(
        self, forgetting: Forgetting, weighted: bool, longer: npt.NDArray[np.float64] | None = None
    ) -> npt.NDArray[np.float64]:
        """[E] what is left of each event: R(age), times the log's weight where `weighted`.

        Args:
            longer: [E] how many times longer than the curve's each event's ages are.
        """
        factor = 1.0 if longer is None else longer
        kept = forgetting.retention(self.days / factor, self.moments / factor)
        return kept * self.weights if weighted else kept

    def profile(
        self,
        forgetting: Forgetting,
        weighted: bool = False,
        longer: npt.NDArray[np.float64] | None = None,
    ) -> sp.csr_array:
        """[Q, I] float32: what is left of each user's interest in each item, Σ R(age)·w over its events, as `retained`
        has them."""
        cell, pointer, columns = self._cells
        data = np.bincount(cell, self.retained(forgetting, weighted, longer), minlength=len(columns))
        return sp.csr_array((data.astype(np.float32), columns, pointer), shape=(len(self), self.items))
