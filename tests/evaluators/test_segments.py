from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaluators import Evaluation, Split, evaluate, resolve, segments, split
from evaluators.segments import DAY, buckets, repeated
from tests.evaluators.helpers import Packed, frame, pack, retail


def log_of_two() -> Packed:
    """Ann: items a, b on day 0, a and c on day 7. Bob: a on day 1, b on day 5, b on day 20, c on day 20.5."""
    days = np.array([0, 0, 7, 7, 1, 5, 20, 20.5, 2])
    return pack(frame(["a"] * 4 + ["b"] * 4 + ["c"], list("abacabbcc"), days * DAY))


def made(log: Packed) -> tuple[Split, Evaluation]:
    parts = split(
        *log[:3], len(log.vocabulary), protocol="successive", stage="test", cuts=(0.3, 0.6), repeats=True
    )
    scores = np.tile([0.9, 0.8, 0.7], (len(parts.queries), 1))
    return parts, evaluate(
        [(slice(0, len(parts.queries)), scores)], parts.queries, resolve(["recall", "coverage"], [1])
    )


def figures(found: dict[str, Any], name: str) -> dict[str, Any]:
    return {
        bucket: (at["queries"], at["users"], at["metrics"]["recall@1"]["mean"])
        for bucket, at in found[name].items()
    }


def test_by_hand() -> None:
    log = log_of_two()
    parts, evaluation = made(log)
    assert parts.queries.relevant.tolist() == [0, 2, 1, 2]
    found = segments(evaluation, parts, log.items, log.times, n=50)
    # Ann back on her 7th day; Bob after 15 days, then after half a day.
    assert figures(found, "recency") == {"<=1d": (1, 1, 0.0), "<=7d": (1, 1, 0.5), "<=30d": (1, 1, 0.0)}
    assert figures(found, "history") == {"<=5": (3, 2, pytest.approx(0.5 / 3))}
    # Repeats: Ann's a, in first place; Bob's b, behind a. New: c twice, behind b even for Ann.
    assert figures(found, "novelty") == {"repeats": (2, 2, 0.5), "new": (2, 2, 0.0)}
    assert set(found["history"]["<=5"]["metrics"]) == {"recall@1", "coverage@1"}
    assert set(found["novelty"]["new"]["metrics"]) == {"recall@1"}
    assert set(found["novelty"]["new"]["metrics"]["recall@1"]) == {"mean", "low", "high"}


def test_a_bucket_owns_its_upper_end() -> None:
    values = np.array([0.0, 1.0, 1.0001, 90.0, 90.5])
    assert [(name, at.tolist()) for name, at in buckets(values, (1.0, 7.0, 90.0), "d")] == [
        ("<=1d", [0, 1]),
        ("<=7d", [2]),
        ("<=90d", [3]),
        (">90d", [4]),
    ]


def test_baskets_fall_into_buckets_that_add_up_and_repeats_are_those_of_the_history() -> None:
    _, log = retail()
    parts = split(
        *log[:3], len(log.vocabulary), protocol="successive", stage="test", repeats=True, max_queries=200
    )
    scores = np.random.default_rng(0).random((200, len(parts.catalogue)), dtype=np.float32)
    evaluation = evaluate([(slice(0, 200), scores)], parts.queries, resolve(["ndcg", "mrr"]))
    found = segments(evaluation, parts, log.items, log.times, n=20)
    for name in ("recency", "history"):
        assert sum(at["queries"] for at in found[name].values()) == 200
        total = sum(at["queries"] * at["metrics"]["mrr"]["mean"] for at in found[name].values())
        assert total / 200 == pytest.approx(evaluation.means()["mrr"])
    queries, truth = parts.queries, []
    for q in range(200):
        history = set(log.items[queries.begin[q] : queries.end[q]].tolist())
        columns = queries.relevant[queries.relevant_offsets[q] : queries.relevant_offsets[q + 1]]
        truth += [int(parts.catalogue[c]) in history for c in columns]
    assert repeated(parts, log.items).tolist() == truth
    assert 0.1 < np.mean(truth) < 0.9


def test_another_splits_evaluation_is_refused() -> None:
    log = log_of_two()
    parts, evaluation = made(log)
    with pytest.raises(
        ValueError, match="must be of the split's queries, but has 2 of 3; evaluate this split"
    ):
        segments(evaluation.subset(np.array([0, 1])), parts, log.items, log.times)
