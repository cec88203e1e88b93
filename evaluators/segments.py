"""The same figures apart: people back soon or late, known little or well, just turned; repeats and new items, popular
and rare ones, one category and another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import DAY, Bools, Floats, Ints, occurs, owners
from evaluators.evaluation import Evaluation
from evaluators.intervals import CUSTOMARY, Intervals
from evaluators.metrics.facts import Facts
from evaluators.queries import Split

# Upper ends of the buckets, each end inside its bucket; the last bucket has none.
RECENCY_DAYS = (1.0, 7.0, 30.0, 90.0)
HISTORY_EVENTS = (5, 20, 100)
SINCE_SHIFT_EVENTS = (2, 5, 10, 20)
# Items by popularity, until they make up this share of the training events.
HEAD, MIDDLE = 0.5, 0.8
# Categories shown apart: so many at most, each with this share of what is asked for.
CATEGORIES, LEAST_SHARE = 8, 0.02

Segment = dict[str, Any]
Choice = Callable[[Evaluation], Evaluation]


def segments(
    evaluation: Evaluation,
    split: Split,
    items: NDArray[np.integer],
    times: Floats,
    how: Intervals = CUSTOMARY,
    names: Sequence[str] = (),
) -> dict[str, dict[str, Segment]]:
    """``{kind: {bucket: {"queries", "users", "metrics": {name: {mean, low, high}}}}}``.

    evaluation: of all queries of the split, in their order; items, times [N]: the packed log it was made
    from; names: of the categories, by number.

    Of queries: `recency`, days from the user's last event to the moment; `history`, the number of events before the
    moment; `cold`, whether training has the user; `adaptation`, the events since the user's interest last shifted,
    where the shifts are known to the evaluation.
    Of relevant items: `novelty`, those that the user had before (`repeats`) and had not (`new`); `popularity`, where
    that is known, the `head` that makes up half of the training events, the `middle` up to four fifths, and the `tail`;
    `category`, where those are known, the main categories most asked for. The relevant items of other kinds are taken
    out of the query and out of the ranking, so a query with several kinds counts in each, and figures of whole lists
    (coverage) are left out. An empty bucket is left out.

    Repeats apart from new items: Anderson et al. 2014, "The dynamics of repeat consumption"; head and tail: Park &
    Tuzhilin 2008, "The long tail of recommender systems and how to leverage it".
    Raises ValueError when the evaluation is not of these queries.
    """
    queries = split.queries
    if len(evaluation) != len(queries) or len(evaluation.above) != len(queries.relevant):
        raise ValueError(
            f"the evaluation must be of the split's queries, but has {len(evaluation)} of {len(queries)}; "
            "evaluate this split."
        )
    chosen = choices(split, items, times, evaluation.answers.facts, names)
    return {
        kind: {name: _segment(choose(evaluation), how) for name, choose in parts.items()}
        for kind, parts in chosen.items()
    }


def choices(
    split: Split, items: NDArray[np.integer], times: Floats, facts: Facts, names: Sequence[str] = ()
) -> dict[str, dict[str, Choice]]:
    """``{kind: {bucket: choose}}``: choose(evaluation) is the part of an evaluation of these queries that lies there.

    Arguments and kinds as `segments`, which gives the figures.
    """
    return {**_of_queries(split, times, facts), **_of_items(split, items, facts, names)}


def _segment(part: Evaluation, how: Intervals) -> Segment:
    return {
        "queries": len(part),
        "users": len(np.unique(part.answers.users)),
        "metrics": part.summary(how),
    }


def _of_queries(split: Split, times: Floats, facts: Facts) -> dict[str, dict[str, Choice]]:
    queries = split.queries
    idle = (queries.time - times[queries.end - 1]) / DAY
    length = (queries.end - queries.begin).astype(np.float64)
    known = split.train[queries.begin]
    chosen = {
        "recency": buckets(idle, RECENCY_DAYS, "d"),
        "history": buckets(length, HISTORY_EVENTS, ""),
        "cold": _named({"cold": ~known, "warm": known}),
    }
    if "shifts" in facts.known:
        since = np.where(facts.shifts >= 0, facts.shifts, np.nan)
        chosen["adaptation"] = [
            *buckets(since, SINCE_SHIFT_EVENTS, ""),
            *_named({"no shift": np.isnan(since)}),
        ]
    return {
        kind: {name: partial(Evaluation.subset, index=at) for name, at in parts}
        for kind, parts in chosen.items()
    }


def _of_items(
    split: Split, items: NDArray[np.integer], facts: Facts, names: Sequence[str]
) -> dict[str, dict[str, Choice]]:
    column, old = split.queries.relevant, repeated(split, items)
    masks = {"novelty": {"repeats": old, "new": ~old}}
    if "popularity" in facts.known:
        masks["popularity"] = {
            name: of_item[column] for name, of_item in by_popularity(facts.popularity.events).items()
        }
    if "categories" in facts.known:
        lists = facts.categories.of_item
        main = np.full(len(lists), -1)
        has = np.flatnonzero(np.diff(lists.offsets))
        main[has] = lists.columns[lists.offsets[has]]
        masks["category"] = by_category(main[column], names)
    return {
        kind: {
            name: partial(Evaluation.restrict, asked=asked) for name, asked in parts.items() if asked.any()
        }
        for kind, parts in masks.items()
        if parts
    }


def repeated(split: Split, items: NDArray[np.integer]) -> Bools:
    """Which relevant items are in their query's history: items [N] of the packed log -> [R]."""
    queries = split.queries
    wanted = split.catalogue[queries.relevant]
    return occurs(
        items, queries.begin, queries.end, owners(queries.relevant_offsets), wanted, len(split.column)
    )


