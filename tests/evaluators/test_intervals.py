"""How sure a mean is."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from scipy import stats

from evaluators import Method, interval, intervals, over_seeds
from tests.reference import protocol as referee

METHODS: tuple[Method, ...] = get_args(Method)


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
    monkeypatch.setattr(intervals, "CHUNK", 71 * 13)
    assert len(list(intervals.picks(71, 1000, 0))) == 77
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


def test_the_robust_interval_by_hand() -> None:
    """Totals 0 and 2 of one query each: the mean is 1 and its error √(2/1 · (1 + 1)) / 2 = 1, on one degree of
    freedom."""
    found = interval(np.array([0.0, 2.0]), np.array([7, 3]), 0.9, method="robust")
    reach = stats.t.ppf(0.95, 1)
    assert (found.mean, found.low, found.high) == pytest.approx((1, 1 - reach, 1 + reach))


def test_bca_has_the_interval_of_scipy() -> None:
    """With one query a user, of a skewed figure, where it is not the percentile interval."""
    random = np.random.default_rng(5)
    values = random.lognormal(0, 1, 60)
    found = interval(values, np.arange(60), n=20_000, method="bca")
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=1).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=0.01)
    plain = interval(values, np.arange(60), n=20_000)
    assert found.low > plain.low * 1.01
    assert found.high > plain.high * 1.02


@pytest.mark.parametrize("method", METHODS)
def test_every_interval_holds_the_truth_as_often_as_it_says(method: Method) -> None:
    """The unit is the user, of whom some ask much more than others."""
    random = np.random.default_rng(11)
    held = []
    for run in range(1000):
        users = np.repeat(np.arange(120), random.integers(1, 9, 120))
        values = random.normal(0.3, 0.2, 120)[users] + random.normal(0, 0.1, len(users))
        found = interval(values, users, seed=run, method=method)
        held.append(found.low <= 0.3 <= found.high)
    assert 0.93 <= np.mean(held) <= 0.97


@pytest.mark.parametrize("method", METHODS)
def test_what_never_varies_is_certain(method: Method) -> None:
    found = interval(np.full(6, 0.25), np.arange(6) // 2, method=method)
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))


@pytest.mark.parametrize("method", METHODS)
def test_a_single_user_can_only_be_resampled(method: Method) -> None:
    if method == "percentile":
        assert interval(np.array([0.0, 1.0]), np.zeros(2)).low == 0.5
    else:
        with pytest.raises(ValueError, match=f"2 users for `{method}`, but got 1"):
            interval(np.array([0.0, 1.0]), np.zeros(2), method=method)


def crossed(random: np.random.Generator, seeds: int, users: int, each: int) -> tuple[Any, Any]:
    """Seeds and users each shift a figure around 0.3; every seed answers every query."""
    by_seed, by_user = random.normal(0, 0.02, seeds), np.repeat(random.normal(0, 0.1, users), each)
    noise = random.normal(0, 0.05, (seeds, users * each))
    return 0.3 + by_seed[:, None] + by_user + noise, np.repeat(np.arange(users), each)


def test_over_seeds_holds_the_truth_as_often_as_it_says_and_users_alone_would_not() -> None:
    random = np.random.default_rng(4)
    runs = [crossed(random, 5, 60, 4) for _ in range(1000)]
    both = [over_seeds(values, users) for values, users in runs]
    alone = [interval(values.mean(0), users, method="robust") for values, users in runs]
    assert 0.93 <= np.mean([each.low <= 0.3 <= each.high for each in both]) <= 0.97
    assert np.mean([each.low <= 0.3 <= each.high for each in alone]) < 0.92


def test_seeds_that_agree_leave_the_interval_of_users() -> None:
    values, users = crossed(np.random.default_rng(0), 1, 40, 3)
    found = over_seeds(np.repeat(values, 4, 0), users)
    expected = interval(values[0], users, method="robust")
    assert (found.mean, found.low, found.high) == pytest.approx((expected.mean, expected.low, expected.high))
    same = over_seeds(np.full((3, 8), 0.5), np.arange(8))
    assert (same.mean, same.low, same.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("values", "users", "message"),
    [
        (np.ones((1, 4)), np.arange(4), "S >= 2 must hold"),
        (np.ones(4), np.arange(4), "S >= 2 must hold"),
        (np.ones((2, 4)), np.zeros(4), "at least 2 users"),
        (np.ones((2, 4)), np.arange(3), "one value and one user per query"),
    ],
)
def test_over_seeds_says_what_it_needs(values: Any, users: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        over_seeds(values, users)
