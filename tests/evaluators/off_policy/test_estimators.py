"""Estimators by hand, beside a peer, and on logs with a known truth."""

from __future__ import annotations

import numpy as np
import pytest

from evaluators.off_policy import (
    IPS,
    CascadeDR,
    DirectMethod,
    DoublyRobust,
    Estimator,
    IndependentIPS,
    ListEstimator,
    Logged,
    LoggedLists,
    MarginalizedIPS,
    Replay,
    RewardInteractionIPS,
    SelfNormalizedDR,
    SelfNormalizedIPS,
    ShrunkDR,
    SwitchDR,
    in_turn,
)
from tests.evaluators.off_policy.helpers import GROUPS, LIMITS, fair, small, small_lists, stored, sure

ALL: dict[str, Estimator] = {
    "replay": Replay(),
    "dm": DirectMethod(),
    "ips": IPS(),
    "ips, limit 5": IPS(5.0),
    "snips": SelfNormalizedIPS(),
    "dr": DoublyRobust(),
    "dr, limit 5": DoublyRobust(5.0),
    "sndr": SelfNormalizedDR(),
    "switch-dr, limit 2": SwitchDR(2.0),
    "dr-os, limit 10": ShrunkDR(10.0),
    "ips, auto": IPS("auto", LIMITS),
    "dr, auto": DoublyRobust("auto", LIMITS),
    "switch-dr, auto": SwitchDR("auto", LIMITS),
    "dr-os, auto": ShrunkDR("auto", LIMITS),
    "mips": MarginalizedIPS(GROUPS),
}
UNBIASED = ["replay", "ips", "snips", "dr", "sndr"]
LISTS: list[ListEstimator] = [IndependentIPS(), RewardInteractionIPS(), CascadeDR()]


@pytest.mark.parametrize("name", ALL)
def test_figures_of_the_peer(name: str) -> None:
    policies = {"sure": sure(small())} if name == "replay" else {"drawn": small(), "sure": sure(small())}
    for asked, logged in policies.items():
        assert ALL[name].estimate(logged) == pytest.approx(stored()[asked][name], abs=1e-12)


@pytest.mark.parametrize("estimator", LISTS, ids=lambda e: e.name)
def test_figures_of_lists_of_the_peer(estimator: ListEstimator) -> None:
    lists = small_lists()
    assert estimator.estimate(lists) == pytest.approx(stored()["lists"][estimator.name], abs=1e-12)
    assert estimator.values(lists).shape == estimator.weights(lists).shape == (len(lists),)


@pytest.mark.parametrize("name", ALL)
def test_values_have_a_round_each_and_do_not_hang_on_the_order(name: str) -> None:
    logged, order = small(), np.random.default_rng(0).permutation(60)
    values = ALL[name].values(logged)
    assert values.shape == ALL[name].weights(logged).shape == (60,)
    assert ALL[name].values(logged.take(order)) == pytest.approx(values[order], abs=1e-12)


@pytest.mark.parametrize("name", [n for n in ALL if n not in ("replay",)])
def test_the_logging_policy_itself_earns_what_was_logged(name: str) -> None:
    logged = small()
    assert logged.logging is not None
    expected = np.tile(logged.reward[:, None], (1, logged.actions))  # a model without an error
    same = Logged(logged.action, logged.reward, logged.propensity, logged.logging, expected, logged.logging)
    assert ALL[name].estimate(same) == pytest.approx(
        logged.reward.mean(), rel=1e-6 if "auto" not in name else 0.2
    )


@pytest.mark.parametrize("name", UNBIASED)
def test_the_truth_is_recovered_with_a_wrong_model(name: str) -> None:
    found = [ALL[name].estimate(fair(seed)[0]) for seed in range(60)]
    truth = fair(0)[1]
    assert np.mean(found) == pytest.approx(truth, abs=4 * np.std(found) / np.sqrt(60))
    assert abs(np.mean([DirectMethod().estimate(fair(seed)[0]) for seed in range(3)]) - truth) > 0.1


@pytest.mark.parametrize("name", ["snips", "sndr", "replay", "ips", "dr"])
def test_the_spread_of_the_values_is_that_of_the_estimate(name: str) -> None:
    """What makes an interval need no second pass; of a ratio the plain w·r / w̄ would have another."""
    logs = [fair(seed, rounds=400)[0] for seed in range(400)]
    spread = np.std([ALL[name].estimate(logged) for logged in logs])
    told = np.mean([ALL[name].values(logged).std() / 20 for logged in logs])
    assert told == pytest.approx(spread, rel=0.1)


def test_self_normalised_by_hand() -> None:
    """Weights 2, 0.5 and 1: V = (2·1 + 1·4) / 3.5 = 12/7, influence V + w(r - V) / (7/6)."""
    policy = np.array([[1.0, 0.0], [0.75, 0.25], [0.5, 0.5]])
    logged = Logged(np.array([0, 1, 1]), np.array([1.0, 0.0, 4.0]), np.full(3, 0.5), policy)
    values = SelfNormalizedIPS().values(logged)
    value = 12 / 7
    by_hand = [value + weight * (r - value) * 6 / 7 for weight, r in ((2, 1), (0.5, 0), (1, 4))]
    assert values == pytest.approx(by_hand)
    assert values.mean() == pytest.approx(value)


def test_no_logged_action_has_a_chance() -> None:
    logged = Logged(np.zeros(2, int), np.ones(2), np.ones(2), np.eye(2)[[1, 1]], np.full((2, 2), 0.5))
    assert [ALL[name].estimate(logged) for name in ("replay", "ips", "snips", "dr", "sndr")] == [
        0, 0, 0, 0.5, 0.5,
    ]  # fmt: skip


