from __future__ import annotations

from math import log2
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluators import (
    METRICS,
    MRR,
    NDCG,
    Answers,
    Coverage,
    HitRate,
    Metric,
    Precision,
    QueryMetric,
    Recall,
    resolve,
)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (Precision(3), [1 / 3, 0.0, 1.0]),
        (Recall(3), [1 / 2, 0.0, 3 / 4]),
        (HitRate(3), [1.0, 0.0, 1.0]),
        (HitRate(4), [1.0, 1.0, 1.0]),
        (MRR(), [1 / 2, 1 / 4, 1.0]),
        (NDCG(3), [(1 / log2(3)) / (1 + 1 / log2(3)), 0.0, 1.0]),
        (NDCG(10), [(1 / log2(3) + 1 / log2(11)) / (1 + 1 / log2(3)), 1 / log2(5), None]),
    ],
)
def test_by_hand(metric: Metric, expected: list[float | None]) -> None:
    answers = Answers.of([[1, 9], [3], [0, 1, 2, 40]])
    values = metric.values(answers)
    assert values is not None
    pairs = [(v, e) for v, e in zip(values.tolist(), expected, strict=True) if e is not None]
    assert [v for v, _ in pairs] == pytest.approx([e for _, e in pairs], abs=1e-15)
    assert metric.mean(answers) == pytest.approx(float(np.mean(values)))


@pytest.mark.parametrize("title", METRICS)
def test_every_metric_keeps_its_promises(title: str) -> None:
    random = np.random.default_rng(1)
    ranks = np.sort(random.integers(0, 10, (40, 3)) * 3 + np.arange(3), axis=1).ravel()
    shown = np.array([random.choice(90, 10, replace=False) for _ in range(40)], dtype=np.int32)
    answers = Answers(ranks, np.arange(0, 121, 3), shown, random.integers(0, 12, 40), 90)
    for metric in METRICS[title].at([1, 10]):
        assert resolve([metric.name])[0].name == metric.name
        estimate = metric.estimate(answers, n=200)
        assert 0 <= estimate.low <= estimate.mean <= estimate.high <= 1
        assert estimate.low < estimate.high
        assert estimate.mean == pytest.approx(metric.mean(answers), abs=1e-15)
        assert estimate == metric.estimate(answers, n=200)
        wide = metric.estimate(answers, level=0.99, n=200)
        assert wide.low <= estimate.low
        assert wide.high >= estimate.high
        values = metric.values(answers)
        assert values is None or values.shape == (40,)


def coverage_of(shown: list[list[int]], users: list[int], catalogue: int) -> Answers:
    count = len(users)
    return Answers(
        np.zeros(count, int),
        np.arange(count + 1),
        np.array(shown, dtype=np.int32),
        np.array(users),
        catalogue,
    )


def test_coverage_counts_items_once_and_ignores_empty_places() -> None:
    answers = coverage_of([[0, 1], [1, -1], [4, -1]], [0, 1, 2], 10)
    assert Coverage(2).mean(answers) == 0.3
    assert Coverage(1).mean(answers) == 0.3
    assert Coverage(1).mean(coverage_of([[0, 1], [0, 4]], [0, 1], 10)) == 0.1


def test_coverage_interval_is_the_jackknife_over_users() -> None:
    random = np.random.default_rng(0)
    users = random.integers(0, 9, 25)
    shown = random.integers(-1, 40, (25, 4))
    answers = coverage_of(shown.tolist(), users.tolist(), 40)
    without = [len(set(shown[users != u].ravel()) - {-1}) / 40 for u in np.unique(users)]
    count = len(without)
    spread = np.sqrt((count - 1) / count * ((np.array(without) - np.mean(without)) ** 2).sum())
    estimate = Coverage(4).estimate(answers)
    assert spread > 0
    assert estimate.high - estimate.mean == pytest.approx(1.959963984540054 * spread)
    assert estimate.mean - estimate.low == pytest.approx(1.959963984540054 * spread)


def test_coverage_interval_holds_what_other_users_would_be_shown() -> None:
    random = np.random.default_rng(7)
    weights = 1 / (np.arange(300) + 3.0)
    logits = np.log(weights / weights.sum())

    def draw() -> Answers:  # 40 users, each shown 5 distinct items, popular ones more often
        shown = np.argsort(-(logits + random.gumbel(size=(40, 300))), axis=1)[:, :5]
        return coverage_of(shown.tolist(), list(range(40)), 300)

    truth = float(np.mean([Coverage(5).mean(draw()) for _ in range(400)]))
    estimates = [Coverage(5).estimate(draw()) for _ in range(400)]
    held = np.mean([e.low <= truth <= e.high for e in estimates])
    assert held >= 0.94  # conservative by theory
    assert np.mean([e.high - e.low for e in estimates]) < 0.2  # and yet it says something


def test_resolve_names_cut_offs_and_own_metrics() -> None:
    class Own(QueryMetric):
        title = "own"

        def values(self, answers: Answers) -> NDArray[np.float64]:
            return np.zeros(len(answers.users))

    got = resolve(["ndcg", "mrr", "hit_rate@3", Own(), "ndcg@5"], ks=[5, 10])
    assert [m.name for m in got] == ["ndcg@5", "ndcg@10", "mrr", "hit_rate@3", "own"]


@pytest.mark.parametrize(
    ("names", "ks", "message"),
    [
        (["ndgc"], [10], "a metric must be one of precision, .* but got 'ndgc'; did you mean 'ndcg'"),
        (["recal@5"], [10], "but got 'recal@5'; did you mean 'recall'"),
        (
            ["ndcg@ten"],
            [10],
            "a cut-off must be a whole number >= 1, but got 'ndcg@ten'; write it as in 'ndcg@10'",
        ),
        (["mrr@5"], [10], "mrr has no cut-off, but got 'mrr@5'; write 'mrr'"),
        (["ndcg"], [0], r"`k >= 1` must hold and k be whole, but got \(k=0\)"),
        (["coverage@0"], [10], r"`k >= 1` must hold and k be whole, but got \(k=0\)"),
        (["recall"], [2.5], r"got \(k=2.5\)"),
        ([], [10], "at least one metric must be named"),
    ],
)
def test_bad_names(names: list[Any], ks: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve(names, ks)
