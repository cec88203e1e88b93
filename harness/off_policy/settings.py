"""Settings of the block `off_policy:` of a configuration."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from evaluators.off_policy import epsilon_greedy, softmax
from harness.data.rounds import RoundColumns


class PolicySettings(BaseModel):
    """How a model's scores become a policy: `{kind: softmax, temperature: 0.5}`, in the units of the scores, or
    `{kind: epsilon_greedy, epsilon: 0.1, top: 3}`: one of the best `top`, with ε any item."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["softmax", "epsilon_greedy"] = "softmax"
    temperature: float | None = Field(None, gt=0)
    """1 where left out."""
    epsilon: float | None = Field(None, ge=0, le=1)
    """0.1 where left out."""
    top: int | None = Field(None, ge=1)
    """1 where left out."""

    @model_validator(mode="after")
    def _of_its_kind(self) -> PolicySettings:
        others = {"softmax": ("epsilon", "top"), "epsilon_greedy": ("temperature",)}[self.kind]
        for name in others:
            if getattr(self, name) is not None:
                raise ValueError(f"`{name}` is no setting of the policy `{self.kind}`; leave it out.")
        return self

    def probabilities(self, scores: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """[Q, A] scores, -inf for an item that must not be shown -> [Q, A] probabilities."""
        if self.kind == "softmax":
            return softmax(scores, self.temperature or 1.0)
        return epsilon_greedy(scores, 0.1 if self.epsilon is None else self.epsilon, self.top or 1)

    def text(self) -> str:
        given = self.model_dump(exclude_none=True, exclude={"kind"})
        return " ".join([self.kind, *(f"{name} {value}" for name, value in given.items())])


class OffPolicySettings(BaseModel):
    """What `lethe evaluate` reads of a log that says with which probability each item was shown.

    Attributes:
        columns: of the event log: `propensity`, `reward`, and `position` where items were shown in lists.
        policy: what the model's scores become.
        limit: of the weights of switch-DR and of DR with shrinkage; `auto`: found by SLOPE.
        largest_reward: what a reward can be at most; the least is 0.
        least_propensity: what the logging policy is known never to go below: it tightens the confidence sequence, and
            is what the Bernstein interval counts with; where left out, that takes the smallest of the log.
        resample: what intervals take as independent: users, or rounds where ids are not people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: RoundColumns
    policy: PolicySettings = PolicySettings()
    limit: float | Literal["auto"] = "auto"
    largest_reward: float = Field(1.0, gt=0)
    least_propensity: float | None = Field(None, gt=0, le=1)
    resample: Literal["users", "rounds"] = "users"

    @model_validator(mode="after")
    def _positive(self) -> OffPolicySettings:
        if self.limit != "auto" and not self.limit > 0:
            raise ValueError(f"`limit > 0` must hold, but got {self.limit}; `auto` finds one.")
        return self
