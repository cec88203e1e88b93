"""Estimators that weight logged rewards and read no reward model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Floats
from evaluators.off_policy.base import Estimator, Limited
from evaluators.off_policy.logged import Logged


def ratio_values(weight: Floats, reward: Floats) -> Floats:
    """[N] influence values of V = Σ w r / Σ w: V + w (r - V) / w̄, with mean V; zeros where no weight is left.

    >>> ratio_values(np.array([1.0, 3.0]), np.array([0.0, 1.0])).tolist()
    [0.375, 1.125]
    """
    mean = weight.mean()
    if mean == 0:
        return np.zeros(len(weight))
    value = (weight * reward).mean() / mean
    found: Floats = value + weight * (reward - value) / mean
    return found


@dataclass(frozen=True)
class Replay(Estimator):
    """The mean reward of the rounds in which the policy would have done what was logged (Li, Chu, Langford &
    Wang 2011, "Unbiased offline evaluation of contextual-bandit-based news article recommendation algorithms").

    V = Σ m r / Σ m with m = π(a|x): 0 or 1 for a policy that does not draw, else the chance of agreement, so
    that nothing is drawn. Right only where the logging policy was uniform.

    >>> logged = Logged(np.array([0, 1, 0]), np.array([1.0, 1.0, 0.0]), np.full(3, 0.5), np.eye(2)[[0, 0, 0]])
    >>> Replay().estimate(logged)
    0.5
    """

    name: ClassVar[str] = "replay"
    uniform_only: ClassVar[bool] = True

    def values(self, logged: Logged) -> Floats:
        return ratio_values(logged.chance, logged.reward)

    def weights(self, logged: Logged) -> Floats:
        return logged.chance


@dataclass(frozen=True)
class IPS(Limited):
    """Inverse propensity scores, V = mean(w r) with w = π(a|x) / π₀(a|x) (Horvitz & Thompson 1952; Strehl,
    Langford, Li & Kakade 2010, "Learning from logged implicit exploration data"), clipped to min(w, limit).

    Unbiased without a limit where the policy stays within the logged support.

    >>> logged = Logged(np.array([0, 1]), np.array([1.0, 2.0]), np.array([0.5, 0.1]), np.full((2, 2), 0.5))
    >>> IPS().values(logged).tolist(), IPS(limit=4.0).values(logged).tolist()
    ([1.0, 10.0], [1.0, 8.0])
    """

    name: ClassVar[str] = "ips"

    def limited(self, weight: Floats, limit: float) -> Floats:
        return np.minimum(weight, limit)

    def base(self, logged: Logged) -> tuple[Floats, Floats]:
        return np.zeros(len(logged)), logged.reward


@dataclass(frozen=True)
class SelfNormalizedIPS(Estimator):
    """V = Σ w r / Σ w (Swaminathan & Joachims 2015, "The self-normalized estimator for counterfactual
    learning"): within the range of the rewards, consistent, a little biased.

    >>> logged = Logged(np.array([0, 1]), np.array([1.0, 2.0]), np.array([0.5, 0.1]), np.full((2, 2), 0.5))
    >>> round(SelfNormalizedIPS().estimate(logged), 6)  # (1 · 1 + 5 · 2) / 6
    1.833333
    """

    name: ClassVar[str] = "snips"

    def values(self, logged: Logged) -> Floats:
        return ratio_values(logged.weight, logged.reward)


@dataclass(frozen=True)
class MarginalizedIPS(Estimator):
    """IPS over groups of actions, V = mean(w(x, e) r) with w(x, e) = p(e|x, π) / p(e|x, π₀) (Saito & Joachims
    2022, "Off-policy evaluation for large action spaces via embeddings", MIPS).

    group [A]: the group e(a) of each action (its category); an embedding of several discrete features is the
    group of all that agree in them. Since the group follows from the action, p(e|x, π) = Σ_{a in e} π(a|x) is
    exact, and so needs `logging`, all probabilities of the logging policy. Unbiased where an action has no
    effect but through its group, however large single weights are.

    Raises ValueError where `logging` is missing, or a group is for another number of actions.

    >>> logged = Logged(np.array([0, 2]), np.array([1.0, 2.0]), np.array([0.1, 0.5]),
    ...                 np.array([[0.6, 0.2, 0.2]] * 2), logging=np.array([[0.1, 0.4, 0.5]] * 2))
    >>> MarginalizedIPS(np.array([0, 0, 1])).values(logged).tolist()  # weights 0.8 / 0.5 and 0.2 / 0.5
    [1.6, 0.8]
    """

    group: NDArray[np.integer]
    name: ClassVar[str] = "mips"

    def weights(self, logged: Logged) -> Floats:
        if logged.logging is None:
            raise ValueError(
                "`logging` must be given to MIPS: all probabilities [N, A] of the logging policy."
            )
        if np.shape(self.group) != (logged.actions,):
            raise ValueError(
                f"`group.shape == ({logged.actions},)` must hold, but got {np.shape(self.group)}; one an action."
            )
        of_same = self.group[None, :] == self.group[logged.action][:, None]
        found: Floats = (logged.policy * of_same).sum(1) / (logged.logging * of_same).sum(1)
        return found

    def values(self, logged: Logged) -> Floats:
        found: Floats = self.weights(logged) * logged.reward
        return found

    def span(self, logged: Logged, largest_weight: float, top: float) -> tuple[float, float] | None:
        return (0.0, largest_weight * top)  # a group's weight is a mean of its actions'
