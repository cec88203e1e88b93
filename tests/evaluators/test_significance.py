from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats

from evaluators import (
    Intervals,
    benjamini_hochberg,
    detectable,
    difference,
    holm,
    interval,
    paired,
    wilcoxon,
)


def test_p_is_that_of_all_sign_flips() -> None:
    gains, users = np.array([0.5, 0.3, -0.1, 0.4, 0.2, 0.6]), np.array([0, 0, 1, 2, 3, 4])
    totals = np.array([0.8, -0.1, 0.4, 0.2, 0.6])
    flips = [abs(np.dot(signs, totals)) >= totals.sum() - 1e-12 for signs in product([-1, 1], repeat=5)]
    got = paired(gains, np.zeros(6), users, draws=40_000)
    assert got.p == pytest.approx(np.mean(flips), abs=0.005)
    assert np.mean(flips) == 4 / 32
    assert got.difference == pytest.approx(1.9 / 6)
    expected = interval(gains, users)
    assert (got.low, got.high) == (expected.low, expected.high)


def test_a_difference_has_the_interval_that_is_asked_for() -> None:
    random = np.random.default_rng(5)
    a, b, users = random.random(50), random.random(50), random.integers(0, 20, 50)
    how = Intervals(0.8, n=300, seed=3, method="bca")
    assert difference(a, b, users, how) == paired(a, b, users, 0.8, 300, seed=3, method="bca")
    alone = np.zeros(50)
    assert difference(a, b, alone, how) == paired(a, b, alone, 0.8, 300, seed=3)


def test_p_does_not_depend_on_who_is_first_and_differences_change_sign() -> None:
    random = np.random.default_rng(5)
    a, b, users = random.random(50), random.random(50), random.integers(0, 20, 50)
    one, other = paired(a, b, users, draws=2000), paired(b, a, users, draws=2000)
    assert one.p == other.p
    assert (one.difference, one.low) == pytest.approx((-other.difference, -other.high))
    assert paired(a, a, users, draws=2000).p == 1.0


def test_under_the_null_one_in_twenty_is_significant_and_a_real_difference_is_found() -> None:
    random = np.random.default_rng(6)
    users = np.repeat(np.arange(30), 4)
    null, real = [], []
    for i in range(300):
        noise = np.repeat(random.normal(0, 1, 30), 4) + random.normal(0, 0.3, 120)
        null.append(paired(noise, np.zeros(120), users, n=10, draws=2000, seed=i).p)
        real.append(paired(noise + 1, np.zeros(120), users, n=10, draws=2000, seed=i).p)
    assert 0.02 <= np.mean(np.array(null) < 0.05) <= 0.09
    assert np.mean(np.array(real) < 0.05) > 0.98
    assert min(real) >= 1 / 2001


@pytest.mark.parametrize(
    ("values", "users", "changes", "message"),
    [
        ([1.0, 2.0], [1], {}, r"with Q >= 1 must hold, but got \(\(2,\), \(1,\)\)"),
        ([], [], {}, r"with Q >= 1 must hold, but got \(\(0,\), \(0,\)\)"),
        ([1.0, np.nan], [1, 2], {}, "values must be finite, but query 1 has nan"),
        ([1.0], [1], {"level": 1.0}, r"`0 < level < 1` must hold, but got \(level=1.0\)"),
        ([1.0], [1], {"n": 0}, r"`n >= 1` must hold, but got \(n=0\)"),
    ],
)
def test_bad_values(values: Any, users: Any, changes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interval(np.array(values), np.array(users), **changes)


def test_bad_pairs() -> None:
    with pytest.raises(ValueError, match=r"`a.shape == b.shape` must hold, but got \(\(2,\), \(3,\)\)"):
        paired(np.zeros(2), np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match=r"`draws >= 2000` must hold, but got \(draws=100\)"):
        paired(np.zeros(2), np.zeros(2), np.zeros(2), draws=100)


def test_wilcoxon_is_that_of_each_users_mean() -> None:
    random = np.random.default_rng(2)
    users = random.integers(0, 30, 200)
    a, b = random.random(200) + 0.05, random.random(200)
    means = [(a - b)[users == user].mean() for user in np.unique(users)]
    assert wilcoxon(a, b, users) == pytest.approx(stats.wilcoxon(means).pvalue)
    assert wilcoxon(a, a, users) == 1.0
    assert wilcoxon(a, b, users) == pytest.approx(wilcoxon(b, a, users))


def test_one_large_gain_is_a_rank_and_no_more() -> None:
    a, zero, users = np.array([50.0, -0.1, -0.2, -0.3, -0.4, -0.5, -0.6, -0.7]), np.zeros(8), np.arange(8)
    assert wilcoxon(a, zero, users) == pytest.approx(wilcoxon(a.clip(-1, 1), zero, users))


def test_adjusted_p_values_by_hand() -> None:
    """Of four: the smallest times four, the next times three and no smaller than it, …; the order stays."""
    p = [0.02, 0.01, 0.9, 0.015]
    assert holm(p) == pytest.approx([0.045, 0.04, 0.9, 0.045])
    assert benjamini_hochberg(p) == pytest.approx([0.08 / 3, 0.08 / 3, 0.9, 0.08 / 3])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == benjamini_hochberg([]) == []


def test_holm_keeps_false_alarms_below_the_level() -> None:
    """Of ten comparisons of equals, at least one is below 5 % in at most 5 % of the runs; unadjusted, in 40 %."""
    draws = np.random.default_rng(0).random((3000, 10))
    assert np.mean([min(holm(p)) < 0.05 for p in draws]) == pytest.approx(0.05, abs=0.012)
    assert np.mean(draws.min(1) < 0.05) > 0.35


def test_a_detectable_difference_is_found_with_its_power() -> None:
    random = np.random.default_rng(6)
    users = np.repeat(np.arange(50), 3)
    noise = [np.repeat(random.normal(0, 0.1, 50), 3) + random.normal(0, 0.1, 150) for _ in range(600)]
    size = float(np.mean([detectable(each, np.zeros(150), users) for each in noise]))
    found = [interval(each + size, users, method="robust").low > 0 for each in noise]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(("power", "users"), [(0.0, np.arange(4)), (1.0, np.arange(4)), (0.8, np.zeros(4))])
def test_a_detectable_difference_needs_a_power_and_users(power: float, users: Any) -> None:
    with pytest.raises(ValueError, match="`0 < power < 1` and 2 users must hold"):
        detectable(np.ones(4), np.zeros(4), users, power=power)
