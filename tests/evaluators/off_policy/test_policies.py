"""Policies from scores, reward models, and what SLOPE takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluators.off_policy import (
    DoublyRobust,
    Logged,
    Logistic,
    Means,
    SwitchDR,
    cross_fitted,
    epsilon_greedy,
    slope,
    softmax,
)


def test_softmax_between_its_ends() -> None:
    scores = np.array([[1.0, 3.0, 2.0, -np.inf]])
    assert softmax(scores, 1e-3).tolist() == [[0, 1, 0, 0]]
    assert softmax(scores, 1e6)[0, :3] == pytest.approx([1 / 3] * 3, abs=1e-5)
    assert softmax(scores + 1e5) == pytest.approx(softmax(scores))


def test_epsilon_greedy_by_hand() -> None:
    """Five actions, one barred: ε/4 each, and 0.4 more for the two best."""
    found = epsilon_greedy(np.array([[0.0, 5.0, -np.inf, 4.0, 1.0]]), 0.2, top=2)
    assert found == pytest.approx(np.array([[0.05, 0.45, 0.0, 0.45, 0.05]]))
    assert epsilon_greedy(np.zeros((1, 3)), 0.0).tolist() == [[1, 0, 0]]
    assert epsilon_greedy(np.array([[1.0, -np.inf]]), 0.5, top=9).tolist() == [[1, 0]]


@pytest.mark.parametrize("bad", [np.array([[np.nan, 1.0]]), np.array([[-np.inf, -np.inf]]), np.zeros(3)])
def test_bad_scores(bad: np.ndarray) -> None:
    for policy in (softmax, epsilon_greedy):
        with pytest.raises(ValueError, match="must"):
            policy(bad)


def test_bad_temperatures() -> None:
    with pytest.raises(ValueError, match="temperature > 0"):
        softmax(np.zeros((1, 2)), 0)
    with pytest.raises(ValueError, match="top >= 1"):
        epsilon_greedy(np.zeros((1, 2)), top=0)


def test_the_logistic_model_recovers_what_made_the_rewards() -> None:
    random = np.random.default_rng(0)
    context, action = random.normal(size=(20_000, 2)), random.integers(0, 3, 20_000)
    logit = -1 + context @ [1.0, -0.5] + np.array([0.0, 1.0, -1.0])[action]
    reward = (random.random(20_000) < 1 / (1 + np.exp(-logit))) * 2.0
    predict = Logistic(l2=0.1, top=2.0).fit(context, action, reward, 4)
    found = predict(np.array([[0.0, 0.0], [1.0, 0.0]]))
    truth = 2 / (1 + np.exp(-(np.array([[-1.0, 0, -2], [0, 1, -1]]))))
    assert found[:, :3] == pytest.approx(truth, abs=0.05)
    assert found.shape == (2, 4)  # an action without a round has the mean of the others
    with pytest.raises(ValueError, match="rewards must be in"):
        Logistic().fit(context, action, reward, 4)


def test_a_round_is_never_predicted_from_its_own_users_rewards() -> None:
    """A user's rewards are all alike: seen or not, they would be told apart."""
    users = np.repeat(np.arange(9), 4)
    reward = users.astype(np.float64)
    found = cross_fitted(Means(1e-9), np.zeros((36, 0)), np.zeros(36, int), reward, 1, users=users, folds=9)
    assert found[:, 0] == pytest.approx((36 - users) / 8)
    with pytest.raises(ValueError, match="folds <= users"):
        cross_fitted(Means(), np.zeros((36, 0)), np.zeros(36, int), reward, 1, users=users, folds=10)


def test_fitted_on_its_own_rewards_a_model_flatters_itself() -> None:
    random = np.random.default_rng(1)
    action, reward = random.integers(0, 50, 200), (random.random(200) < 0.3).astype(np.float64)
    context = np.zeros((200, 0))
    own = Means(1e-9).fit(context, action, reward, 50)(context)
    apart = cross_fitted(Means(1e-9), context, action, reward, 50)
    rows = np.arange(200)
    assert ((reward - own[rows, action]) ** 2).mean() < 0.21 < ((reward - apart[rows, action]) ** 2).mean()


def test_means_need_something_to_draw_towards() -> None:
    with pytest.raises(ValueError, match="strength > 0"):
        Means(0.0)


def test_slope_accepts_bias_only_within_the_noise() -> None:
    """Three rows of one spread each, centred where the candidates put them."""
    noise = np.random.default_rng(0).normal(size=400)
    noise = (noise - noise.mean()) / noise.std()
    wide, narrow = 4 * noise + 1.0, 0.1 * noise + 1.2
    assert slope([wide, narrow]) == 1
    assert slope([wide, narrow + 5]) == 0
    assert slope([narrow + 5, wide]) == 1
    width = 1.2835 / np.sqrt(399)  # t(399) at 90 %
    limit = width * (0.1 + (np.sqrt(6) - 1) * 4)
    assert slope([wide, 0.1 * noise + 1 + 0.99 * limit]) == 1
    assert slope([wide, 0.1 * noise + 1 + 1.01 * limit]) == 0


def test_auto_keeps_all_weights_where_the_model_is_far_off() -> None:
    """Half of the rewards lie under large weights that the model knows nothing of."""
    random = np.random.default_rng(0)
    action = (random.random(8000) < 0.2) * 1
    logged = Logged(
        action,
        action.astype(np.float64),
        np.where(action, 0.2, 0.8),
        np.tile([0.2, 0.8], (8000, 1)),
        np.zeros((8000, 2)),
    )
    auto = SwitchDR("auto")
    assert auto.estimate(logged) == pytest.approx(DoublyRobust().estimate(logged))
    right = replace(logged, expected=np.tile([0.0, 1.0], (8000, 1)))
    assert auto.settings(right)["limit"] < 4
