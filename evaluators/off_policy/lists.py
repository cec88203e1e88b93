"""Estimators for lists: several actions shown at once, each slot with a reward of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Floats


@dataclass(frozen=True)
class LoggedLists:
    """N lists of K slots over A actions.

    reward [N, K]: of each slot, 0 where a list is shorter. Of each slot's action, by the logging policy and by
    the one in question: propensity, chance [N, K], the probability of that action in that slot; the same given
    the slots above, above_propensity, above_chance [N, K]. For `CascadeDR` alone: action [N, K]; policy [N, K, A],
    the policy in question in each slot given the logged actions above it (`in_turn`); expected [N, K, A], what is
    expected of a slot and those below it, given the logged actions above.

    Raises ValueError on shapes that disagree and on a propensity outside (0, 1].
    """

    reward: Floats
    propensity: Floats
    chance: Floats
    above_propensity: Floats
    above_chance: Floats
    action: NDArray[np.integer] | None = None
    policy: Floats | None = None
    expected: Floats | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.reward)
        for name in ("propensity", "chance", "above_propensity", "above_chance", "action"):
            value = getattr(self, name)
            if len(shape) != 2 or (value is not None and np.shape(value) != shape):
                raise ValueError(f"`{name}` must be [N, K] = {shape}, but got {np.shape(value)}.")
        for name in ("propensity", "above_propensity"):
            least, most = getattr(self, name).min(), getattr(self, name).max()
            if not 0 < least <= most <= 1:
                raise ValueError(f"`{name}` must be in (0, 1], but got (min={least}, max={most}).")

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def cascade(self) -> Floats:
        """[N, K] weights of a slot and all above it, Π_{j<=k} chance / propensity given those above."""
        ratio: Floats = self.above_chance / self.above_propensity
        return ratio.cumprod(axis=1)


def in_turn(policy: Floats, shown: NDArray[np.integer]) -> Floats:
    """A policy that fills a list from the top and shows nothing twice (Plackett-Luce, for a softmax): its
    probabilities in each slot given the actions shown above.

    policy [N, A]; shown [N, K] -> [N, K, A]; zero for an action shown above. Raises ValueError where nothing
    that has a probability is left.

    >>> in_turn(np.array([[0.5, 0.3, 0.2]]), np.array([[0, 1]])).round(2).tolist()
    [[[0.5, 0.3, 0.2], [0.0, 0.6, 0.4]]]
    """
    slots = []
    left: Floats = np.array(policy, np.float64)
    for column in shown.T:
        total: Floats = left.sum(1, keepdims=True)
        if not (total > 1e-300).all():
            raise ValueError("every slot must have an action left, but a list shows all that have a chance.")
        slots.append(left / total)
        left = left.copy()
        left[np.arange(len(left)), column] = 0
    return np.stack(slots, axis=1)


class ListEstimator(ABC):
    """An estimator of the expected sum of a list's rewards; `values` [N] has one figure per list."""

    name: ClassVar[str]

    @abstractmethod
    def values(self, lists: LoggedLists) -> Floats:
        """-> [N] a figure per list, in the units of the reward."""

    def weights(self, lists: LoggedLists) -> Floats:
        """-> [N] the weight of each list's last slot, the most extreme; for diagnostics."""
        found: Floats = lists.cascade[:, -1]
        return found

    def estimate(self, lists: LoggedLists) -> float:
        """The mean of `values`."""
        return float(self.values(lists).mean())


@dataclass(frozen=True)
class IndependentIPS(ListEstimator):
    """V = mean Σ_k w_k r_k with w_k = π(a_k in slot k) / π₀(a_k in slot k): a slot's reward depends on its action
    alone (Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay & Wen 2018, "Offline evaluation of ranking policies
    with click models").

    >>> lists = LoggedLists(np.array([[1.0, 1.0]]), *(np.array([row]) for row in ([0.5, 0.5], [1.0, 0.25]) * 2))
    >>> IndependentIPS().estimate(lists)
    2.5
    """

    name: ClassVar[str] = "iips"

    def values(self, lists: LoggedLists) -> Floats:
        found: Floats = (lists.chance / lists.propensity * lists.reward).sum(1)
        return found

    def weights(self, lists: LoggedLists) -> Floats:
        found: Floats = (lists.chance / lists.propensity).max(1)
        return found


@dataclass(frozen=True)
class RewardInteractionIPS(ListEstimator):
    """V = mean Σ_k (Π_{j<=k} w_j) r_k, the weights given the slots above: a slot's reward depends on its action
    and those above (McInerney, Brost, Chandar, Mehrotra & Carterette 2020, "Counterfactual evaluation of slate
    recommendations with sequential reward interactions").

    >>> lists = LoggedLists(np.array([[1.0, 1.0]]), *(np.array([row]) for row in ([0.5, 0.5], [1.0, 0.25]) * 2))
    >>> RewardInteractionIPS().estimate(lists)  # 2 + 2 · 0.5
    3.0
    """

    name: ClassVar[str] = "rips"

    def values(self, lists: LoggedLists) -> Floats:
        found: Floats = (lists.cascade * lists.reward).sum(1)
        return found


@dataclass(frozen=True)
class CascadeDR(ListEstimator):
    """V = mean Σ_k [w_{1:k} (r_k - q̂_k(a_k)) + w_{1:k-1} Σ_a π_k(a) q̂_k(a)], with w_{1:0} = 1 (Kiyohara, Saito,
    Matsuhiro, Narita, Shimizu & Yamamoto 2022, "Doubly robust off-policy evaluation for ranking policies under
    the cascade behavior model"); q̂_k is what is expected of slot k given those above.

    Raises ValueError where action, policy or expected are missing.
    """

    name: ClassVar[str] = "cascade-dr"

    def values(self, lists: LoggedLists) -> Floats:
        if lists.action is None or lists.policy is None or lists.expected is None:
            raise ValueError("`action`, `policy` and `expected` must be given to cascade-DR.")
        taken = np.take_along_axis(lists.expected, lists.action[:, :, None], axis=2)[:, :, 0]
        whole = (lists.policy * lists.expected).sum(2)
        before = np.concatenate((np.ones((len(lists), 1)), lists.cascade[:, :-1]), axis=1)
        found: Floats = (lists.cascade * (lists.reward - taken) + before * whole).sum(1)
        return found
