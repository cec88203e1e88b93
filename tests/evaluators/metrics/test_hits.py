"""How much of what was right is found, and how high it stands, by hand."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest

from evaluators.metrics import (
    AUC,
    MAP,
    MRR,
    NDCG,
    Answers,
    CappedRecall,
    HitRate,
    Metric,
    Precision,
    Recall,
    RPrecision,
)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (Precision(3), [1 / 3, 0.0, 1.0]),
        (Recall(3), [1 / 2, 0.0, 3 / 4]),
        (HitRate(3), [1.0, 0.0, 1.0]),
        (HitRate(4), [1.0, 1.0, 1.0]),
        (CappedRecall(3), [1 / 2, 0.0, 1.0]),
        (RPrecision(), [1 / 2, 0.0, 3 / 4]),
        (MRR(), [1 / 2, 1 / 4, 1.0]),
        (MAP(3), [(1 / 2) / 2, 0.0, (1 + 1 + 1) / 4]),
        (MAP(10), [(1 / 2 + 2 / 10) / 2, 1 / 4, 3 / 4]),
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


def test_auc_is_the_share_of_pairs_in_order() -> None:
    random = np.random.default_rng(0)
    scores, relevant = random.random((20, 15)), [[3], [0, 7, 14]] * 10
    ranks = [np.sort((-row).argsort().argsort()[mine]) for row, mine in zip(scores, relevant, strict=True)]
    given = Answers.of([each.tolist() for each in ranks])
    answers = Answers(given.ranks, given.offsets, given.shown, given.users, 15)
    pairs = [
        np.mean([row[a] > row[b] for a in mine for b in range(15) if b not in mine])
        for row, mine in zip(scores, relevant, strict=True)
    ]
    assert AUC().values(answers) == pytest.approx(np.array(pairs))


def test_auc_leaves_out_what_was_hidden() -> None:
    none = np.empty((1, 0), np.int32)
    hidden = Answers(np.array([2]), np.array([0, 1]), none, np.array([0]), 9, candidates=np.array([4]))
    assert AUC().values(hidden).tolist() == [0.5]
    everything = Answers(np.arange(3), np.array([0, 3]), none, np.array([0]), 3)
    assert AUC().values(everything).tolist() == [1.0]
