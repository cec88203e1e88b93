"""Histories as sequences: many moments of one user are answered in one pass over that user's events.

A *window* is a stretch of one user's events with the moments that are answered from it. A moment reads at most the
`most` latest events before it, so a window of 2·`most` events answers all moments of its second half in full.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainers.histories import NOTHING_READ, Histories
from trainers.log import DAY, IntArray, PackedLog, Queries, ranges

NEVER = -1e9  # a logit that no softmax sees, and no gradient


def unless(visible: torch.Tensor) -> torch.Tensor:
    """float32 0 where `visible`, `NEVER` elsewhere: to add it to logits is ten times as fast as to mask them."""
    return (1 - visible.float()) * NEVER


@dataclass(frozen=True)
class Windows:
    """W windows over queries that are sorted by user and time.

    Attributes:
        queries: what is answered; window w answers `first[w]:last[w]` of them.
        begin, end: int64 [W] the packed rows that window w reads.
    """

    queries: Queries
    first: IntArray
    last: IntArray
    begin: IntArray
    end: IntArray

    def __len__(self) -> int:
        return len(self.first)

    @property
    def lengths(self) -> IntArray:
        """[W] events of each window."""
        return self.end - self.begin

    @classmethod
    def of(cls, queries: Queries, most: int, overlap: float = 1.0) -> Windows:
        """Cut queries, sorted by `begin` and then time, into windows of at most `most` + `overlap`·`most` events.

        Args:
            overlap: of `most` events, the share that a window has in common with the one before it, at least an event:
                so much reads its first moment. With 1 every moment reads `most` events, where the user has them."""
        shared = max(round(overlap * most), 1)
        edges = np.flatnonzero(np.diff(queries.begin, prepend=-1))
        first, last, begin = [], [], []
        for start, stop in pairwise([*edges.tolist(), len(queries)]):
            ends = queries.end[start:stop]
            at = start
            while at < stop:
                low = max(int(queries.begin[at]), int(queries.end[at]) - shared)
                upto = start + int(np.searchsorted(ends, low + most + shared, side="right"))
                first.append(at)
                last.append(upto)
                begin.append(low)
                at = upto
        chosen = np.array(last, np.int64)
        return cls(
            queries,
            np.array(first, np.int64),
            chosen,
            np.array(begin, np.int64),
            queries.end[chosen - 1] if len(chosen) else np.zeros(0, np.int64),
        )


def by_user(queries: Queries) -> Queries:
    """The queries sorted by user and time, as windows want them."""
    return queries.take(np.lexsort((queries.time, queries.begin)))


@dataclass(frozen=True)
class Batch:
    """B windows as tensors: L events each at most, M moments each at most, R moments in all.

    Attributes:
        items: int64 [B, L] catalogue columns; 0 after the end of a shorter window.
        real: bool [B, L] whether an event is one.
        times: float64 [B, L] days since 1970, and `asked` float64 [B, M]; never narrowed before two are subtracted.
        moments: int64 [B, L] the number of each event's moment within its user, and `number` int64 [B, M] the number
            of the latest moment before the one that is asked: ages in later moments are `number` − `moments`.
        begin: int64 [B, L] how many of the window's events are strictly before the event's own moment.
        valid: bool [B, M] whether a moment is one; the R rows of all answers are these, window by window.
        first, seen: int64 [B, M] the moment reads the window's events `first:seen`, all strictly before it.
        weights: float32 [B, L] the log's weights.
        again: int64 [B, L] where the same item comes again in the window, L where it does not.
        opens: int64 [B, L] where the same item comes first in the window.
        group: int64 [B, L] the number of the event's group in the scope of the term's curve, -1 for none of its own.
        query: int64 [R] the number of each moment among the queries.
        targets, target_row: int64 [T] the items of the moments, and each one's row.
        had, had_row: int64 [H] what the users had before, be it read or too old for that, where it is no rival of
            what comes; empty where items are taken again.
    """

    items: torch.Tensor
    real: torch.Tensor
    times: torch.Tensor
    asked: torch.Tensor
    moments: torch.Tensor
    number: torch.Tensor
    begin: torch.Tensor
    valid: torch.Tensor
    first: torch.Tensor
    seen: torch.Tensor
    weights: torch.Tensor
    again: torch.Tensor
    opens: torch.Tensor
    group: torch.Tensor
    query: torch.Tensor
    targets: torch.Tensor
    target_row: torch.Tensor
    had: torch.Tensor
    had_row: torch.Tensor

    def __len__(self) -> int:
        return len(self.query)

    def to(self, device: torch.device) -> Batch:
        return Batch(**{each.name: getattr(self, each.name).to(device) for each in fields(self)})

    # What several parts of a network read is found once a batch.

    @cached_property
    def answers(self) -> torch.Tensor:
        """int64 [R] where the R rows of all answers stand among the B·M moments."""
        return self.valid.flatten().nonzero().squeeze(1)

    def rows(self, of_moments: torch.Tensor) -> torch.Tensor:
        """[B, M, …] as the rows of all answers, [R, …]."""
        return of_moments.flatten(0, 1).index_select(0, self.answers)

    @cached_property
    def last(self) -> torch.Tensor:
        """int64 [B, M] the latest event that a moment reads; 0 where it reads none."""
        return (self.seen - 1).clamp_min(0)

    @cached_property
    def read(self) -> torch.Tensor:
        """int64 [B, M] how many events a moment reads."""
        return self.seen - self.first

    @cached_property
    def idle(self) -> torch.Tensor:
        """float32 [B, M] days since the latest event; `NOTHING_READ` where there is none."""
        since = (self.asked - self.times.gather(1, self.last)).clamp_min(0).float()
        return since.masked_fill(self.seen == 0, NOTHING_READ)

    @cached_property
    def visible(self) -> torch.Tensor:
        """bool [B, M, L] whether a moment reads an event."""
        at = torch.arange(self.items.shape[1], device=self.items.device)
        return (at >= self.first[:, :, None]) & (at < self.seen[:, :, None])

    @cached_property
    def hidden(self) -> torch.Tensor:
        """float32 [B, M, L] 0 where a moment reads an event, `NEVER` where it does not."""
        return unless(self.visible)

    @cached_property
    def days(self) -> torch.Tensor:
        """float32 [B, M, L] the events' ages in days; 0 for events that the moment does not read."""
        return (self.asked[:, :, None] - self.times[:, None, :]).clamp_min(0).float()

    @cached_property
    def later(self) -> torch.Tensor:
        """float32 [B, M, L] the events' ages in later moments of the user."""
        return (self.number[:, :, None] - self.moments[:, None, :]).clamp_min(0).float()

    @classmethod
    def of(
        cls,
        windows: Windows,
        index: IntArray,
        log: PackedLog,
        column: npt.NDArray[np.int32],
        most: int,
        *,
        repeats: bool = True,
        scope: str = "all",
    ) -> Batch:
        """The windows of `index`; events of items outside the catalogue are left out, their moments still count.

        Args:
            most: a moment reads so many of the latest events before it.
            repeats: whether items are taken again; where not, `had` is gathered.
            scope: whose curves are told apart.
        """
        queries = windows.queries
        rows = ranges(windows.begin[index], windows.lengths[index])
        window = np.repeat(np.arange(len(index)), windows.lengths[index])
        columns = column[log.items[rows]]
        known = columns >= 0
        before = np.concatenate(([0], np.cumsum(known)))  # how many known ones are before each row
        opens = np.concatenate(([0], np.cumsum(windows.lengths[index])))
        asked = ranges(windows.first[index], windows.last[index] - windows.first[index])
        owner = np.repeat(np.arange(len(index)), windows.last[index] - windows.first[index])
        seen = before[opens[owner] + queries.end[asked] - windows.begin[index][owner]] - before[opens[owner]]
        rows, window, columns = rows[known], window[known], columns[known]
        lengths = np.diff(queries.target_offsets)[asked]
        histories = (
            queries.end[asked] - queries.begin[asked] if not repeats else np.zeros(len(asked), np.int64)
        )
        had = column[log.items[ranges(queries.begin[asked], histories)]]
        had_row = np.repeat(np.arange(len(asked)), histories)[had >= 0]
        return cls._pack(
            window,
            columns,
            log.times[rows] / DAY,
            log.moments[rows],
            log.weights[rows],
            log.groups(scope, rows),
            owner,
            queries.time[asked] / DAY,
            log.moments[np.maximum(queries.end[asked] - 1, 0)],
            seen,
            most,
            len(index),
            asked,
            queries.targets[ranges(queries.target_offsets[asked], lengths)],
            np.repeat(np.arange(len(asked)), lengths),
            had[had >= 0],
            had_row,
        )

    @classmethod
    def of_histories(cls, histories: Histories, most: int, scope: str = "all") -> Batch:
        """Each history is a window with one moment to answer; no targets."""
        count = len(histories)
        nobody = np.zeros(0, np.int64)
        return cls._pack(
            histories.query,
            histories.columns,
            histories.times / DAY,
            -histories.moments.astype(np.int64),
            histories.weights,
            histories.groups(scope),
            np.arange(count),
            histories.at / DAY,
            np.zeros(count, np.int64),
            np.diff(histories.offsets),
            most,
            count,
            np.arange(count),
            nobody,
            nobody,
            nobody,
            nobody,
        )

    @classmethod
    def _pack(
        cls,
        window: IntArray,
        columns: npt.NDArray[np.integer],
        times: npt.NDArray[np.float64],
        moments: npt.NDArray[np.integer],
        weights: npt.NDArray[np.floating],
        group: npt.NDArray[np.integer],
        owner: IntArray,
        asked: npt.NDArray[np.float64],
        number: npt.NDArray[np.integer],
        seen: IntArray,
        most: int,
        count: int,
        query: IntArray,
        targets: npt.NDArray[np.integer],
        target_row: IntArray,
        had: npt.NDArray[np.integer],
        had_row: IntArray,
    ) -> Batch:
        lengths = np.bincount(window, minlength=count)
        start = np.concatenate(([0], np.cumsum(lengths)))
        place = np.arange(len(window)) - start[window]
        asks = np.bincount(owner, minlength=count)
        slot = np.arange(len(owner)) - np.repeat(np.cumsum(asks) - asks, asks)
        length, width = max(int(lengths.max(initial=0)), 1), max(int(asks.max(initial=0)), 1)

        def events(values: npt.NDArray[Any], kind: Any) -> torch.Tensor:
            padded = np.zeros((count, length), kind)
            padded[window, place] = values
            return torch.from_numpy(padded)

        def asking(values: npt.NDArray[Any], kind: Any) -> torch.Tensor:
            padded = np.zeros((count, width), kind)
            padded[owner, slot] = values
            return torch.from_numpy(padded)

        another = np.ones(len(window), bool)
        another[1:] = (moments[1:] != moments[:-1]) | (window[1:] != window[:-1])
        begin = np.maximum.accumulate(np.where(another, place + start[window], 0)) - start[window]
        order = np.lexsort((place, columns, window))
        same = (np.diff(window[order]) == 0) & (np.diff(columns[order]) == 0)
        again = np.full(len(window), length)
        again[order[:-1][same]] = place[order[1:][same]]
        earliest = np.ones(len(window), bool)
        earliest[1:] = ~same
        opens = np.empty_like(place)
        opens[order] = place[order[np.maximum.accumulate(np.where(earliest, np.arange(len(window)), 0))]]
        return cls(
            events(columns, np.int64),
            events(np.ones(len(window), bool), bool),
            events(times, np.float64),
            asking(asked, np.float64),
            events(moments, np.int64),
            asking(number, np.int64),
            events(begin, np.int64),
            asking(np.ones(len(owner), bool), bool),
            asking(np.maximum(seen - most, 0), np.int64),
            asking(seen, np.int64),
            events(weights, np.float32),
            events(again, np.int64),
            events(opens, np.int64),
            events(group, np.int64),
            torch.from_numpy(query),
            torch.from_numpy(np.asarray(targets, np.int64)),
            torch.from_numpy(target_row),
            torch.from_numpy(np.asarray(had, np.int64)),
            torch.from_numpy(had_row),
        )


def batches(windows: Windows, size: int, rng: np.random.Generator) -> list[IntArray]:
    """Windows in batches of about `size` moments, in random order; windows of like lengths go together, so that at
    most a tenth of a batch is padding where there are enough windows to choose from."""
    noise = rng.uniform(0.97, 1.03, len(windows))
    order = np.argsort(windows.lengths * noise, kind="stable")
    moments = np.cumsum((windows.last - windows.first)[order])
    cuts = np.flatnonzero(np.diff(moments // size)) + 1
    parts = [part for part in np.split(order, cuts) if len(part)]
    return [parts[number] for number in rng.permutation(len(parts))]
