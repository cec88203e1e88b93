"""How lists are spread over the catalogue, by hand and against what resampling would say."""

from __future__ import annotations

import numpy as np
import pytest

from evaluators.intervals import Intervals
from evaluators.metrics import Answers, Coverage, Entropy, Gini, UserCoverage


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


def test_users_are_covered_where_anything_is_shown() -> None:
    answers = coverage_of([[0, 1], [1, -1], [-1, -1]], [0, 1, 1], 10)
    assert UserCoverage(2).values(answers).tolist() == [1.0, 1.0, 0.0]


def test_inequality_and_entropy_by_hand() -> None:
    answers = coverage_of([[0, 1], [0, 2], [0, -1]], [0, 1, 2], 4)  # counts 3, 1, 1, 0
    # ascending 0, 1, 1, 3 with weights -3, -1, 1, 3 over 4 * 5
    assert Gini(2).mean(answers) == pytest.approx((-1 + 1 + 9) / 20)
    assert Entropy(2).mean(answers) == pytest.approx(0.6 * np.log2(5 / 3) + 0.4 * np.log2(5))
    even = coverage_of([[0, 1], [2, 3]], [0, 1], 4)
    assert (Gini(2).mean(even), Entropy(2).mean(even)) == pytest.approx((0, 2))
    one = coverage_of([[3], [3]], [0, 1], 4)
    assert (Gini(1).mean(one), Entropy(1).mean(one)) == pytest.approx((3 / 4, 0))


@pytest.mark.parametrize("metric", [Gini(4), Entropy(4)], ids=lambda metric: metric.name)
def test_the_slope_is_the_derivative(metric: Gini | Entropy) -> None:
    counts = np.random.default_rng(1).permutation(np.arange(1.0, 31.0))
    for item in range(30):
        more, less = counts.copy(), counts.copy()
        more[item] += 1e-5
        less[item] -= 1e-5
        numeric = (metric.figure(more) - metric.figure(less)) / 2e-5
        assert metric.slope(counts)[item] == pytest.approx(numeric, abs=1e-7)


@pytest.mark.parametrize("metric", [Gini(5), Entropy(5)], ids=lambda metric: metric.name)
def test_the_interval_is_as_wide_as_figures_of_other_users_are_spread(metric: Gini | Entropy) -> None:
    random = np.random.default_rng(7)
    logits = -np.log(np.arange(60) + 3.0)

    def draw() -> Answers:  # 150 users who ask twice; what is popular is shown more often
        shown = np.argsort(-(logits + random.gumbel(size=(300, 60))), axis=1)[:, :5]
        return coverage_of(shown.tolist(), np.repeat(np.arange(150), 2).tolist(), 60)

    draws = [draw() for _ in range(150)]
    spread = np.std([metric.mean(each) for each in draws])
    assert np.mean([metric.deviation(each) for each in draws]) == pytest.approx(spread, rel=0.2)


def test_one_user_alone_has_no_spread() -> None:
    answers = coverage_of([[0, 1], [0, 2]], [5, 5], 4)
    for metric in (Coverage(2), Gini(2), Entropy(2)):
        estimate = metric.estimate(answers, Intervals(method="bca"))
        assert estimate.low == estimate.mean == estimate.high
