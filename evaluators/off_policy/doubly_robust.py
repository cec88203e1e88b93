"""Estimators that read a reward model: alone, or mended by weighted surprises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evaluators.arrays import Floats
from evaluators.off_policy.base import Estimator, Limited
from evaluators.off_policy.logged import Logged


@dataclass(frozen=True)
class DirectMethod(Estimator):
    """What the reward model expects of the policy, V = mean_x Σ_a π(a|x) q̂(x, a) (Beygelzimer & Langford 2009,
    "The offset tree for learning with partial labels").

    As good as its model, whose error no spread of the values shows: it is what `left_out` has, w(r - q̂).

    >>> logged = Logged(np.array([0, 1]), np.array([1.0, 0.0]), np.full(2, 0.5), np.full((2, 2), 0.5),
    ...                 expected=np.array([[0.8, 0.4], [0.6, 0.0]]))
    >>> round(DirectMethod().estimate(logged), 6)
    0.45
    """

    name: ClassVar[str] = "dm"
    needs_model: ClassVar[bool] = True

    def values(self, logged: Logged) -> Floats:
        return logged.direct

    def left_out(self, logged: Logged) -> Floats | None:
        found: Floats = logged.weight * logged.surprise
        return found


@dataclass(frozen=True)
class DoublyRobust(Limited):
    """V = mean(Σ_a π(a|x) q̂(x, a) + w (r - q̂(x, a))) (Dudík, Langford & Li 2011, "Doubly robust policy
    evaluation and learning"): unbiased where propensities or the model are right; min(w, limit) for w.

    >>> logged = Logged(np.array([0, 1]), np.array([1.0, 0.0]), np.full(2, 0.5), np.full((2, 2), 0.5),
    ...                 expected=np.array([[0.8, 0.4], [0.6, 0.0]]))
    >>> [round(value, 6) for value in DoublyRobust().values(logged).tolist()]  # 0.6 + 0.2, 0.3 + 0
    [0.8, 0.3]
    """

    name: ClassVar[str] = "dr"
    needs_model: ClassVar[bool] = True

    def limited(self, weight: Floats, limit: float) -> Floats:
        return np.minimum(weight, limit)


@dataclass(frozen=True)
class SelfNormalizedDR(Estimator):
    """V = mean(Σ_a π(a|x) q̂(x, a)) + Σ w (r - q̂(x, a)) / Σ w (Kallus & Uehara 2019, "Intrinsically efficient,
    stable, and bounded off-policy evaluation for reinforcement learning").

    >>> logged = Logged(np.array([0, 1]), np.array([1.0, 0.0]), np.array([0.5, 0.25]), np.full((2, 2), 0.5),
    ...                 expected=np.array([[0.8, 0.4], [0.6, 0.1]]))
    >>> round(SelfNormalizedDR().estimate(logged), 6)  # (0.6 + 0.35) / 2 + (1 · 0.2 - 2 · 0.1) / 3
    0.475
    """

    name: ClassVar[str] = "sndr"
    needs_model: ClassVar[bool] = True

    def values(self, logged: Logged) -> Floats:
        mean = logged.weight.mean()
        if mean == 0:
            return logged.direct
        ratio = (logged.weight * logged.surprise).mean() / mean
        found: Floats = logged.direct + ratio + logged.weight * (logged.surprise - ratio) / mean
        return found


@dataclass(frozen=True)
class SwitchDR(Limited):
    """Doubly robust where w <= limit, the reward model alone elsewhere: ŵ = w·1{w <= limit} (Wang, Agarwal &
    Dudík 2017, "Optimal and adaptive off-policy evaluation in contextual bandits").

    >>> logged = Logged(np.array([0, 1]), np.array([1.0, 1.0]), np.array([0.5, 0.1]), np.full((2, 2), 0.5),
    ...                 expected=np.full((2, 2), 0.5))
    >>> SwitchDR().values(logged).tolist(), SwitchDR(limit=2.0).values(logged).tolist()
    ([1.0, 3.0], [1.0, 0.5])
    """

    name: ClassVar[str] = "switch-dr"
    needs_model: ClassVar[bool] = True

    def limited(self, weight: Floats, limit: float) -> Floats:
        found: Floats = weight * (weight <= limit)
        return found


@dataclass(frozen=True)
class ShrunkDR(Limited):
    """Doubly robust with optimistic shrinkage, ŵ = λ w / (w² + λ) with λ = limit (Su, Dimakopoulou,
    Krishnamurthy & Dudík 2020, "Doubly robust off-policy evaluation with shrinkage"): 0 is the direct method,
    infinity the doubly robust one. The candidates of `auto` are squares of quantiles of the weights.

    >>> ShrunkDR().limited(np.array([1.0, 3.0]), 9.0).tolist()
    [0.9, 1.5]
    """

    name: ClassVar[str] = "dr-os"
    needs_model: ClassVar[bool] = True

    def limited(self, weight: Floats, limit: float) -> Floats:
        found: Floats = weight if np.isinf(limit) else limit * weight / (weight**2 + limit)
        return found

    def most(self, weight: float, limit: float) -> float:
        return min(weight, float(np.sqrt(limit)) / 2)

    def grid(self, logged: Logged) -> list[float]:
        grid = super().grid(logged)
        return grid if self.candidates else [value**2 for value in grid]
