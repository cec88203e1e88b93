"""What a logging policy did and what came of it, beside what the policy in question would have done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Floats, Ints


@dataclass(frozen=True)
class Logged:
    """N rounds of logged feedback over A actions, and the policy in question.

    action [N]: what was taken, a number in [0, A); reward [N]: what came of it; propensity [N]: with which
    probability the logging policy took it, in (0, 1]; policy [N, A]: the probabilities of the policy in
    question in each round, rows sum to 1.

    expected [N, A]: a reward model's q̂(x, a), where there is one (`reward_models`); logging [N, A]: all
    probabilities of the logging policy, where they are known; users [N]: whose round it is, each its own
    where left out; cell [N]: what else the logging policy could tell rounds apart by (the position in a
    list), all alike where left out; it only serves to find actions that were never logged.

    Raises ValueError on shapes that disagree, on a propensity outside (0, 1], on rows that do not sum to 1,
    and on numbers that are not finite.

    >>> logged = Logged(np.array([0, 1]), np.array([1.0, 0.0]), np.array([0.5, 0.5]),
    ...                 np.array([[0.8, 0.2], [0.8, 0.2]]))
    >>> len(logged), logged.actions, logged.weight.tolist()
    (2, 2, [1.6, 0.4])
    """

    action: NDArray[np.integer]
    reward: Floats
    propensity: Floats
    policy: Floats
    expected: Floats | None = None
    logging: Floats | None = None
    users: NDArray[Any] | None = None
    cell: NDArray[np.integer] | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.policy)
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"`policy` must be [N, A] with N, A >= 1, but got {shape}; one row a round.")
        rounds: dict[str, NDArray[Any] | None] = {
            "action": self.action,
            "reward": self.reward,
            "propensity": self.propensity,
            "users": self.users,
            "cell": self.cell,
        }
        for name, value in rounds.items():
            if value is not None and np.shape(value) != shape[:1]:
                raise ValueError(
                    f"`{name}.shape == ({shape[0]},)` must hold, but got {np.shape(value)}; one value a round."
                )
        tables: dict[str, NDArray[Any] | None] = {
            "policy": self.policy,
            "expected": self.expected,
            "logging": self.logging,
        }
        for name, value in tables.items():
            if value is not None and np.shape(value) != shape:
                raise ValueError(f"`{name}.shape == {shape}` must hold, but got {np.shape(value)}.")
        for name, value in (rounds | tables).items():
            if name not in ("users", "cell") and value is not None and not np.isfinite(value).all():
                raise ValueError(f"`{name}` must be finite, but {int((~np.isfinite(value)).sum())} are not.")
        if not 0 <= self.action.min() <= self.action.max() < shape[1]:
            raise ValueError(
                f"actions must be in [0, {shape[1]}), but got (min={self.action.min()}, max={self.action.max()})."
            )
        if not 0 < self.propensity.min() <= self.propensity.max() <= 1:
            raise ValueError(
                f"propensities must be in (0, 1], but got (min={self.propensity.min()}, "
                f"max={self.propensity.max()}); an action that could not be taken was not logged."
            )
        for name in ("policy", "logging"):
            table = tables[name]
            if table is not None and (table.min() < 0 or not np.allclose(table.sum(1), 1, rtol=0, atol=1e-6)):
                raise ValueError(
                    f"each row of `{name}` must be probabilities that sum to 1, but sums are in "
                    f"[{table.sum(1).min():.6g}, {table.sum(1).max():.6g}] and the least is {table.min():.3g}."
                )

    def __len__(self) -> int:
        return len(self.action)

    @property
    def actions(self) -> int:
        """A."""
        return int(self.policy.shape[1])

    @cached_property
    def chance(self) -> Floats:
        """[N] π(a|x), the chance that the policy in question takes the logged action."""
        taken: Floats = self.policy[np.arange(len(self)), self.action]
        return taken

    @cached_property
    def weight(self) -> Floats:
        """[N] importance weights w = π(a|x) / π₀(a|x)."""
        return self.chance / self.propensity

    @cached_property
    def owner(self) -> NDArray[Any]:
        """[N] the user of each round."""
        return np.arange(len(self)) if self.users is None else np.asarray(self.users)

    def model(self) -> Floats:
        """[N, A] the reward model's q̂; ValueError where there is none."""
        if self.expected is None:
            raise ValueError(
                "`expected` must be given to an estimator that reads a reward model; "
                "make it with `cross_fitted`, or take an estimator that needs none."
            )
        return self.expected

    @cached_property
    def direct(self) -> Floats:
        """[N] Σ_a π(a|x) q̂(x, a)."""
        found: Floats = (self.policy * self.model()).sum(1)
        return found

    @cached_property
    def surprise(self) -> Floats:
        """[N] r - q̂(x, a) of the logged action."""
        found: Floats = self.reward - self.model()[np.arange(len(self)), self.action]
        return found

    def with_policy(self, policy: Floats) -> Logged:
        """The same rounds and another policy in question."""
        return replace(self, policy=policy)

    def take(self, index: Ints) -> Logged:
        """The rounds of `index`, in its order; a round may be there more than once."""
        taken: dict[str, Any] = {
            name: None if value is None else value[index] for name, value in self._fields()
        }
        return Logged(**taken)

    def _fields(self) -> Iterator[tuple[str, Any]]:
        return ((field.name, getattr(self, field.name)) for field in fields(self))
