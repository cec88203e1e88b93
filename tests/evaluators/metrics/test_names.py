"""From names to metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluators.metrics import Answers, QueryMetric, resolve


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
