"""Gains by weight, by hand."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest

from evaluators.metrics import NDCG, Answers, Facts, GradedNDCG, HitRating

RANKED = Answers.of([[0, 2, 7], [3], [1]])
WEIGHTS = np.array([1.0, 5.0, 3.0, 4.0, 0.0])
GIVEN = Answers(
    RANKED.ranks, RANKED.offsets, RANKED.shown, RANKED.users, 9, facts=Facts(weights=lambda: WEIGHTS)
)


def test_graded_ndcg_by_hand() -> None:
    best = 5 + 3 / log2(3) + 1 / log2(4)
    assert GradedNDCG(3).values(GIVEN) == pytest.approx([(1 + 5 / log2(4)) / best, 0, 0])
    assert GradedNDCG(1).values(GIVEN) == pytest.approx([1 / 5, 0, 0])


def test_where_all_weigh_the_same_it_is_plain_ndcg() -> None:
    same = Answers(
        RANKED.ranks,
        RANKED.offsets,
        RANKED.shown,
        RANKED.users,
        9,
        facts=Facts(weights=lambda: np.full(5, 2.5)),
    )
    for k in (1, 2, 3, 10):
        assert GradedNDCG(k).values(same) == pytest.approx(NDCG(k).values(same), abs=1e-15)


def test_the_rating_of_hits_is_silent_without_a_hit() -> None:
    found = HitRating(3).values(GIVEN)
    assert found[[0, 2]].tolist() == [3.0, 0.0]
    assert np.isnan(found[1])
    assert HitRating(3).mean(GIVEN) == 1.5
    assert HitRating(3).estimate(GIVEN).mean == 1.5
