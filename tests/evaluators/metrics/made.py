"""Answers with everything known beside them, made at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from evaluators.arrays import Csr, Ints, offsets_of
from evaluators.metrics import Answers, Categories, Dates, Facts, Histories, Popularity

ITEMS, QUERIES, DEPTH = 30, 24, 12


def makers(random: np.random.Generator, relevant: int) -> dict[str, Callable[[], Any]]:
    """All parts of `Facts`, for QUERIES queries with `relevant` relevant items in all."""
    lists = [np.flatnonzero(random.random(7) < 0.3).tolist() for _ in range(ITEMS)]
    lengths = random.integers(0, 15, QUERIES)
    columns = random.integers(0, ITEMS, lengths.sum())
    days = np.concatenate([np.sort(random.random(n) * 90)[::-1] for n in lengths])
    people = random.integers(1, 9, ITEMS)
    first = random.random(ITEMS) * 1e6
    made: dict[str, Any] = {
        "popularity": Popularity(people + random.integers(0, 5, ITEMS), people, 9),
        "categories": Categories.of(lists, 7),
        "embeddings": random.normal(size=(ITEMS, 3)),
        "weights": random.integers(0, 6, relevant).astype(float),
        "histories": Histories(Csr(offsets_of(lengths), columns), days),
        "half_life": 30.0,
        "dates": Dates(first, first + random.random(ITEMS) * 1e6, 2e6 + random.random(QUERIES) * 1e6),
        "repeats": True,
        "shifts": random.integers(-1, 25, QUERIES),
    }
    assert set(made) == set(Facts.parts)
    return {name: partial(_same, part) for name, part in made.items()}


def _same(part: Any) -> Any:
    return part


def answers(seed: int, *, most: int = 6, depth: int = DEPTH) -> Answers:
    """QUERIES queries of a few users, 1 to `most` relevant items each, lists of `depth` with some places left empty."""
    random = np.random.default_rng(seed)
    counts = random.integers(1, most + 1, QUERIES)
    ranks = np.concatenate([np.sort(random.choice(ITEMS, n, replace=False)) for n in counts])
    columns = np.concatenate([random.choice(ITEMS, n, replace=False) for n in counts])
    shown = np.stack([random.permutation(ITEMS)[:depth] for _ in range(QUERIES)]).astype(np.int32)
    shown = np.pad(shown, ((0, 0), (0, max(0, depth - ITEMS))), constant_values=-1)
    shown[np.arange(depth) >= random.integers(depth // 2, depth + 1, QUERIES)[:, None]] = -1
    return Answers(
        ranks,
        offsets_of(counts),
        shown,
        random.integers(0, 8, QUERIES),
        ITEMS,
        columns=columns,
        facts=Facts(**makers(random, len(ranks))),
    )


def ranked(given: Answers, ranks: Ints) -> Answers:
    """The same with other ranks."""
    return replace(given, ranks=ranks)


def listed(lists: list[list[int]], items: int, **known: Any) -> Answers:
    """Lists that were shown, each to another user, with what is known beside; nothing relevant stands high."""
    count, depth = len(lists), max(len(each) for each in lists)
    shown = np.array([each + [-1] * (depth - len(each)) for each in lists], dtype=np.int32)
    facts = Facts(**{name: partial(_same, part) for name, part in known.items()})
    return Answers(
        np.full(count, items - 1), np.arange(count + 1), shown, np.arange(count), items, facts=facts
    )


def histories(events: list[list[tuple[int, float]]]) -> Histories:
    """Of each query, its events as (column, age in days), oldest first."""
    flat = [event for query in events for event in query]
    columns = np.array([column for column, _ in flat], dtype=np.int64)
    days = np.array([age for _, age in flat], dtype=np.float64)
    return Histories(Csr(offsets_of(np.array([len(query) for query in events])), columns), days)
