"""A split and its log, laid side by side: what the checks of an audit look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Bools, Floats, Ints, owners, ranges
from evaluators.packed import Moments, moments
from evaluators.queries import Queries, Split


@dataclass(frozen=True)
class Events:
    """What is fitted on, where it is not simply rows of the log: user, item, time [T], numbered as the log is."""

    user: Ints
    item: NDArray[np.integer]
    time: Floats


@dataclass(frozen=True)
class Places:
    """Where queries [Q] stand among the sorted (user, time) keys of some events: [at, after) are those of the query's
    own moment, and [after, end) the later ones of its user."""

    at: Ints
    after: Ints
    end: Ints


@dataclass(frozen=True)
class Evidence:
    """split; offsets [U+1], items, times [N] of its log; training: what is fitted on, the log's rows `split.train`
    where None; tuned_on: the queries that choices were made on; popularity [V]: how many events of each item of the
    vocabulary the model was told of."""

    split: Split
    offsets: Ints
    items: NDArray[np.integer]
    times: Floats
    training: Events | None = None
    tuned_on: Queries | None = None
    popularity: Ints | None = None

    @cached_property
    def user(self) -> Ints:
        """[N] whose row it is."""
        return owners(self.offsets)

    @cached_property
    def fitted(self) -> Events:
        if self.training is not None:
            return self.training
        rows = self.split.train
        return Events(self.user[rows], self.items[rows], self.times[rows])

    @cached_property
    def trained(self) -> Ints:
        """[V] how many training events each item of the vocabulary has."""
        return np.bincount(self.fitted.item, minlength=len(self.split.column))

    @cached_property
    def unordered(self) -> Ints:
        """The rows that fall back in time within their user."""
        falls = self.times[1:] < self.times[:-1]
        return np.flatnonzero(falls & (self.user[1:] == self.user[:-1])) + 1

    @cached_property
    def at(self) -> Moments:
        return moments(self.offsets, self.times)

    @cached_property
    def since(self) -> float:
        """The earliest query's time: nothing before it can leak, so that most of a log is not looked at."""
        return float(self.split.queries.time.min())

    @cached_property
    def rows(self) -> Ints:
        """The log's rows from then on."""
        return np.flatnonzero(self.times >= self.since)

    @cached_property
    def late(self) -> Events:
        """The training events from then on: none where there is a cut in time."""
        late = np.flatnonzero(self.fitted.time >= self.since)
        return Events(self.fitted.user[late], self.fitted.item[late], self.fitted.time[late])

    @cached_property
    def _clock(self) -> Floats:
        """Every time from then on, ascending."""
        return np.unique(np.concatenate([self.times[self.rows], self.split.queries.time, self.late.time]))

    def _keys(self, user: Ints, time: Floats) -> Ints:
        return np.asarray(user, np.int64) * (len(self._clock) + 1) + np.searchsorted(self._clock, time)

    @cached_property
    def places(self) -> Places:
        """Where the queries stand among the late training events."""
        keys, asked = np.sort(self._keys(self.late.user, self.late.time)), self.split.queries
        mine = self._keys(asked.user, asked.time)
        rest = (asked.user + 1) * (len(self._clock) + 1)
        return Places(*(np.searchsorted(keys, each) for each in (mine, mine + 1, rest)))

    @cached_property
    def moment(self) -> Ints:
        """[Q] the log's moment that each query asks about, -1 where its user has none at that time."""
        late = np.flatnonzero(self.at.time >= self.since)
        wanted = self._keys(self.split.queries.user, self.split.queries.time)
        if not len(late):
            return np.full(len(wanted), -1, np.int64)
        held = self._keys(self.at.user[late], self.at.time[late])
        order = np.argsort(held, kind="stable")
        found = order[np.minimum(np.searchsorted(held, wanted, sorter=order), len(held) - 1)]
        return np.where(held[found] == wanted, late[found], -1)

    @cached_property
    def answers(self) -> tuple[Ints, Ints]:
        """The log's rows that are asked about, and the query of each: [R], [R].

        Of the query's own moment those that the split asks about, or all where it asks about none of them; then
        everything up to the query's horizon.
        """
        known = np.flatnonzero(self.moment >= 0)
        begin, end = self.at.first[self.moment[known]], self.at.first[self.moment[known] + 1]
        until = self.split.queries.until
        stop = end if until is None else np.maximum(end, until[known])
        rows, owner = ranges(begin, stop), np.repeat(np.arange(len(known)), stop - begin)
        mine = rows < end[owner]
        chosen = self.split.asked[rows]
        none = np.bincount(owner[mine & chosen], minlength=len(known)) == 0
        kept = ~mine | chosen | none[owner]
        return rows[kept], known[owner[kept]]

    @cached_property
    def asked(self) -> Bools:
        """[N] the rows that some query asks about."""
        asked = np.zeros(len(self.items), dtype=bool)
        asked[self.answers[0]] = True
        return asked

    @cached_property
    def copies(self) -> tuple[Ints, Ints, Ints]:
        """Of each (user, item, time) that is asked about: how often the log, training and the queries have it."""
        width = 1 + max(int(self.items.max()), int(np.max(self.fitted.item, initial=0)))
        rows, late = self.rows, self.late
        mine = self._keys(self.user[rows], self.times[rows]) * width + self.items[rows]
        fitted = self._keys(late.user, late.time) * width + late.item
        wanted, asked = np.unique(mine[self.asked[rows]], return_counts=True)
        return _counted(mine, wanted), _counted(fitted, wanted), asked


def _counted(codes: Ints, wanted: Ints) -> Ints:
    """How often each of `wanted`, ascending, is among the codes."""
    codes = np.sort(codes)
    return np.searchsorted(codes, wanted, side="right") - np.searchsorted(codes, wanted, side="left")
