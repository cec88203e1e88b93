"""The settings of the gate: what a candidate must show before it becomes champion."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from evaluators import resolve

Segment = Literal["recency", "history", "cold", "novelty", "popularity"]


class GateSettings(BaseModel):
    """When a candidate may become champion.

    Attributes:
        metric: what is compared; the search's metric where it is left out.
        mode: `superiority`: the lower end of the paired interval must be above `margin`, the smallest difference that
            matters. `non_inferiority`: it must be above -`margin`, so that a smaller model may replace a larger one.
        margin: in units of the metric.
        level: of the interval, which always resamples users: `evaluate.interval` and `evaluate.level` are for what is
            shown, and move no decision.
        guardrails: the largest loss of a metric's mean, as a share of the other model's; what is lost is what rises
            where lower is better. A bare name stands for every cut-off that is evaluated.
        worst_segment: the largest loss of `metric`, in its units, in any segment of a kind: the lower end of its
            interval must be above. All must hold, so none is corrected for the others.
        segment_queries: a segment of fewer queries decides nothing.
        freshness_days: how old the newest event of the training data may be when the gate decides.

    >>> GateSettings(mode="non_inferiority", margin=0.01).bound
    -0.01
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str | None = None
    mode: Literal["superiority", "non_inferiority"] = "superiority"
    margin: float = Field(0.0, ge=0, allow_inf_nan=False)
    level: float = Field(0.95, gt=0, lt=1)
    guardrails: dict[str, float] = {"coverage": 0.2}
    worst_segment: dict[Segment, float] = {}
    segment_queries: int = Field(100, ge=1)
    freshness_days: float | None = Field(None, gt=0, allow_inf_nan=False)

    @field_validator("guardrails")
    @classmethod
    def _shares(cls, guardrails: dict[str, float]) -> dict[str, float]:
        for name, share in guardrails.items():
            metric = resolve([name])[0]
            if metric.better == "neither":
                raise ValueError(
                    f"a guardrail needs a metric with a better direction, but got {name!r}; leave it out."
                )
            if not 0 <= share <= (1 if metric.better == "higher" else float("inf")):
                raise ValueError(
                    f"a guardrail is the share of the other's mean that may be lost, 0 to 1 (above 1 only where lower "
                    f"is better), but got {{{name}: {share}}}."
                )
        return guardrails

    @field_validator("worst_segment")
    @classmethod
    def _losses(cls, losses: dict[Segment, float]) -> dict[Segment, float]:
        for kind, loss in losses.items():
            if not loss > 0:
                raise ValueError(
                    f"the loss allowed in a segment must be above 0, since no interval shows that nothing is lost, "
                    f"but got {{{kind}: {loss}}}."
                )
        return losses

    @model_validator(mode="after")
    def _room(self) -> GateSettings:
        if self.mode == "non_inferiority" and not self.margin > 0:
            raise ValueError(
                f"`mode: non_inferiority` needs a `margin` above 0, the largest loss that does not matter, "
                f"but got {self.margin:g}."
            )
        return self

    @property
    def bound(self) -> float:
        """What the lower end of the interval must be above."""
        return self.margin if self.mode == "superiority" else -self.margin
