"""Which curves a search tries: families, clocks, half-lives and shapes."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

import optuna
from pydantic import BaseModel, ConfigDict, Field, model_validator

from trainers.forgetting import AXES, FAMILIES, Axis, FamilyName

Params = dict[str, Any]
"""One point of a space, by parameter name: `own+linear.half_life_days`, `linear.l2`."""

ClockName = Literal["time", "moments", "both"]

HALF_LIVES = (0.001, 1e6)
"""Where a range of half-lives must lie: beyond, a parameter of some family leaves the range of floats."""

SHAPES = tuple(dict.fromkeys(shape.name for family in FAMILIES.values() for shape in family.shapes))
"""What a family may have beside its half-life: each has a range of its name in the space."""


class ForgettingSpace(BaseModel):
    """Which curves to try. Rates are searched as half-lives, the one scale that all families share.

    Attributes:
        family: the families; `none` is always tried too.
        clock: `time`, `moments`, or `both`: the family over the days times `geometric` over later moments, each with a
            half-life of its own.
        half_life: by clock, the range in days or moments, searched on a log scale.
        exponent: the range of `power`'s exponent; `null` here and below: it is not searched, and stays as it is (1).
        shape: the range of `weibull`'s shape (1).
        floor: the range of the share that `floor` never loses, below ½ (0.1); what is above it decays exponentially.
        width: the range of how gradual `logistic` falls, as a share of its half-life (¼ where no range is given), and
            of how long the return of `renewal` lasts, in powers of e around the interval (½).
        depth: the range of how much of an interest `renewal` takes away until it returns (½).
        amount: the range of the g with which `saturating` (1) and `growth` (0.1) begin.
        spread: the range of how many times the quick half-life of `mixture` goes into its slow one (64).
        share: the range of the quick one's share in `mixture` (½).

    All shapes are searched on a log scale. The slopes of `monotone` can be learned, not searched.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    family: tuple[FamilyName, ...] = ("none", "exponential", "power", "hyperbolic", "geometric")
    clock: tuple[ClockName, ...] = Field(("time", "moments"), min_length=1)
    half_life: dict[Axis, tuple[float, float]] = {
        "time": (0.5, 365.0),
        "moments": (0.5, 50.0),
    }
    exponent: tuple[float, float] | None = (0.25, 2.0)
    shape: tuple[float, float] | None = (0.3, 1.5)
    floor: tuple[float, float] | None = (0.01, 0.4)
    width: tuple[float, float] | None = None
    depth: tuple[float, float] | None = None
    amount: tuple[float, float] | None = None
    spread: tuple[float, float] | None = None
    share: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        for clock in self.clock:
            for axis in _axes(clock):
                if axis not in self.half_life:
                    raise ValueError(f"`half_life` must give a range for the clock {axis!r}.")
        for axis, ends in self.half_life.items():
            _check(axis, ends, HALF_LIVES)
        for name in SHAPES:
            if (ends := getattr(self, name)) is None:
                continue
            having = {
                family: shape
                for family, each in FAMILIES.items()
                for shape in each.shapes
                if shape.name == name
            }
            searched = {family: shape for family, shape in having.items() if family in self.families}
            if not searched and ends != type(self).model_fields[name].default:
                raise ValueError(
                    f"`{name}` is a shape of {' and '.join(f'`{family}`' for family in having)}: name one in `family`, "
                    f"or take `{name}: null`."
                )
            for shape in (searched or having).values():
                _check(name, ends, (shape.least, shape.most))
        return self

    @property
    def families(self) -> tuple[str, ...]:
        return ("none", *(name for name in self.family if name != "none"))

    def names(self, prefix: str) -> dict[str, str]:
        """The parameter names of a slot: family, clock, the shapes, and a half-life for each clock."""
        return {
            **{name: f"{prefix}.{name}" for name in ("family", "clock", *SHAPES)},
            "time": f"{prefix}.half_life_days",
            "moments": f"{prefix}.half_life_moments",
        }

    def suggest(self, trial: optuna.Trial, prefix: str) -> Params:
        names = self.names(prefix)
        params = {names["family"]: trial.suggest_categorical(names["family"], self.families)}
        if params[names["family"]] == "none":
            return params
        clock = params[names["clock"]] = trial.suggest_categorical(names["clock"], self.clock)
        for name, (low, high) in self._ranges(params[names["family"]], clock).items():
            params[names[name]] = trial.suggest_float(names[name], low, high, log=True)
        return params

    def _ranges(self, family: str, clock: str) -> dict[str, tuple[float, float]]:
        """What else there is to say of a family on a clock: its half-lives, and its shapes where they are searched."""
        ranges: dict[str, tuple[float, float]] = {axis: self.half_life[axis] for axis in _axes(clock)}
        shapes = {shape.name: getattr(self, shape.name) for shape in FAMILIES[family].shapes}
        return ranges | {name: ends for name, ends in shapes.items() if ends is not None}

    def start(self, prefix: str, family: str) -> Params:
        """The middle of the space for one family."""
        names = self.names(prefix)
        params: Params = {names["family"]: family}
        if family != "none":
            params[names["clock"]] = self.clock[0]
            for name, ends in self._ranges(family, self.clock[0]).items():
                params[names[name]] = math.sqrt(math.prod(ends))
        return params

    def corners(self, prefix: str) -> list[Params]:
        """A point for each family on each clock, in the middle of its ranges."""
        alone = [self.model_copy(update={"clock": (clock,)}) for clock in self.clock]
        return [slot.start(prefix, family) for family in self.families for slot in alone]

    def settings(self, prefix: str, params: Params) -> dict[str, Any]:
        """The forgetting function at a point, as it stands in a configuration."""
        names = self.names(prefix)
        family = params[names["family"]]
        if family == "none":
            return {"family": "none"}
        clock = params[names["clock"]]
        shapes = [shape.name for shape in FAMILIES[family].shapes]
        shape = {name: params[names[name]] for name in shapes if names[name] in params}
        axis = _axes(clock)[0]
        found = FAMILIES[family].from_half_life(params[names[axis]], axis, **shape).to_dict()
        if clock == "both":
            moments = FAMILIES["geometric"].from_half_life(params[names["moments"]], "moments")
            found |= {"clock": clock, "moments": moments.to_dict()}
        return found


def _check(name: str, ends: tuple[float, float], limits: tuple[float, float]) -> None:
    """ValueError where `ends` are no range, or lie beyond the limits."""
    (low, high), (least, most) = ends, limits
    if not 0 < low < high:
        raise ValueError(f"`0 < low < high` must hold for {name!r}, but got ({low:g}, {high:g}).")
    if low < least or high > most:
        raise ValueError(f"{name!r} must lie between {least:g} and {most:g}, but got ({low:g}, {high:g}).")


def _axes(clock: str) -> tuple[Axis, ...]:
    return tuple(axis for axis in AXES if clock in (axis, "both"))
