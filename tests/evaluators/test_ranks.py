from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators import ranks, top
from evaluators.ranks import FEW, answer
from tests.evaluators.helpers import lists


def by_the_book(scores: Any, relevant: list[Any], seen: list[Any] | None) -> list[int]:
    """The definition, item by item."""
    out = []
    for q, row in enumerate(scores):
        others = set(range(len(row))) - set(relevant[q]) - set([] if seen is None else seen[q])
        for j, own in enumerate(sorted((row[c] for c in relevant[q]), reverse=True)):
            out.append(j + sum(1 for i in others if np.isfinite(row[i]) and row[i] >= own))
    return out


@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([np.float32, np.float64, np.int64]))
def test_ranks_follow_the_definition(seed: int, masked: bool, kind: type) -> None:
    random = np.random.default_rng(seed)
    width = int(random.integers(FEW + 3, 20))
    scores: Any = random.integers(0, 5, (6, width)).astype(kind)
    if kind is not np.int64:
        scores[random.random(scores.shape) < 0.2] = -np.inf
    sizes = random.integers(1, FEW + 4, 6)
    relevant = [np.sort(random.choice(width, size, replace=False)).tolist() for size in sizes]
    seen = [np.flatnonzero(random.random(width) < 0.3).tolist() for _ in range(6)] if masked else None
    got = ranks(scores, lists(relevant), None if seen is None else lists(seen))
    assert got.tolist() == by_the_book(scores, relevant, seen)


def test_a_constant_score_earns_the_last_places() -> None:
    assert ranks(np.zeros((1, 10)), lists([[0, 1]])).tolist() == [8, 9]


def test_above_is_aligned_with_the_columns() -> None:
    above, _, shown = answer(np.array([[0.1, 0.9, 0.5, 0.3]]), lists([[0, 1]]), None, 3)
    assert above.tolist() == [2, 0]
    assert shown.tolist() == [[1, 2, 3]]


def test_a_relevant_item_that_was_seen_is_ranked_and_shown() -> None:
    scores = np.array([[0.9, 0.8, 0.7]])
    above, _, shown = answer(scores, lists([[1]]), lists([[0, 1]]), 3)
    assert above.tolist() == [0]
    assert shown.tolist() == [[1, 2, -1]]


def test_scores_are_left_as_they_were() -> None:
    scores = np.array([[0.9, 0.8, 0.7]])
    answer(scores, lists([[1]]), lists([[0]]), 2)
    assert scores.tolist() == [[0.9, 0.8, 0.7]]


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.booleans())
def test_top_breaks_ties_by_column_order(seed: int, k: int, hide: bool) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(0, 3, (5, 7)).astype(float)
    scores[random.random(scores.shape) < 0.3] = -np.inf
    hidden = [np.flatnonzero(random.random(7) < 0.4).tolist() for _ in range(5)]
    got = top(scores, k, lists(hidden) if hide else None)
    for q in range(5):
        row = scores[q].copy()
        if hide:
            row[hidden[q]] = -np.inf
        best = [c for c in np.argsort(-row, kind="stable")[:k].tolist() if np.isfinite(row[c])]
        assert got[q].tolist() == best + [-1] * (k - len(best))


@pytest.mark.parametrize(
    ("scores", "relevant", "seen", "message"),
    [
        (
            [[0.0, 1.0], [2.0, np.nan]],
            [[0], [0]],
            None,
            "must be a number or -inf, but got nan in row 1, column 1",
        ),
        ([[np.inf, 1.0]], [[1]], None, "but got inf in row 0, column 0"),
        ([0.0, 1.0], [[0]], None, r"scores must be \[B, I\], but got shape \(2,\)"),
        ([[0.0, 1.0]], [[0], [1]], None, r"`len\(relevant\) == len\(scores\)` must hold, but got \(2, 1\)"),
        ([[0.0, 1.0]], [[2]], None, r"columns of relevant must be in \[0, 2\), but got \(min=2, max=2\)"),
        ([[0.0, 1.0]], [[-1]], None, r"columns of relevant must be in \[0, 2\), but got \(min=-1, max=-1\)"),
        ([[0.0, 1.0]], [[0]], [[0], [1]], r"`len\(seen\) == len\(scores\)` must hold, but got \(2, 1\)"),
        ([[0.0, 1.0]], [[0]], [[5]], r"columns of seen must be in \[0, 2\), but got \(min=5, max=5\)"),
    ],
)
def test_bad_scores(scores: Any, relevant: Any, seen: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ranks(np.array(scores), lists(relevant), None if seen is None else lists(seen))


def test_bad_depth() -> None:
    with pytest.raises(ValueError, match=r"`k >= 0` must hold, but got \(k=-1\)"):
        top(np.zeros((1, 3)), -1)
