from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaluators import Evaluation, Intervals, Split, evaluate, resolve, segments, split
from evaluators.arrays import DAY
from evaluators.known import Log, facts_of
from evaluators.metrics import Categories, Facts
from evaluators.segments import buckets, by_category, repeated
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
    found = segments(evaluation, parts, log.items, log.times, Intervals(n=50))
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
    found = segments(evaluation, parts, log.items, log.times, Intervals(n=20))
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


def test_people_and_items_apart_by_hand() -> None:
    log = log_of_two()
    parts, _ = made(log)
    known = Log(*log[:3], categories=Categories.of([[0], [1], [1]]))
    told = facts_of(parts, known, repeats=True)
    facts = Facts(
        popularity=lambda: told.popularity,
        categories=lambda: told.categories,
        shifts=lambda: np.array([-1, 2, 3]),
    )
    scores = np.tile([0.9, 0.8, 0.7], (3, 1))
    metrics = resolve(["recall", "coverage"], [1])
    evaluation = evaluate([(slice(0, 3), scores)], parts.queries, metrics, facts=facts)
    found = segments(evaluation, parts, log.items, log.times, Intervals(n=20), ["tea", "cake"])
    assert set(found) == {"recency", "history", "cold", "adaptation", "novelty", "popularity", "category"}
    # Ann asked for a (found first) and c; Bob for b, behind a, and for c
    assert figures(found, "cold") == {"warm": (3, 2, pytest.approx(0.5 / 3))}
    assert figures(found, "adaptation") == {"<=2": (1, 1, 0.0), "<=5": (1, 1, 0.0), "no shift": (1, 1, 0.5)}
    assert figures(found, "category") == {"tea": (1, 1, 1.0), "cake": (3, 2, 0.0)}
    # training has a three times, b twice, c once
    assert figures(found, "popularity") == {"head": (1, 1, 1.0), "tail": (2, 2, 0.0), "middle": (1, 1, 0.0)}


def test_a_user_without_training_is_cold() -> None:
    log = pack(frame(list("aaabbb"), list("xyxxyx"), np.array([0, 1, 2, 6, 7, 8]) * DAY))
    parts = split(*log[:3], 2, protocol="successive", stage="test", cuts=(0.2, 0.45), repeats=True)
    evaluation = evaluate(
        [(slice(0, len(parts.queries)), np.ones((len(parts.queries), 2)))], parts.queries, resolve(["mrr"])
    )
    found = segments(evaluation, parts, log.items, log.times, Intervals(n=20))
    assert {name: at["queries"] for name, at in found["cold"].items()} == {"cold": 2, "warm": 1}


def test_nothing_is_told_by_category_where_none_stands_out() -> None:
    assert by_category(np.full(9, -1), []) == {}
    assert by_category(np.arange(100), []) == {}
    asked = by_category(np.array([0, 0, 1, -1]), ["tea"])
    assert {name: mask.sum() for name, mask in asked.items()} == {"tea": 2, "1": 1, "other": 1}


def test_another_splits_evaluation_is_refused() -> None:
    log = log_of_two()
    parts, evaluation = made(log)
    with pytest.raises(
        ValueError, match="must be of the split's queries, but has 2 of 3; evaluate this split"
    ):
        segments(evaluation.subset(np.array([0, 1])), parts, log.items, log.times)
