"""The configuration of a forgetting function."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_serializer, model_validator

from trainers.forgetting.base import Forgetting
from trainers.forgetting.composed import Product
from trainers.forgetting.families import FAMILIES

FamilyName = Literal[
    "none",
    "exponential",
    "power",
    "hyperbolic",
    "geometric",
    "weibull",
    "linear",
    "logistic",
    "saturating",
    "growth",
    "floor",
    "mixture",
    "monotone",
    "renewal",
]
Scope = Literal["all", "head", "event_type", "category", "user"]

STRETCHED_SCOPES = ("event_type", "category")
"""The scopes whose groups have names that a configuration can give."""

_BESIDES = ("family", "clock", "of", "moments", "learn", "scope", "stretch")


class ForgettingSettings(BaseModel):
    """`{family: power, clock: time, tau: 7, exponent: 0.5}`; the family says which parameters it takes.

    Ages and the parameters that are ages count in days (`clock: time`) or later moments (`clock: moments`). With
    `clock: both` the curve is the factor of time, in days, and `moments` describes the other one:
    `{family: power, clock: both, tau: 7, exponent: 0.5, moments: {family: geometric, rate: 0.9}}`.

    Attributes:
        of: the curve above the floor, where the family is `floor`; it is on the same clock.
        moments: the factor that counts later moments, where the clock is `both`.
        learn: which parameters are learned from the log: all (`true`), none, or those named; one of a nested curve has
            its place before it (`of.half_life`, `moments.rate`). The values given are where learning begins.
        scope: whose curve it is: one for all, or one for each event type, category or user, or (learned) head.
        stretch: with the scope `event_type` or `category`, by group, how many times longer than the common curve its
            ages are, fixed by hand; a group that is not named keeps the common curve.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: FamilyName = "none"
    clock: Literal["time", "moments", "both"] = "time"
    half_life: float | None = None
    tau: float | None = None
    exponent: float | None = None
    rate: float | None = None
    shape: float | None = None
    horizon: float | None = None
    midpoint: float | None = None
    width: float | None = None
    amount: float | None = None
    floor: float | None = None
    of: ForgettingSettings | None = None
    half_lives: tuple[float, ...] | None = None
    shares: tuple[float, ...] | None = None
    knots: tuple[float, ...] | None = None
    slopes: tuple[float, ...] | None = None
    interval: float | None = None
    depth: float | None = None
    moments: ForgettingSettings | None = None
    learn: bool | tuple[str, ...] = False
    scope: Scope = "all"
    stretch: dict[str, float] = {}

    @model_validator(mode="before")
    @classmethod
    def _nested_clocks(cls, given: Any) -> Any:
        """A nested curve that names no clock is on the one of its place."""
        if not isinstance(given, Mapping):
            return given
        clock = given.get("clock", "time")
        places = {"of": "time" if clock == "both" else clock, "moments": "moments"}
        return {**given, **{name: _on(given[name], axis) for name, axis in places.items() if name in given}}

    @model_validator(mode="after")
    def _builds(self) -> ForgettingSettings:
        for name, curve in (("of", self.of), ("moments", self.moments)):
            if curve and (curve.learn or curve.scope != "all" or curve.stretch):
                raise ValueError(
                    f"`learn`, `scope` and `stretch` stand beside `{name}`, not inside it: `learn: [{name}.<name>]`."
                )
        if self.clock == "both" and self.moments and "none" in (self.family, self.moments.family):
            alone = "moments" if self.family == "none" else "time"
            raise ValueError(
                f"`clock: both` needs a curve that forgets on each clock, but one is `none`; take `clock: {alone}`."
            )
        names = [parameter.name for parameter in build(self).learnable]
        if not isinstance(self.learn, bool) and (unknown := [n for n in self.learn if n not in names]):
            raise ValueError(
                f"`learn` must name parameters of `{self.family}` that can be learned ({', '.join(names) or 'none'}), "
                f"but got {unknown[0]!r}."
            )
        if self.scope == "head" and names and not self.learned:
            raise ValueError(
                f"`scope: head` needs a curve that is learned, since heads begin alike; add `learn: true` to the "
                f"`{self.family}` curve."
            )
        if self.scope not in ("all", "head") and names and not (self.learned or self.stretch):
            raise ValueError(
                f"`scope: {self.scope}` needs to know how its groups differ; add `learn: true`"
                f"{' or `stretch`' * (self.scope in STRETCHED_SCOPES)} to the `{self.family}` curve."
            )
        if self.stretch and self.scope not in STRETCHED_SCOPES:
            raise ValueError(
                f"`stretch` needs the scope {' or '.join(STRETCHED_SCOPES)}, but the scope is {self.scope}."
            )
        for group, factor in self.stretch.items():
            if not (math.isfinite(factor) and factor > 0):
                raise ValueError(f"`stretch.{group}` must be a positive number, but got {factor!r}.")
        return self

    @model_serializer(mode="wrap")
    def _without_others(self, handler: Any) -> dict[str, Any]:
        """What other families take is left out: it is neither logged nor part of the name of a fit."""
        return {name: value for name, value in handler(self).items() if value is not None}

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @property
    def learned(self) -> tuple[str, ...]:
        """The names of the parameters that are learned, as `build(settings).parameters` has them."""
        if isinstance(self.learn, bool):
            return tuple(parameter.name for parameter in build(self).learnable) if self.learn else ()
        return self.learn


def _on(curve: Any, clock: str) -> Any:
    if isinstance(curve, ForgettingSettings):
        return curve if "clock" in curve.model_fields_set else curve.model_copy(update={"clock": clock})
    return {"clock": clock, **curve} if isinstance(curve, Mapping) else curve


def build(settings: ForgettingSettings) -> Forgetting:
    """The common curve that the settings describe; ValueError where a parameter is missing or out of range."""
    if settings.clock != "both":
        if settings.moments:
            raise ValueError(f"`moments` needs `clock: both`, but the clock is {settings.clock}.")
        return _family(settings, settings.clock)
    if settings.moments is None:
        raise ValueError(
            "`clock: both` needs `moments`, the factor of later moments: `moments: {family: geometric, rate: 0.9}`."
        )
    if settings.moments.clock != "moments":
        raise ValueError(f"`moments` must be on the clock moments, but got {settings.moments.clock}.")
    return Product(_family(settings, "time"), _family(settings.moments, "moments"))


def _family(settings: ForgettingSettings, clock: str) -> Forgetting:
    names = [name for name in type(settings).model_fields if name not in _BESIDES]
    values = {name: value for name in names if (value := getattr(settings, name)) is not None}
    if settings.of:
        values["of"] = build(settings.of)
    return FAMILIES[settings.family](clock, **values)
