"""The two models of a gate apart: by how long ago people were here, what is known of them, and what they took."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluators import Evaluation
from evaluators.segments import DAY, HISTORY_EVENTS, RECENCY_DAYS, buckets, by_popularity, repeated
from harness.gate.decision import Pair
from harness.stage import Stage


def pairs(
    stage: Stage, kinds: Iterable[str], candidate: Evaluation, other: Evaluation
) -> dict[str, dict[str, Pair]]:
    """``{kind: {segment: (candidate, other)}}``, in the segments that an evaluation's report has.

    Args:
        candidate, other: of all queries of the stage, in their order.
    """
    return {
        kind: {name: (choose(candidate), choose(other)) for name, choose in _CHOICES[kind](stage).items()}
        for kind in kinds
    }


Choice = Callable[[Evaluation], Evaluation]


def _queries(index: npt.NDArray[Any]) -> Choice:
    return lambda evaluation: evaluation.subset(index)


def _items(asked: npt.NDArray[np.bool_]) -> Choice:
    return lambda evaluation: evaluation.restrict(asked)


def _recency(stage: Stage) -> dict[str, Choice]:
    queries, times = stage.split.queries, np.asarray(stage.store.times)
    idle = (queries.time - times[queries.end - 1]) / DAY
    return {name: _queries(at) for name, at in buckets(idle, RECENCY_DAYS, "d")}


def _history(stage: Stage) -> dict[str, Choice]:
    queries = stage.split.queries
    length = (queries.end - queries.begin).astype(np.float64)
    return {name: _queries(at) for name, at in buckets(length, HISTORY_EVENTS, "")}


def _cold(stage: Stage) -> dict[str, Choice]:
    known = stage.split.train[stage.split.queries.begin]
    return {name: _queries(mask) for name, mask in {"cold": ~known, "warm": known}.items() if mask.any()}


def _novelty(stage: Stage) -> dict[str, Choice]:
    old = repeated(stage.split, np.asarray(stage.store.items))
    return {name: _items(mask) for name, mask in {"repeats": old, "new": ~old}.items() if mask.any()}


def _popularity(stage: Stage) -> dict[str, Choice]:
    column = stage.split.queries.relevant
    of_item = by_popularity(stage.facts.popularity.events)
    return {name: _items(mask[column]) for name, mask in of_item.items() if mask[column].any()}


_CHOICES: dict[str, Callable[[Stage], dict[str, Choice]]] = {
    "recency": _recency,
    "history": _history,
    "cold": _cold,
    "novelty": _novelty,
    "popularity": _popularity,
}
