"""Intervals that hold at any number of rounds, or at all at once."""

from __future__ import annotations

import numpy as np
import pytest

from evaluators.off_policy import IPS, Logged, confidence_sequence, empirical_bernstein, judge
from evaluators.off_policy.bounds import STEEPEST, _lower, _price
from tests.evaluators.off_policy.helpers import fair


def test_bernstein_by_hand() -> None:
    """Values 0 and 2 in [0, 4] at 90 %: V = 2, ln(4/0.1) = 3.6889, half = √(2·2·3.6889/2) + 7·4·3.6889/3."""
    found = empirical_bernstein(np.array([0.0, 2.0]), 0.0, 4.0, 0.9)
    log = np.log(40)
    assert found.high - 1 == pytest.approx(np.sqrt(2 * log) + 28 * log / 3)
    assert (found.mean, found.low) == pytest.approx((1, 2 - found.high))


def test_bernstein_holds_the_truth_of_skewed_values() -> None:
    random = np.random.default_rng(0)
    held = []
    for _ in range(500):
        found = empirical_bernstein((random.random(300) < 0.01).astype(np.float64), 0, 1)
        held.append(found.low <= 0.01 <= found.high)
    assert np.mean(held) >= 0.95


def test_bernstein_refuses_a_range_that_is_not() -> None:
    with pytest.raises(ValueError, match="in \\[low, high\\]"):
        empirical_bernstein(np.array([0.0, 2.0]), 0, 1)


def test_lower_bounds_by_hand() -> None:
    """One outcome 1 with cap 0: bet min(½, …) = ½, L = (½ - ln 40 - (ln 2 - ½)·1) / ½; the second has ξ̂ = 1."""
    low = _lower(np.array([1.0, 1.0]), 0.0, 0.025)
    first = 0.5 - np.log(40) - (np.log(2) - 0.5)
    assert low[0] == pytest.approx(first / 0.5)
    assert low[1] == pytest.approx((first + 0.5) / 1.0)


def test_the_price_of_a_bet_is_the_least_that_keeps_the_promise() -> None:
    """The inequality from which validity follows, for every bet that is made and all that an outcome can be; at y = -1
    it is an equality, so that nothing smaller would do."""
    bet = np.linspace(0.001, STEEPEST, 200)[:, None]
    y = np.concatenate((np.linspace(-1, 1, 801), np.geomspace(1, 1e4, 400)))
    assert (bet * y - _price(bet) * y**2 <= np.log1p(bet * y) + 1e-12).all()
    assert (-bet - _price(bet)).ravel() == pytest.approx(np.log1p(-bet).ravel())


def test_the_sequence_holds_at_every_round_at_once() -> None:
    """Looked at after each of 1,500 rounds, in 95 % of logs at the least; a plain interval fails far more often."""
    held, plain = [], []
    for seed in range(200):
        logged, truth = fair(seed)
        low, high = confidence_sequence(logged, least_propensity=1 / 3)
        held.append(((low <= truth) & (truth <= high)).all())
        values = IPS().values(logged)
        count = np.arange(1, len(values) + 1)
        mean = np.cumsum(values) / count
        error = np.sqrt(np.maximum(np.cumsum(values**2) / count - mean**2, 0) / count)
        plain.append((np.abs(mean - truth) <= 1.96 * error)[50:].all())
    assert np.mean(held) >= 0.95
    assert np.mean(plain) < 0.8


def test_the_sequence_narrows_and_a_good_model_helps() -> None:
    logged, truth = fair(1, rounds=6000)
    good = Logged(
        logged.action, logged.reward, logged.propensity, logged.policy,
        np.tile([0.15, 0.3, 0.6], (len(logged), 1)), np.full((len(logged), 3), 1 / 3),
    )  # fmt: skip
    without, known = confidence_sequence(logged), confidence_sequence(good)
    assert (without.high - without.low)[-1] < 0.5 * (without.high - without.low)[600]
    assert (known.high - known.low)[-1] < (without.high - without.low)[-1]
    assert known.low[-1] < truth < known.high[-1]


def test_the_cap_makes_no_sequence_wrong() -> None:
    """A model that is far off, weights up to 6 and a cap that holds it down."""
    held = []
    for seed in range(100):
        logged, truth = fair(seed, rounds=500)
        off = Logged(logged.action, logged.reward, logged.propensity, logged.policy, np.full((500, 3), 0.95))
        low, high = confidence_sequence(off, least_propensity=0.1, cap=0.5)
        held.append(((low <= truth) & (truth <= high)).all())
    assert np.mean(held) >= 0.95


def test_the_sequence_scales_with_the_reward() -> None:
    logged, _ = fair(3)
    large = Logged(logged.action, 5 * logged.reward, logged.propensity, logged.policy)
    small = Logged(logged.action, logged.reward, logged.propensity, logged.policy)
    assert confidence_sequence(large, top=5.0).low == pytest.approx(5 * confidence_sequence(small).low)
    with pytest.raises(ValueError, match="rewards must be in"):
        confidence_sequence(large)
    with pytest.raises(ValueError, match="least_propensity"):
        confidence_sequence(fair(3)[0], least_propensity=0.5)


def test_judged_figures_have_bernstein_where_values_have_a_range() -> None:
    logged, truth = fair(0)
    found = judge(logged, [IPS(), IPS(2.0)][:1])["ips"].bernstein
    assert found is not None
    assert found.low <= truth <= found.high
    values = IPS().values(logged)
    assert found == empirical_bernstein(values, 0.0, 0.6 / (1 / 3))
    users = Logged(
        logged.action, logged.reward, logged.propensity, logged.policy, users=np.arange(len(logged)) // 2
    )
    assert judge(users, [IPS()])["ips"].bernstein is None