def test_limits_at_their_ends() -> None:
    logged = small()
    whole = DoublyRobust().values(logged)
    for estimator in (SwitchDR(), ShrunkDR(), DoublyRobust(1e9)):
        assert estimator.values(logged) == pytest.approx(whole)
        assert estimator.left_out(logged) is None
    assert ShrunkDR(1e-12).values(logged) == pytest.approx(logged.direct, abs=1e-6)
    assert SwitchDR(1e-12).values(logged) == pytest.approx(logged.direct)


def test_what_is_left_out_is_the_difference_to_the_whole() -> None:
    logged = small()
    for estimator in (SwitchDR(1.0), ShrunkDR(2.0), DoublyRobust(1.0), DirectMethod()):
        left = estimator.left_out(logged)
        assert left is not None
        assert estimator.values(logged) + left == pytest.approx(DoublyRobust().values(logged))


def test_lists_by_hand() -> None:
    """Weights of the slots (2, 0.5), cascade (2, 1); q̂ 0.5 everywhere, policies sum to 1."""
    half = np.full((1, 2, 3), 0.5)
    policy = np.array([[[0.6, 0.4, 0.0], [0.0, 0.5, 0.5]]])
    above = np.array([[0.3, 1.0]]), np.array([[0.6, 0.5]])
    lists = LoggedLists(
        np.array([[1.0, 0.0]]), np.array([[0.3, 0.5]]), np.array([[0.6, 0.25]]), *above,
        np.array([[0, 1]]), policy, half,
    )  # fmt: skip
    assert IndependentIPS().values(lists).tolist() == [2.0]
    assert RewardInteractionIPS().values(lists).tolist() == [2.0]
    # 2 (1 - 0.5) + 1 · 0.5, then 1 (0 - 0.5) + 2 · 0.5
    assert CascadeDR().values(lists).tolist() == pytest.approx([2.0])


def test_lists_recover_the_truth() -> None:
    """A slot's reward is its action's, and the second slot's is doubled below the best action."""
    random = np.random.default_rng(2)
    count, mean = 60_000, np.array([0.1, 0.3, 0.6])
    logging, policy = np.full((count, 3), 1 / 3), np.tile([0.2, 0.2, 0.6], (count, 1))

    def draw(chances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        keys = -np.log(random.random((count, 3))) / chances
        shown = keys.argsort(1)[:, :2]
        return shown, mean[shown] * np.where([[False, True]], 1 + (shown[:, :1] == 2), 1.0)

    shown, reward = draw(logging)
    truth = draw(policy)[1].sum(1).mean()
    turns = [in_turn(table, shown) for table in (logging, policy)]
    above = [np.take_along_axis(table, shown[:, :, None], 2)[:, :, 0] for table in turns]
    lists = LoggedLists(
        reward, above[0], above[1], above[0], above[1], shown, turns[1], np.full(turns[1].shape, 0.4)
    )
    for estimator in (RewardInteractionIPS(), CascadeDR()):
        assert estimator.estimate(lists) == pytest.approx(truth, rel=0.02)
    assert CascadeDR().values(lists).std() < RewardInteractionIPS().values(lists).std()


def test_marginalised_weights_are_steadier_and_unbiased_where_only_the_group_matters() -> None:
    random = np.random.default_rng(0)
    rounds, actions = 3000, 40
    group = np.arange(actions) % 2
    logging = np.tile(random.dirichlet(np.full(actions, 0.3)) + 1e-4, (rounds, 1))
    logging /= logging.sum(1, keepdims=True)
    policy = np.tile(random.dirichlet(np.full(actions, 0.3)), (rounds, 1))
    action = random.choice(actions, rounds, p=logging[0])
    reward = (random.random(rounds) < 0.2 + 0.6 * group[action]).astype(np.float64)
    logged = Logged(action, reward, logging[0, action], policy, logging=logging)
    truth = float((policy[0] * (0.2 + 0.6 * group)).sum())
    mips = MarginalizedIPS(group)
    error = mips.values(logged).std() / np.sqrt(rounds)
    assert mips.estimate(logged) == pytest.approx(truth, abs=4 * error)
    assert mips.values(logged).std() < IPS().values(logged).std() / 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"propensity": np.array([0.5, 0.0])}, "propensities must be in"),
        ({"action": np.array([0, 2])}, "actions must be in"),
        ({"reward": np.array([0.0])}, "`reward.shape"),
        ({"reward": np.array([0.0, np.nan])}, "must be finite"),
        ({"policy": np.array([[0.5, 0.6], [0.5, 0.5]])}, "sum to 1"),
        ({"expected": np.zeros((2, 3))}, "`expected.shape"),
    ],
)
def test_bad_logs(change: dict[str, np.ndarray], message: str) -> None:
    good = {
        "action": np.array([0, 1]),
        "reward": np.zeros(2),
        "propensity": np.full(2, 0.5),
        "policy": np.full((2, 2), 0.5),
    }
    with pytest.raises(ValueError, match=message):
        Logged(**(good | change))


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match="limit > 0"):
        SwitchDR(0.0)
    with pytest.raises(ValueError, match="candidates"):
        SwitchDR(2.0, (1.0, 2.0))
    with pytest.raises(ValueError, match="`expected` must be given"):
        DirectMethod().values(Logged(np.array([0]), np.ones(1), np.ones(1), np.ones((1, 1))))
    with pytest.raises(ValueError, match="`logging` must be given"):
        MarginalizedIPS(np.zeros(3, int)).values(fair(0)[0])
