"""Lists that live in the past, and models that lag, by hand and on made-up people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluators.arrays import DAY
from evaluators.metrics import Answers, Categories, Dates, Facts
from evaluators.metrics.forgetting import Adaptation, CategoryStaleness, Freshness, ItemAge, Staleness
from tests.evaluators.metrics.made import histories, listed

PAST = histories([[(0, 90), (1, 50), (1, 2)], [(2, 31)], []])


def test_a_list_is_stale_by_what_only_old_events_hold_up() -> None:
    given = listed([[0, 1, 3], [2], [0]], 4, histories=PAST, half_life=30.0, repeats=True)
    assert Staleness(3).values(given) == pytest.approx([1 / 3, 1, 0])  # item 1 was taken again 2 days ago
    assert Staleness(1).values(given).tolist() == [1, 1, 0]
    patient = listed([[0, 1, 3], [2], [0]], 4, histories=PAST, half_life=60.0, repeats=True)
    assert Staleness(3).values(patient) == pytest.approx([1 / 3, 0, 0])


def test_an_event_holds_up_whatever_shares_a_category() -> None:
    categories = Categories.of([[0], [1], [0, 1], []], 2)
    given = listed([[0, 1, 2, 3], [0, 1], [2]], 4, histories=PAST, half_life=30.0, categories=categories)
    # first: category 0 was last seen 90 days ago, category 1 two; second: both, 31 days ago
    assert CategoryStaleness(4).values(given) == pytest.approx([1 / 4, 1, 0])


def test_items_have_an_age_and_a_freshness_among_the_others() -> None:
    dates = Dates(np.array([0, 1, 2, 3]) * DAY, np.array([5, 1, 5, 9]) * DAY, np.array([10, 20]) * DAY)
    given = listed([[0, 3], [1]], 4, dates=dates)
    assert ItemAge(2).values(given).tolist() == [(10 + 7) / 2, 19]
    # typical times 1 < 5 = 5 < 9: shares 1/8, 4/8, 4/8, 7/8
    assert Freshness(2).values(given).tolist() == [(4 + 7) / 16, 1 / 8]
    blind = listed([[0, 1, 2, 3], [3, 2, 1, 0]], 4, dates=dates)
    assert Freshness(4).mean(blind) == 0.5


def lagging(share: float, users: int, seed: int) -> Answers:
    """Two early and two late queries a user; a late one hits half the time, an early one `share` as often."""
    random = np.random.default_rng(seed)
    early = np.tile([True, True, False, False], users)
    level = np.repeat(np.clip(random.normal(0.5, 0.15, users), 0, 1), 4)
    hit = random.random(4 * users) < level * np.where(early, share, 1.0)
    since = np.where(early, random.integers(0, 11, 4 * users), random.choice([-1, 11, 40], 4 * users))
    given = Answers.of([[0] if each else [9] for each in hit.tolist()])
    return replace(given, users=np.repeat(np.arange(users), 4), facts=Facts(shifts=lambda: since))


def test_adaptation_is_the_share_of_the_usual_worth_and_its_interval_holds_it() -> None:
    estimates = [Adaptation(1).estimate(lagging(0.6, 200, seed)) for seed in range(200)]
    assert np.mean([each.mean for each in estimates]) == pytest.approx(0.6, abs=0.02)
    assert 0.91 <= np.mean([each.low <= 0.6 <= each.high for each in estimates]) <= 0.98


@pytest.mark.parametrize("since", [-1, 40, 3])
def test_adaptation_is_silent_without_early_queries_or_without_others(since: int) -> None:
    given = replace(lagging(1.0, 9, 0), facts=Facts(shifts=lambda: np.full(36, since)))
    assert np.isnan(Adaptation(1).mean(given))
