"""The configuration of a forgetting function."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from trainers.forgetting.base import Forgetting
from trainers.forgetting.families import FAMILIES


class ForgettingSettings(BaseModel):
    """`{family: power, clock: time, tau: 7, exponent: 0.5}`; the family says which parameters it takes.

    Ages and the parameters that are ages count in days (`clock: time`) or later moments (`clock: moments`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Literal["none", "exponential", "power", "hyperbolic", "geometric"] = "none"
    clock: Literal["time", "moments"] = "time"
    half_life: float | None = None
    tau: float | None = None
    exponent: float | None = None
    rate: float | None = None

    @model_validator(mode="after")
    def _builds(self) -> ForgettingSettings:
        build(self)
        return self


def build(settings: ForgettingSettings) -> Forgetting:
    """The forgetting function that the settings describe; ValueError where a parameter is missing or out of range."""
    values = settings.model_dump(exclude={"family", "clock"}, exclude_none=True)
    return FAMILIES[settings.family](settings.clock, **values)
