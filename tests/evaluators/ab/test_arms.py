from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from evaluators.ab import Arms, absolute, relative, welch


def test_accrued_looks_are_the_statistics_of_who_had_come() -> None:
    random = np.random.default_rng(0)
    outcome, arm = random.normal(1e6, 1, 300), random.integers(0, 3, 300)  # a large mean loses no digits
    look, experiment = random.integers(0, 4, 300), random.integers(0, 2, 300)
    made = Arms.accrued(outcome, arm, look, (2, 4, 3), experiment)
    for r, t, k in np.ndindex(2, 4, 3):
        inside = outcome[(experiment == r) & (look <= t) & (arm == k)]
        assert made.count[r, t, k] == len(inside)
        assert made.mean[r, t, k] == pytest.approx(inside.mean(), rel=1e-12)
        assert made.variance[r, t, k] == pytest.approx(inside.var(ddof=1), rel=1e-6)


def test_p_is_welchs_for_every_experiment_and_arm() -> None:
    random = np.random.default_rng(1)
    outcome, arm = random.normal(0, 1 + np.arange(90) % 3, 90), np.arange(90) % 3
    p = Arms.of(outcome, arm).p()
    for k in (1, 2):
        alone = stats.ttest_ind(outcome[arm == k], outcome[arm == 0], equal_var=False)
        assert p[k - 1] == pytest.approx(alone.pvalue)
        assert welch(outcome[arm == 0], outcome[arm == k]) == pytest.approx(alone.pvalue)
        low, high = alone.confidence_interval(0.9)
        found = absolute(Arms.of(outcome, arm), 0.9)[k - 1]
        assert (found.low, found.high) == pytest.approx((low, high))


def test_an_arm_that_is_empty_or_alone_knows_nothing() -> None:
    arms = Arms.of(np.array([1.0, 2.0, 5.0]), np.array([0, 0, 1]), 3)
    assert arms.p().tolist() == [1.0, 1.0]
    assert arms.z().tolist() == [0.0, 0.0]


def test_constant_arms() -> None:
    arms = Arms.of(np.array([1.0, 1.0, 2.0, 2.0, 1.0, 1.0]), np.array([0, 0, 1, 1, 2, 2]))
    assert arms.p().tolist() == [0.0, 1.0]


def test_relative_intervals_hold_the_ratio_as_often_as_they_say() -> None:
    random = np.random.default_rng(2)
    arm = np.arange(200) % 2
    held = 0
    for _ in range(800):  # means so near 0 that the delta method would do worse
        [lift] = relative(Arms.of(random.normal(np.where(arm == 0, 0.5, 0.6), 1), arm))
        held += lift is not None and lift.low <= 0.2 <= lift.high
    assert 0.93 <= held / 800 <= 0.97


def test_no_relative_lift_over_nothing() -> None:
    assert relative(Arms.of(np.array([-1.0, 1.0, 3.0, 4.0]), np.array([0, 0, 1, 1]))) == [None]


@pytest.mark.parametrize(("outcome", "message"), [([1.0], "len"), ([1.0, np.nan], "finite"), ([], "len")])
def test_bad_outcomes(outcome: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Arms.of(np.array(outcome), np.array([0, 1]))