def by_popularity(events: Ints) -> dict[str, Bools]:
    """events [I] of training -> [I] who is in the head, the middle and the tail, by the events of all no rarer.

    >>> {name: mask.tolist() for name, mask in by_popularity(np.array([1, 5, 3, 1])).items()}
    {'head': [False, True, False, False], 'middle': [False, False, True, False], 'tail': [True, False, False, True]}
    """
    order = np.argsort(-events, kind="stable")
    reached = np.empty(len(events))
    reached[order] = np.cumsum(events[order]) / max(1, events.sum())
    return {
        "head": reached <= HEAD,
        "middle": (reached > HEAD) & (reached <= MIDDLE),
        "tail": reached > MIDDLE,
    }


def by_category(main: Ints, names: Sequence[str]) -> dict[str, Bools]:
    """main [R] each relevant item's category, -1 for none -> [R] who is in each that is asked for most, and in `other`.

    Nothing, where no category is asked for often enough to be looked at apart.

    >>> {name: mask.tolist() for name, mask in by_category(np.array([1, 1, -1]), ["tea", "cake"]).items()}
    {'cake': [True, True, False], 'other': [False, False, True]}
    """
    counts = np.bincount(main[main >= 0], minlength=1)
    often = [
        number
        for number in np.argsort(-counts, kind="stable")[:CATEGORIES].tolist()
        if counts[number] >= max(1, LEAST_SHARE * len(main))
    ]
    if not often:
        return {}
    found = {(names[number] if number < len(names) else str(number)): main == number for number in often}
    return {**found, "other": ~np.isin(main, often)}


def buckets(values: Floats, ends: tuple[float, ...], unit: str) -> list[tuple[str, Ints]]:
    """Names of the buckets that hold a value, and which values they hold; one at an upper end is inside, NaN nowhere.

    >>> [(name, at.tolist()) for name, at in buckets(np.array([0.5, 7.0, 99.0, 1.0]), (1.0, 7.0), "d")]
    [('<=1d', [0, 3]), ('<=7d', [1]), ('>7d', [2])]
    """
    names = [f"<={end:g}{unit}" for end in ends] + [f">{ends[-1]:g}{unit}"]
    places = np.where(np.isnan(values), -1, np.searchsorted(np.asarray(ends), values, side="left"))
    return [(name, np.flatnonzero(places == i)) for i, name in enumerate(names) if (places == i).any()]


def _named(masks: dict[str, Bools]) -> list[tuple[str, Ints]]:
    return [(name, np.flatnonzero(mask)) for name, mask in masks.items() if mask.any()]
