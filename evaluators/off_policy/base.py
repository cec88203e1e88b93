"""What every estimator of a policy's value shares: values per round first, their mean second."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from evaluators.arrays import Floats
from evaluators.off_policy.logged import Logged
from evaluators.off_policy.slope import slope

Limit = float | Literal["auto"]


class Estimator(ABC):
    """An estimator of V(π), the mean reward that the policy in question would have earned.

    `values` has one figure per round whose mean is the estimate and whose spread is the estimate's: a ratio
    is given by its influence values (V + w(r - V) / w̄, the delta method), so that an interval or a paired
    difference of two policies needs nothing but the two vectors. `weights` says what the estimator multiplies
    logged rewards with; diagnostics read them.
    """

    name: ClassVar[str]
    needs_model: ClassVar[bool] = False
    uniform_only: ClassVar[bool] = False
    """Whether it is wrong where the logging policy preferred some actions to others."""

    @abstractmethod
    def values(self, logged: Logged) -> Floats:
        """-> [N] a figure per round, in the units of the reward."""

    def weights(self, logged: Logged) -> Floats:
        """-> [N] >= 0, the weight of each logged reward."""
        return logged.weight

    def left_out(self, logged: Logged) -> Floats | None:
        """-> [N] what the estimator ignores of each reward to be steadier, (w - ŵ)(r - q̂); None: nothing.

        Its mean is the bias that was accepted."""
        return None

    def span(self, logged: Logged, largest_weight: float, top: float) -> tuple[float, float] | None:
        """The least and the largest value that a round can have where rewards are in [0, top]; None where the
        values of rounds depend on one another or have no bound."""
        return None

    def settings(self, logged: Logged) -> dict[str, float]:
        """What was chosen from the data, to be reported."""
        return {}

    def estimate(self, logged: Logged) -> float:
        """The mean of `values`."""
        return float(self.values(logged).mean())


@dataclass(frozen=True)
class Limited(Estimator):
    """An estimator q̂(x, π) + ŵ(r - q̂(x, a)) with weights ŵ that a limit keeps small.

    limit: a number > 0 (infinity: the weights as they are), or `auto`: chosen from `candidates` by SLOPE,
    which by default are quantiles of the positive weights of the log, and infinity.
    """

    limit: Limit = np.inf
    candidates: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        given = () if self.limit == "auto" else (float(self.limit),)
        for value in (*given, *self.candidates):
            if not value > 0:
                raise ValueError(f"`limit > 0` must hold, but got (limit={value}); infinity sets none.")
        if self.candidates and self.limit != "auto":
            raise ValueError(
                f"`candidates` must be left out where the limit is fixed, but got (limit={self.limit}); "
                "say limit='auto'."
            )

    @abstractmethod
    def limited(self, weight: Floats, limit: float) -> Floats:
        """w [N] -> ŵ [N]."""

    def most(self, weight: float, limit: float) -> float:
        """The largest ŵ that a w up to `weight` becomes."""
        return min(weight, limit)

    def base(self, logged: Logged) -> tuple[Floats, Floats]:
        """-> Σ_a π(a|x) q̂(x, a) [N] and r - q̂(x, a) [N]."""
        return logged.direct, logged.surprise

    def grid(self, logged: Logged) -> list[float]:
        """The candidates of `auto`, ascending."""
        positive = logged.weight[logged.weight > 0]
        if self.candidates or not len(positive):
            return sorted(self.candidates) or [np.inf]
        return [*np.unique(np.quantile(positive, [0.5, 0.75, 0.9, 0.95, 0.99, 1.0])).tolist(), np.inf]

    def chosen(self, logged: Logged) -> float:
        """The limit: the fixed one, or SLOPE's."""
        if self.limit != "auto":
            return float(self.limit)
        grid = self.grid(logged)
        direct, surprise = self.base(logged)
        rows = [direct + self.limited(logged.weight, limit) * surprise for limit in grid]
        return grid[slope(rows)]

    def weights(self, logged: Logged) -> Floats:
        return self.limited(logged.weight, self.chosen(logged))

    def values(self, logged: Logged) -> Floats:
        direct, surprise = self.base(logged)
        found: Floats = direct + self.weights(logged) * surprise
        return found

    def left_out(self, logged: Logged) -> Floats | None:
        found: Floats = (logged.weight - self.weights(logged)) * self.base(logged)[1]
        return found if found.any() else None

    def settings(self, logged: Logged) -> dict[str, float]:
        limit = self.chosen(logged)
        return {"limit": limit} if np.isfinite(limit) else {}

    def span(self, logged: Logged, largest_weight: float, top: float) -> tuple[float, float] | None:
        if self.limit == "auto":  # the limit was found by looking at all rounds
            return None
        most = self.most(largest_weight, float(self.limit))
        return (-most * top, (1 + most) * top) if self.needs_model else (0.0, most * top)
