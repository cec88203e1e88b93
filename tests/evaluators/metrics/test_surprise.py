"""More than what everybody takes, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluators.metrics import Popularity
from evaluators.metrics.surprise import MeanPopularity, Novelty, PopularityLift, Serendipity
from tests.evaluators.metrics.made import histories, listed

POPULARITY = Popularity(np.array([8, 4, 4, 1]), np.array([4, 2, 1, 1]), 4)


def test_novelty_is_in_bits() -> None:
    given = listed([[0, 1], [2, 3], [1]], 4, popularity=POPULARITY)
    assert Novelty(2).values(given).tolist() == [0.5, 2.0, 1.0]
    assert Novelty(1).values(given).tolist() == [0.0, 2.0, 1.0]


def test_popularity_and_its_lift_over_what_the_user_takes() -> None:
    past = histories([[(0, 9), (0, 5), (3, 1)], [(1, 3)], []])
    given = listed([[0, 1], [3], [0]], 4, popularity=POPULARITY, histories=past)
    assert MeanPopularity(2).values(given).tolist() == [6.0, 1.0, 8.0]
    lift = PopularityLift(2).values(given)
    assert lift[:2] == pytest.approx([6 / (17 / 3) - 1, 1 / 4 - 1])
    assert np.isnan(lift[2])


def test_serendipity_counts_hits_that_popularity_would_not_have_made() -> None:
    given = listed([[0], [0], [0], [0]], 4, popularity=POPULARITY)
    given = replace(given, ranks=np.array([0, 0, 1, 0]), columns=np.array([0, 3, 2, 1]))
    # popularity ranks 1, 2, 2, 3: expected 1, 3/4, 3/4, 1/2
    assert Serendipity(2).values(given) == pytest.approx([0, (1 - 1 / 2) / 2, 0, (1 - 3 / 4) / 2])
    assert Serendipity(1).values(given).tolist() == [0, 0.5, 0, 0.25]
