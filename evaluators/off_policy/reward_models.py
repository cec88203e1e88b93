"""Reward models q̂(x, a), fitted so that no round is predicted from its own reward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from evaluators.arrays import Floats

Prediction = Callable[[Floats], Floats]
"""context [N, D] -> expected rewards [N, A]."""


class RewardModel(Protocol):
    """Anything that learns the expected reward of every action in a context."""

    def fit(self, context: Floats, action: NDArray[np.integer], reward: Floats, actions: int) -> Prediction:
        """context [N, D], action [N] in [0, actions), reward [N] -> what predicts for other contexts."""
        ...


@dataclass(frozen=True)
class Means:
    """q̂(a) = (Σ r + s r̄) / (n + s) over the n rounds of an action, drawn towards the mean r̄ of all by as much as
    s = `strength` rounds would; the context is not read.

    >>> predict = Means(strength=2).fit(np.zeros((3, 0)), np.array([0, 0, 1]), np.array([1.0, 1.0, 0.0]), 3)
    >>> predict(np.zeros((1, 0))).round(3).tolist()
    [[0.833, 0.444, 0.667]]
    """

    strength: float = 10.0

    def __post_init__(self) -> None:
        if not self.strength > 0:
            raise ValueError(
                f"`strength > 0` must hold, but got (strength={self.strength}); an action may have no round."
            )

    def fit(self, context: Floats, action: NDArray[np.integer], reward: Floats, actions: int) -> Prediction:
        total, count = (np.bincount(action, weight, actions) for weight in (reward, np.ones(len(reward))))
        expected = (total + self.strength * reward.mean()) / (count + self.strength)
        return lambda given: np.tile(expected, (len(given), 1))


@dataclass(frozen=True)
class Logistic:
    """q̂(x, a) = top · σ(b + x·β + α_a) by penalised likelihood: Σ cross-entropy + l2 / 2 (|β|² + |α|²).

    Rewards in [0, top], 0 or top as a rule: others count as shares.
    """

    l2: float = 1.0
    top: float = 1.0

    def fit(self, context: Floats, action: NDArray[np.integer], reward: Floats, actions: int) -> Prediction:
        share = reward / self.top
        if not 0 <= share.min() <= share.max() <= 1:
            raise ValueError(
                f"rewards must be in [0, {self.top}], but got [{reward.min()}, {reward.max()}]; "
                "say the largest, or take `Means`."
            )
        width = context.shape[1]

        def loss(parameters: Floats) -> tuple[float, Floats]:
            slopes, levels = parameters[1 : 1 + width], parameters[1 + width :]
            logit = parameters[0] + context @ slopes + levels[action]
            apart = special.expit(logit) - share
            value = np.logaddexp(0, logit).sum() - share @ logit + self.l2 / 2 * (parameters[1:] ** 2).sum()
            steps = np.concatenate(([0.0], self.l2 * parameters[1:]))
            steps += np.concatenate(([apart.sum()], context.T @ apart, np.bincount(action, apart, actions)))
            return float(value), steps

        start: Any = np.zeros(1 + width + actions)
        start[0] = special.logit(np.clip(share.mean(), 1e-6, 1 - 1e-6))
        found: Floats = optimize.minimize(
            loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-10}
        ).x
        slopes, levels = found[1 : 1 + width], found[1 + width :]
        top = self.top
        return lambda given: top * special.expit(found[0] + (given @ slopes)[:, None] + levels)


def cross_fitted(
    model: RewardModel,
    context: Floats,
    action: NDArray[np.integer],
    reward: Floats,
    actions: int,
    *,
    users: NDArray[Any] | None = None,
    folds: int = 3,
    seed: int = 0,
) -> Floats:
    """q̂ [N, A] in which each round is predicted by a fit on the other folds (Narita, Yasui & Yata 2020,
    "Off-policy bandits"; Chernozhukov et al. 2018): fitted on its own rewards, a model flatters itself and the
    doubly robust correction is too small. All rounds of a user are in one fold.

    Raises ValueError on fewer than 2 folds, or fewer users than folds.

    >>> action, reward = np.array([0, 0, 0, 0]), np.array([0.0, 0.0, 0.0, 4.0])
    >>> cross_fitted(Means(1e-9), np.zeros((4, 0)), action, reward, 1, folds=4)[:, 0].round(3).tolist()
    [1.333, 1.333, 1.333, 0.0]
    """
    owner = np.arange(len(action)) if users is None else np.unique(users, return_inverse=True)[1]
    units = int(owner.max()) + 1
    if not 2 <= folds <= units:
        raise ValueError(
            f"`2 <= folds <= users` must hold, but got (folds={folds}, users={units}); take fewer folds."
        )
    fold = np.random.default_rng(seed).permutation(units)[owner] % folds
    expected = np.empty((len(action), actions))
    for number in range(folds):
        apart = fold == number
        expected[apart] = model.fit(context[~apart], action[~apart], reward[~apart], actions)(context[apart])
    return expected
