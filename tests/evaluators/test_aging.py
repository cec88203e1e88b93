"""The trend of a metric with the age of the model: by hand, against a regression with dummies, and on a known truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaluators import trend


def simulated(seed: int, slope: float) -> tuple[Any, ...]:
    """Three models answer each of 300 queries of 60 users; later queries are easier, and users differ."""
    random = np.random.default_rng(seed)
    user = random.integers(0, 60, 300)
    when = random.uniform(0, 10, 300)
    age = when[:, None] + np.array([0.0, 5.0, 9.0])
    ease = 0.05 * when + random.normal(0, 0.3, 60)[user]
    personal = random.normal(0, 0.01, 60)[user]  # whose answers age faster than others'
    value = ease[:, None] + (slope + personal)[:, None] * age + random.normal(0, 0.02, age.shape)
    return value.ravel(), age.ravel(), np.repeat(user, 3), np.repeat(np.arange(300), 3)


def test_by_hand() -> None:
    """Users lose 0.1 and 0.3 with one unit of age: 0.2 ± t(1) · √(2 · 2 · 0.05²)."""
    found = trend(
        np.array([0.9, 0.8, 0.5, 0.2]), np.array([3.0, 4.0, 0.0, 1.0]), np.array([5, 5, 8, 8]), np.array([0, 0, 1, 1])
    )  # fmt: skip
    assert found.mean == pytest.approx(-0.2)
    # score_u = Σ x̃ · e = ½ · (±0.1) each; Σ x̃² = 1; se = √(2/1 · (0.05² + 0.05²)) = 0.1; t(0.975, 1) = 12.7062
    assert found.high - found.mean == pytest.approx(12.7062 * 0.1, rel=1e-4)


def test_it_is_the_regression_with_a_dummy_for_each_query() -> None:
    values, ages, users, queries = simulated(1, -0.02)
    dummies = (queries[:, None] == np.unique(queries)).astype(float)
    expected = np.linalg.lstsq(np.column_stack([ages, dummies]), values, rcond=None)[0][0]
    assert trend(values, ages, users, queries).mean == pytest.approx(expected)
    plain = np.polyfit(ages, values, 1)[0]
    assert trend(values, ages, users).mean == pytest.approx(plain)


def test_the_truth_lies_in_the_interval_as_often_as_it_says() -> None:
    hits, bias = 0, []
    for seed in range(150):
        values, ages, users, queries = simulated(seed, -0.02)
        found = trend(values, ages, users, queries, level=0.9)
        hits += found.low <= -0.02 <= found.high
        bias.append(found.mean + 0.02)
    assert 0.83 <= hits / 150 <= 0.96
    assert abs(np.mean(bias)) < 0.0005


def test_what_changed_in_the_world_does_not_enter_between_answers_to_one_query() -> None:
    values, ages, users, queries = simulated(3, -0.02)
    assert trend(values, ages, users, queries).high < 0
    assert trend(values, ages, users).mean > trend(values, ages, users, queries).mean + 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [0.0], [0, 1]), r"values.shape == ages.shape == users.shape"),
        (([1.0, 2.0], [1.0, 1.0], [0, 1]), "`ages` must differ; take more periods"),
        (([1.0, 2.0], [1.0, 2.0], [0, 1], [0, 1]), "`ages` must differ within a query"),
        (([1.0, 2.0], [1.0, 2.0], [0, 0]), "at least 2 users whose answers differ in age, but got 1"),
    ],
)
def test_what_cannot_be_told(arguments: tuple[Any, ...], message: str) -> None:
    arrays: list[Any] = [np.array(each) for each in arguments]
    with pytest.raises(ValueError, match=message):
        trend(*arrays)
