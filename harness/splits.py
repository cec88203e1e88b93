"""How a log is divided: the settings of the protocol, and the protocol they describe."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from evaluators import PROTOCOLS, Horizon, Protocol, Rolling


class HorizonSettings(BaseModel):
    """How far ahead a query asks: `{moments: 3}`, its own moment and the next two, or `{days: 7}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    moments: int | None = Field(None, ge=1)
    days: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _one(self) -> HorizonSettings:
        self.horizon()
        return self

    def horizon(self) -> Horizon:
        return Horizon(self.moments, self.days)


class SplitSettings(BaseModel):
    """Which queries are asked: `{protocol: successive, cuts: [0.8, 0.9]}`.

    Attributes:
        protocol: `successive`, one cut in time; `rolling`, the same with several cuts and what the model's age costs;
            `loo`, each user's last moment: to compare with papers, it leaks.
        periods: of `rolling`: into how many periods, of as many events, a stage is divided.
        refit: of `rolling`: whether the model is fitted anew before each period, or once before the first.
        horizon: ask for more than the moment itself (the next basket), which is what is asked where it is left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    protocol: Literal["successive", "loo", "rolling"] = "successive"
    cuts: tuple[float, float] = (0.8, 0.9)
    periods: int = Field(4, ge=1)
    refit: bool = True
    horizon: HorizonSettings | None = None

    @field_validator("cuts")
    @classmethod
    def _ascending(cls, cuts: tuple[float, float]) -> tuple[float, float]:
        if not 0 < cuts[0] < cuts[1] < 1:
            raise ValueError(f"`0 < cuts[0] < cuts[1] < 1` must hold, but got {list(cuts)}.")
        return cuts

    @model_validator(mode="after")
    def _read(self) -> SplitSettings:
        if self.protocol != "rolling" and (self.periods, self.refit) != (4, True):
            raise ValueError(
                f"`split.periods` and `split.refit` need `protocol: rolling`, but got {self.protocol!r}; "
                "leave them out, or set split.protocol=rolling."
            )
        if self.protocol == "loo" and self.horizon:
            raise ValueError(
                "`split.horizon` needs a protocol with a cut in time, but got 'loo'; take successive or rolling."
            )
        return self

    @property
    def rolls(self) -> bool:
        return self.protocol == "rolling"

    def rule(self) -> Protocol:
        """The protocol that these settings describe."""
        return Rolling(self.periods) if self.rolls else PROTOCOLS[self.protocol]()

    def ahead(self) -> Horizon | None:
        return self.horizon.horizon() if self.horizon else None
