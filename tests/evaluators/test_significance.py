from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from evaluators import interval, paired, significance
from tests.reference import protocol as referee


@pytest.mark.parametrize(("level", "n", "seed"), [(0.95, 1000, 0), (0.9, 300, 4)])
def test_interval_has_the_numbers_of_the_referee(level: float, n: int, seed: int) -> None:
    random = np.random.default_rng(1)
    users, values = random.integers(0, 70, 400)[::-1] * 13, random.random(400)
    got = interval(values, users, level, n, seed)
    assert (got.mean, got.low, got.high) == referee.interval(values, users, level, n, seed)


def test_chunks_of_the_resampling_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    users, values = random.integers(0, 71, 400), random.random(400)
    whole = interval(values, users)
    monkeypatch.setattr(significance, "CHUNK", 71 * 13)
    assert len(list(significance.picks(71, 1000, 0))) == 77
    assert interval(values, users) == whole


def clustered(random: np.random.Generator, users: int = 60, each: int = 8) -> tuple[Any, Any]:
    """Queries of one user share a level: mean 0.3 over people, most of the spread between them."""
    level = random.normal(0.3, 0.2, users)
    return np.repeat(level, each) + random.normal(0, 0.1, users * each), np.repeat(np.arange(users), each)


def test_interval_holds_the_truth_as_often_as_it_says_and_queries_alone_would_not() -> None:
    random = np.random.default_rng(3)
    runs = [clustered(random) for _ in range(400)]
    by_user = [interval(v, u, n=300, seed=i) for i, (v, u) in enumerate(runs)]
    by_query = [interval(v, np.arange(len(v)), n=300, seed=i) for i, (v, _) in enumerate(runs)]
    assert 0.91 < np.mean([e.low <= 0.3 <= e.high for e in by_user]) < 0.98
    assert np.mean([e.low <= 0.3 <= e.high for e in by_query]) < 0.7


def test_p_is_that_of_all_sign_flips() -> None:
    difference, users = np.array([0.5, 0.3, -0.1, 0.4, 0.2, 0.6]), np.array([0, 0, 1, 2, 3, 4])
    totals = np.array([0.8, -0.1, 0.4, 0.2, 0.6])
    flips = [abs(np.dot(signs, totals)) >= totals.sum() - 1e-12 for signs in product([-1, 1], repeat=5)]
    got = paired(difference, np.zeros(6), users, draws=40_000)
    assert got.p == pytest.approx(np.mean(flips), abs=0.005)
    assert np.mean(flips) == 4 / 32
    assert got.difference == pytest.approx(1.9 / 6)
    expected = interval(difference, users)
    assert (got.low, got.high) == (expected.low, expected.high)


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
