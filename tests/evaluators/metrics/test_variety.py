"""Variety of lists, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from evaluators.metrics import Categories
from evaluators.metrics.variety import Calibration, Diversity, EmbeddingDiversity
from tests.evaluators.metrics.made import histories, listed

CATEGORIES = Categories.of([[0], [0, 1], [1, 69], [], []], 70)  # two words of bits


def test_diversity_is_the_mean_jaccard_distance() -> None:
    given = listed([[0, 1, 2], [0, 0], [3, 4], [0]], 5, categories=CATEGORIES)
    found = Diversity(3).values(given)
    assert found[:3] == pytest.approx([(1 / 2 + 1 + 2 / 3) / 3, 0, 1])
    assert np.isnan(found[3])
    assert Diversity(2).values(given)[0] == 0.5


def test_diversity_by_vectors_is_the_mean_cosine_distance() -> None:
    vectors = np.array([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [0.0, 0.0], [5.0, 0.0]])
    given = listed([[0, 1, 2], [0, 4], [0, 2], [0, 3], [1]], 5, embeddings=vectors)
    found = EmbeddingDiversity(3).values(given)
    assert found[:4] == pytest.approx([(1 + 2 + 1) / 3, 0, 2, 1])
    assert np.isnan(found[4])


def test_calibration_is_the_divergence_of_steck() -> None:
    past = histories([[(0, 3), (2, 1)], [(0, 2)], [(0, 2)], [(3, 1)]])
    given = listed([[0, 2], [0], [2], [0]], 5, categories=CATEGORIES, histories=past)
    found = Calibration(2).values(given)
    # the first list has exactly what its user takes; the second too; the third has nothing of it; the last user's items
    # have no category
    assert found[:3] == pytest.approx([0, 0, np.log(100)])
    assert np.isnan(found[3])
    halfway = listed([[0]], 5, categories=CATEGORIES, histories=histories([[(1, 1)]]))
    expected = 0.5 * np.log(0.5 / (0.99 + 0.005)) + 0.5 * np.log(0.5 / 0.005)
    assert Calibration(1).values(halfway) == pytest.approx([expected])
