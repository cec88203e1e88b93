"""What a figure rests on, and when it is said to rest on too little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluators.off_policy import (
    IPS,
    DirectMethod,
    DoublyRobust,
    Limits,
    Logged,
    Replay,
    SelfNormalizedIPS,
    SwitchDR,
    diagnose,
    judge,
)
from tests.evaluators.off_policy.helpers import fair


def why(logged: Logged, estimator: object = None, **limits: float) -> str:
    found = diagnose(estimator or IPS(), logged, replace(Limits(), **limits))  # type: ignore[arg-type]  # of several types
    return "; ".join(found.reasons)


def test_counts_by_hand() -> None:
    """Weights 2, 1, 0, 1: (Σw)²/Σw² = 16/6; rewarded are 2 and 1: 9/5; the second action is never logged."""
    policy = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.5, 0.5]])
    logged = Logged(np.zeros(4, int), np.array([1.0, 0.0, 1.0, 1.0]), np.full(4, 0.5), policy)
    found = diagnose(IPS(), logged)
    assert (found.effective, found.rewarded) == pytest.approx((16 / 6, 9 / 5))
    assert (found.largest, found.share, found.outside) == (2.0, 0.5, 0.5)
    assert found.mean_weight.mean == 1.0
    assert found.left_out is None


def test_users_count_as_one_each() -> None:
    logged, _ = fair(0, rounds=400)
    few = replace(logged, users=np.arange(400) % 4)
    assert diagnose(IPS(), logged).effective > 200
    assert diagnose(IPS(), few).effective < 4.001
    assert "one user has" in why(few)


def test_enough_data_are_let_pass() -> None:
    passed = [judge(fair(seed)[0], [IPS(), DoublyRobust()], n=10) for seed in range(40)]
    assert np.mean([figures["ips"].supported for figures in passed]) > 0.95
    assert np.mean([figures["dr"].supported for figures in passed]) > 0.95


def test_intervals_hold_the_truth_where_figures_are_supported() -> None:
    held = []
    for seed in range(200):
        logged, truth = fair(seed, rounds=500)
        for figure in judge(logged, [SelfNormalizedIPS(), DoublyRobust()], n=200).values():
            if figure.supported:
                held.append(figure.value.low <= truth <= figure.value.high)
    assert len(held) > 350
    assert 0.92 <= np.mean(held) <= 0.98


def test_each_lack_is_told() -> None:
    logged, _ = fair(0)
    assert why(logged) == ""
    assert "equal rounds" in why(logged.take(np.arange(40)))
    assert "rewarded rounds" in why(fair(0, chance=0.005)[0])
    rare = Logged(logged.action, logged.reward, logged.propensity, logged.policy)
    wider = np.hstack([0.9 * rare.policy, np.full((len(rare), 1), 0.1)])
    assert "10.0% of the policy" in why(Logged(rare.action, rare.reward, rare.propensity, wider))
    halved = Logged(rare.action, rare.reward, rare.propensity / 2, rare.policy)
    assert "and not 1: propensities are wrong" in why(halved)
    assert "prefer" in why(
        Logged(rare.action, rare.reward, rare.propensity + rare.action / 9, rare.policy), Replay()
    )


def test_limits_are_alive() -> None:
    logged, _ = fair(0)
    assert "equal rounds" in why(logged, effective=1e6)
    assert "rewarded rounds" in why(logged, rewarded=1e6)
    assert "one user has" in why(logged, share=1e-6)
    off = replace(logged, propensity=logged.propensity * logged.weight.mean() / 1.03)
    assert "mean weight" in why(off, level=0.5)
    assert "mean weight" not in why(off, level=0.999999)
    assert "its bias" in why(logged, SwitchDR(1.0))
    assert "its bias" not in why(logged, SwitchDR(1.0), bias=1e6)


def test_support_is_that_of_the_cell_or_of_the_known_logging_policy() -> None:
    action, policy = np.array([0, 1, 0, 0]), np.full((4, 2), 0.5)
    logged = Logged(action, np.zeros(4), np.full(4, 0.5), policy, cell=np.array([0, 0, 1, 1]))
    assert diagnose(IPS(), logged).outside == 0.25  # action 1 was never logged in cell 1
    assert diagnose(IPS(), replace(logged, logging=policy)).outside == 0.0


def test_a_reward_model_is_not_believed_where_the_log_speaks_against_it() -> None:
    logged, truth = fair(0)  # its model says the same of all actions
    reason = why(logged, DirectMethod())
    assert "its bias may be as large as" in reason
    assert judge(logged, [DirectMethod()])["dm"].to_dict()["why"] == reason
    assert abs(DirectMethod().estimate(logged) - truth) > 0.1


def test_a_figure_as_json() -> None:
    told = judge(fair(0)[0], [SwitchDR("auto")])["switch-dr"].to_dict()
    assert told["low"] <= told["mean"] <= told["high"]
    assert told["gain"]["mean"] == pytest.approx(told["mean"] - fair(0)[0].reward.mean())
    assert {"effective_sample", "largest_weight", "outside_support", "mean_weight"} <= set(
        told["diagnostics"]
    )
    assert told["supported"] is (told["why"] is None)
