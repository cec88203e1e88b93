"""What a packed log tells beside a model's answers: the facts that metrics and segments need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import DAY, Csr, Floats, Ints, offsets_of, owners, ranges
from evaluators.metrics.facts import Categories, Dates, Facts, Histories, Popularity
from evaluators.packed import moments
from evaluators.queries import Split
from evaluators.shifts import shifts, since_shift


@dataclass(frozen=True)
class Log:
    """A packed log: offsets [U+1], items, times [N]; and, where it has them, weights [N], the categories of its
    vocabulary, a vector [V, d] for each of it; `about` [N] what each event is about, the items themselves if left out.
    """

    offsets: Ints
    items: NDArray[np.integer]
    times: Floats
    weights: NDArray[np.floating] | None = None
    categories: Categories | None = None
    embeddings: NDArray[np.floating] | None = None
    about: NDArray[np.integer] | None = None


def facts_of(split: Split, log: Log, *, repeats: bool, half_life: float | None = None) -> Facts:
    """What is known of a split's queries and catalogue; nothing is computed before a metric asks.

    half_life: in days, what `staleness` calls old; repeats: whether items are taken again. Whatever describes items is
    counted in training alone, so that all models are measured by the same.

    >>> from evaluators.queries import split
    >>> log = Log(np.array([0, 4, 6]), np.array([0, 1, 0, 2, 1, 0]), np.array([1.0, 2.0, 4.0, 4.0, 3.0, 5.0]))
    >>> how = {"protocol": "successive", "stage": "test", "cuts": (0.4, 0.6), "repeats": True}
    >>> made = split(log.offsets, log.items, log.times, 3, **how)
    >>> facts = facts_of(made, log, repeats=True)
    >>> facts.popularity.events.tolist(), facts.histories.days.round(6).tolist()[:2]
    ([1, 2], [3.5e-05, 2.3e-05])
    """
    makers: dict[str, Callable[[], Any]] = {
        "popularity": lambda: popularity_of(split, log),
        "histories": lambda: _histories(split, log),
        "dates": lambda: _dates(split, log),
        "shifts": lambda: _shifts(split, log),
    }
    optional: dict[str, tuple[Any, Callable[[], Any]]] = {
        "weights": (log.weights, lambda: _weights(split, log)),
        "categories": (log.categories, lambda: _categories(split, log)),
        "embeddings": (log.embeddings, lambda: np.asarray(log.embeddings)[split.catalogue]),
        "half_life": (half_life, lambda: half_life),
        "repeats": (repeats or None, lambda: True),
    }
    return Facts(**makers, **{name: make for name, (there, make) in optional.items() if there is not None})


def popularity_of(split: Split, log: Log) -> Popularity:
    """How often training has each item of the catalogue."""
    rows, items = np.flatnonzero(split.train), len(split.catalogue)
    user = np.searchsorted(log.offsets, rows, side="right") - 1
    columns = split.column[log.items[rows]].astype(np.int64)
    pairs = np.unique(user * items + columns)
    return Popularity(
        np.bincount(columns, minlength=items),
        np.bincount(pairs % items, minlength=items),
        len(np.unique(user)),
    )


def _histories(split: Split, log: Log) -> Histories:
    queries = split.queries
    rows = ranges(queries.begin, queries.end)
    owner = np.repeat(np.arange(len(queries)), queries.end - queries.begin)
    columns = split.column[log.items[rows]]
    known = columns >= 0
    offsets = offsets_of(np.bincount(owner[known], minlength=len(queries)))
    days = (queries.time[owner[known]] - log.times[rows[known]]) / DAY
    return Histories(Csr(offsets, columns[known]), days)


def _dates(split: Split, log: Log) -> Dates:
    rows = np.flatnonzero(split.train)
    columns, times = split.column[log.items[rows]], log.times[rows]
    times = times[np.lexsort((times, columns))]
    begin = offsets_of(np.bincount(columns, minlength=len(split.catalogue)))
    last = np.diff(begin) - 1
    middle = (times[begin[:-1] + last // 2] + times[begin[:-1] + (last + 1) // 2]) / 2
    return Dates(times[begin[:-1]], middle, split.queries.time)


def _shifts(split: Split, log: Log) -> Ints:
    about = log.items if log.about is None else log.about
    found = shifts(log.offsets, np.asarray(about), np.asarray(log.times))
    return since_shift(found, split.queries.begin, split.queries.end)


def _categories(split: Split, log: Log) -> Categories:
    assert log.categories is not None
    lists = log.categories.of_item
    begin, end = lists.offsets[split.catalogue], lists.offsets[split.catalogue + 1]
    return Categories(Csr(offsets_of(end - begin), lists.columns[ranges(begin, end)]), log.categories.count)


def _weights(split: Split, log: Log) -> Floats:
    """-> [R] the largest weight of each relevant item among its events that are asked for."""
    queries, items = split.queries, len(split.catalogue)
    until = queries.until
    if until is None:
        first = moments(log.offsets, log.times).first
        until = first[np.searchsorted(first, queries.end) + 1]
    rows = ranges(queries.end, until)
    owner = np.repeat(np.arange(len(queries)), until - queries.end)
    columns = split.column[log.items[rows]]
    keys = owner * items + columns
    wanted = owners(queries.relevant_offsets) * items + queries.relevant
    at = np.searchsorted(wanted, keys)
    found = (columns >= 0) & (wanted[np.minimum(at, len(wanted) - 1)] == keys)
    largest = np.zeros(len(wanted))
    np.maximum.at(largest, at[found], np.asarray(log.weights)[rows[found]])
    return largest
