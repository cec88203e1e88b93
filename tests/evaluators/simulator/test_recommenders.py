from __future__ import annotations

import numpy as np
import pytest

import evaluators
from evaluators.simulator import Blend, Exponential, Lasting, Offline, Parameters, Visits, World

TREND = np.array([0.4, 0.3, 0.2, 0.1])
VISITS = Visits(
    np.array([0, 1]), np.array([10.0, 10.0]), np.array([[2, 3, 2], [-1, -1, -1]]),
    np.array([[8.0, 10.0, 6.0], [-np.inf] * 3]),
)  # fmt: skip


def test_scores_by_hand() -> None:
    found = Blend(TREND, Exponential(2.0), own=0.5).scores(VISITS)  # what is left: 1/2, 1, 1/4
    assert found[0] == pytest.approx(0.5 * TREND + 0.5 * np.array([0, 0, 0.75, 1]) / 1.75)
    assert found[1] == pytest.approx(0.5 * TREND)
    assert Blend(TREND, Lasting(), own=0.5).scores(VISITS)[0, 2] == pytest.approx(0.1 + 0.5 * 2 / 3)


@pytest.mark.parametrize("k", [2, 4, 6])
def test_lists_are_the_best_first(k: int) -> None:
    lists = Blend(TREND, Exponential(2.0), own=0.5).recommend(VISITS, k)
    assert lists.tolist() == [([3, 2, 0, 1, -1, -1])[:k], ([0, 1, 2, 3, -1, -1])[:k]]


def test_offline_a_model_scores_what_it_would_show() -> None:
    world = World(Parameters(items=40), days=40)
    offsets, items, times = world.roam(world.people(60), 40.0).packed(60)
    split = evaluators.split(offsets, items, times, 40, protocol="successive", stage="test", repeats=True)
    model = Blend(np.full(40, 1 / 40), Exponential(3.0))
    scorer = Offline(model, split, items, times, width=4)
    query = len(split.queries) // 2
    end = int(split.queries.end[query])
    begin = max(int(split.queries.begin[query]), end - 4)
    moment = split.queries.time[query]
    left = np.exp2(-(moment - times[begin:end]) / 86_400 / 3.0)
    expected = 0.5 / 40 + 0.5 * np.bincount(items[begin:end], left / left.sum(), 40)
    assert scorer.score(slice(query, query + 1))[0] == pytest.approx(expected[split.catalogue], abs=1e-6)
