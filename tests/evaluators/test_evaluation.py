from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluators import Coverage, Precision, Queries, Recall, Seen, blocks, evaluate, resolve, split
from evaluators.arrays import offsets_of
from tests.evaluators.helpers import retail
from tests.reference import protocol as referee

NAMES = ["precision", "recall", "ndcg", "mrr", "coverage"]


@dataclass
class Table:
    """Scores made beforehand; notes how many queries it was asked for at a time."""

    scores: NDArray[Any]
    sizes: list[int]

    def score(self, index: slice) -> NDArray[Any]:
        self.sizes.append(index.stop - index.start)
        return np.asarray(self.scores[index])


def queries_of(relevant: list[list[int]], users: list[int] | None = None) -> Queries:
    count = len(relevant)
    return Queries(
        np.arange(count) if users is None else np.array(users),
        np.arange(10.0, 10.0 + count),
        np.zeros(count, dtype=np.int64),
        np.ones(count, dtype=np.int64),
        offsets_of(np.array([len(r) for r in relevant])),
        np.array([c for r in relevant for c in r], dtype=np.int32),
    )


@pytest.mark.parametrize("k", [1, 10])
@pytest.mark.parametrize("repeats", [False, True])
def test_agrees_with_the_referee_on_baskets(repeats: bool, k: int) -> None:
    _, log = retail()
    made = split(
        *log[:3], len(log.vocabulary), protocol="successive", stage="test", repeats=repeats, max_queries=150
    )
    queries, width = made.queries, len(made.catalogue)
    random = np.random.default_rng(k)
    scores = random.integers(0, 60, (len(queries), width)).astype(np.float32)  # about 60 items on every score
    for q in range(0, len(queries), 2):  # every other query: a good model, and ties at the very top
        scores[q, queries.lists(slice(q, q + 1)).columns] += 55
    scores[random.random(scores.shape) < 0.05] = -np.inf
    seen = None if repeats else Seen(queries, log.items, made.column)
    got = evaluate(Table(scores, []), queries, resolve(NAMES, [k]), seen=seen, block=64)

    relevant = np.split(queries.relevant, queries.relevant_offsets[1:-1])
    histories = [made.column[log.items[b:e]] for b, e in zip(queries.begin, queries.end, strict=True)]
    masked = None if repeats else [np.unique(h[h >= 0]) for h in histories]
    expected, shown = referee.rank_metrics(scores, relevant, masked, k)
    for name in expected.columns:
        assert np.abs(got.values[name] - expected[name].to_numpy()).max() < 1e-9
    assert expected[f"ndcg@{k}"].mean() > 0.05
    assert set(got.shown.ravel().tolist()) - {-1} == shown
    assert got.means()[f"coverage@{k}"] == pytest.approx(len(shown) / width)
    summary = got.summary()
    assert tuple(summary["mrr"].values()) == referee.interval(expected["mrr"], queries.user)
    assert list(summary) == [m.name for m in got.metrics]


def test_the_size_of_blocks_changes_nothing() -> None:
    random = np.random.default_rng(0)
    scores, queries = random.integers(0, 4, (11, 8)).astype(float), queries_of([[q % 8] for q in range(11)])
    table = Table(scores, [])
    whole = evaluate([(slice(0, 11), scores)], queries, resolve(NAMES, [2, 3]))
    parts = evaluate(table, queries, resolve(NAMES, [2, 3]), block=4)
    assert table.sizes == [4, 4, 3]
    assert parts.means() == whole.means()
    assert (parts.above == whole.above).all()
    backwards = evaluate(reversed(list(blocks(table, 11, 4))), queries, resolve(NAMES, [2, 3]))
    assert (backwards.answers.shown == whole.answers.shown).all()
    assert whole.answers.shown.shape == (11, 3)


def test_subset_is_the_evaluation_of_those_queries() -> None:
    random = np.random.default_rng(2)
    scores, queries = (
        random.random((6, 9)),
        queries_of([[0, 4], [1], [2, 3, 8], [5], [6], [7]], [3, 3, 4, 5, 4, 5]),
    )
    index = np.array([4, 0, 2])
    part = evaluate([(slice(0, 6), scores)], queries, resolve(NAMES, [2])).subset(index)
    alone = evaluate([(slice(0, 3), scores[index])], queries.subset(index), resolve(NAMES, [2]))
    assert part.summary() == alone.summary()
    assert part.users.tolist() == [4, 3, 4]


def test_restrict_takes_the_other_relevant_items_out_of_the_way() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.6], [0.9, 0.8, 0.7, 0.6]])
    whole = evaluate(
        [(slice(0, 2), scores)], queries_of([[0, 2], [3]]), [Precision(2), Recall(2), Coverage(2)]
    )
    assert whole.values["recall@2"].tolist() == [0.5, 0.0]
    part = whole.restrict(np.array([False, True, False]))
    assert part.values["recall@2"].tolist() == [
        1.0
    ]  # item 2 stands behind item 1 alone: item 0 is not in its way
    assert part.answers.ranks.tolist() == [1]
    assert [m.name for m in part.metrics] == ["precision@2", "recall@2"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([(slice(0, 1), np.zeros((1, 3)))], "query 1 of 2 was answered 0 times; yield slices that follow"),
        (
            [(slice(0, 2), np.zeros((2, 3))), (slice(1, 2), np.zeros((1, 3)))],
            "query 1 of 2 was answered 2 times",
        ),
        ([(slice(0, 1), np.zeros((1, 3))), (slice(1, 2), np.zeros((1, 4)))], r"widths \[3, 4\] were given"),
        (
            [(slice(0, 2), np.zeros((1, 3)))],
            r"`len\(relevant\) == len\(scores\)` must hold, but got \(2, 1\)",
        ),
    ],
)
def test_bad_blocks(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(given, queries_of([[0], [1]]), resolve(["mrr"]))


def test_bad_block_size() -> None:
    with pytest.raises(ValueError, match=r"`size >= 1` must hold, but got \(size=0\)"):
        evaluate(Table(np.zeros((2, 3)), []), queries_of([[0], [1]]), resolve(["mrr"]), block=0)
