"""The same figures apart: people back soon or late, known little or well; repeats and new items."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Bools, Floats, Ints, occurs, owners
from evaluators.evaluation import Evaluation
from evaluators.intervals import Method
from evaluators.queries import Split

DAY = 86_400.0
# Upper ends of the buckets, each end inside its bucket; the last bucket has none.
RECENCY_DAYS = (1.0, 7.0, 30.0, 90.0)
HISTORY_EVENTS = (5, 20, 100)

Segment = dict[str, Any]


def segments(
    evaluation: Evaluation,
    split: Split,
    items: NDArray[np.integer],
    times: Floats,
    *,
    level: float = 0.95,
    n: int = 1000,
    seed: int = 0,
    method: Method = "percentile",
) -> dict[str, dict[str, Segment]]:
    """``{"recency" | "history" | "novelty": {bucket: {"queries", "users", "metrics": {name: {mean, low,
    high}}}}}``.

    evaluation: of all queries of the split, in their order; items, times [N]: the packed log it was made
    from.

    recency: days from the user's last event to the moment. history: the number of events before the moment.
    novelty: the metrics asked for the relevant items that the user had before (`repeats`), and for those they
    had not (`new`); the other kind is taken out of the query and out of the ranking, so a query with both
    counts in both, and figures of whole lists (coverage) are left out. An empty bucket is left out.

    Repeats apart from new items: Anderson et al. 2014, "The dynamics of repeat consumption".
    Raises ValueError when the evaluation is not of these queries.
    """
    queries = split.queries
    if len(evaluation) != len(queries) or len(evaluation.above) != len(queries.relevant):
        raise ValueError(
            f"the evaluation must be of the split's queries, but has {len(evaluation)} of {len(queries)}; "
            "evaluate this split."
        )
    idle = (queries.time - times[queries.end - 1]) / DAY
    length = (queries.end - queries.begin).astype(np.float64)
    old = repeated(split, items)

    def report(part: Evaluation) -> Segment:
        users = len(np.unique(part.answers.users))
        return {
            "queries": len(part),
            "users": users,
            # A segment may have one user, of whom only a resampling can say anything.
            "metrics": part.summary(level, n, seed, method if users > 1 else "percentile"),
        }

    return {
        "recency": {name: report(evaluation.subset(at)) for name, at in buckets(idle, RECENCY_DAYS, "d")},
        "history": {name: report(evaluation.subset(at)) for name, at in buckets(length, HISTORY_EVENTS, "")},
        "novelty": {
            name: report(evaluation.restrict(asked))
            for name, asked in (("repeats", old), ("new", ~old))
            if asked.any()
        },
    }


def repeated(split: Split, items: NDArray[np.integer]) -> Bools:
    """Which relevant items are in their query's history: items [N] of the packed log -> [R]."""
    queries = split.queries
    wanted = split.catalogue[queries.relevant]
    return occurs(
        items, queries.begin, queries.end, owners(queries.relevant_offsets), wanted, len(split.column)
    )


def buckets(values: Floats, ends: tuple[float, ...], unit: str) -> list[tuple[str, Ints]]:
    """Names of the buckets that hold a value, and which values they hold; a value at an upper end is inside.

    >>> [(name, at.tolist()) for name, at in buckets(np.array([0.5, 7.0, 99.0, 1.0]), (1.0, 7.0), "d")]
    [('<=1d', [0, 3]), ('<=7d', [1]), ('>7d', [2])]
    """
    names = [f"<={end:g}{unit}" for end in ends] + [f">{ends[-1]:g}{unit}"]
    places = np.searchsorted(np.asarray(ends), values, side="left")
    return [(name, np.flatnonzero(places == i)) for i, name in enumerate(names) if (places == i).any()]
