from __future__ import annotations

import numpy as np
import pytest

from evaluators.ab import Arms, assign, cuped


def outcomes(effect: float, correlation: float, users: int, seed: int) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    before = random.normal(3, 2, users)
    arm = assign(range(users), (0.5, 0.5), str(seed))
    noise = random.normal(0, 1, users)
    return correlation * (before - 3) / 2 + (1 - correlation**2) ** 0.5 * noise + effect * arm, before, arm


def test_the_variance_falls_by_the_squared_correlation() -> None:
    y, x, arm = outcomes(0.1, 0.8, 20_000, 0)
    made = cuped(y, x, arm)
    assert made.reduction == pytest.approx(0.64, abs=0.02)
    assert made.slope[0] == pytest.approx(0.4, abs=0.01)
    assert Arms.of(made.outcome, arm).error[0] == pytest.approx(0.6 * Arms.of(y, arm).error[0], rel=0.03)
    assert made.outcome.mean() == pytest.approx(y.mean())


def test_the_lift_is_not_biased_and_its_intervals_hold() -> None:
    plain, adjusted, rejected = [], [], 0
    for seed in range(400):
        y, x, arm = outcomes(0.0, 0.7, 200, seed)
        arms = Arms.of(cuped(y, x, arm).outcome, arm)
        plain.append(Arms.of(y, arm).lift[0])
        adjusted.append(arms.lift[0])
        rejected += arms.p()[0] < 0.05
    assert abs(np.mean(adjusted)) < 3 * np.std(adjusted) / 20
    assert np.var(adjusted) == pytest.approx((1 - 0.49) * np.var(plain), rel=0.2)
    assert 0.025 <= rejected / 400 <= 0.08


def test_an_effect_is_not_taken_out_with_the_covariate() -> None:
    """A slope fitted without regard to the arms would take some of a large effect for the covariate's."""
    y, x, arm = outcomes(5.0, 0.5, 400, 1)
    assert Arms.of(cuped(y, x, arm).outcome, arm).lift[0] == pytest.approx(5.0, abs=0.25)


def test_two_covariates_take_more_than_one() -> None:
    random = np.random.default_rng(2)
    x = random.normal(0, 1, (2_000, 2))
    y, arm = x @ [1.0, 2.0] + random.normal(0, 1, 2_000), np.arange(2_000) % 2
    assert cuped(y, x, arm).reduction == pytest.approx(5 / 6, abs=0.02)
    assert cuped(y, x[:, 0], arm).reduction == pytest.approx(1 / 6, abs=0.03)
    twice = np.stack([x[:, 0], x[:, 0]], 1)  # the same twice is no more than once
    assert cuped(y, twice, arm).outcome == pytest.approx(cuped(y, x[:, 0], arm).outcome)


def test_what_explains_nothing_changes_nothing() -> None:
    y, arm = np.array([1.0, 4.0, 2.0, 8.0]), np.array([0, 0, 1, 1])
    made = cuped(y, np.ones(4), arm)
    assert (made.outcome.tolist(), made.reduction) == (y.tolist(), 0.0)


@pytest.mark.parametrize(("x", "message"), [(np.ones(3), "len"), (np.array([1, 2, 3, np.nan]), "finite")])
def test_bad_covariates(x: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cuped(np.ones(4), x, np.array([0, 0, 1, 1]))
