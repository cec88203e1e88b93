"""Functions made of others: a floor under any family, the product of a curve on each clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np

from trainers.forgetting.base import Age, Family, Floats, Forgetting, alike, checked_share, common
from trainers.forgetting.decays import Exponential
from trainers.forgetting.parameters import Parameter, Shape, Value, namespace


def nested(place: str, curve: Forgetting) -> tuple[Parameter, ...]:
    """The parameters of `curve` under its place: `of.half_life`."""
    return tuple(replace(each, name=f"{place}.{each.name}") for each in curve.parameters)


def inside(place: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of what stands at `place`, by their own names."""
    return {name.removeprefix(f"{place}."): v for name, v in values.items() if name.startswith(f"{place}.")}


def under(place: str, curve: Forgetting) -> dict[str, Value]:
    return {f"{place}.{name}": value for name, value in curve.values.items()}


class Floor(Family):
    """R = floor + (1 − floor)·R_of: the share `floor` of an interest is never lost, the rest as the family `of` says.

    >>> curve = Floor(floor=0.1, of=Exponential(half_life=7.0))
    >>> round(float(curve.at(np.array([7.0]))[0]), 12)
    0.55
    """

    family = "floor"
    shapes = (Shape("floor", 1e-6, 0.499),)
    parameters: tuple[Parameter, ...] = (Parameter("floor", "share"),)

    def __init__(self, clock: str = "time", **values: Any) -> None:
        super().__init__(clock, **values)
        self.values |= under("of", self.of)
        self.parameters = (*type(self).parameters, *nested("of", self.of))
        self.monotone, self.completely_monotone = self.of.monotone, self.of.completely_monotone
        self.smooth = self.of.smooth

    def _checked(self, values: Mapping[str, Any], others: tuple[str, ...] = ()) -> dict[str, Value]:
        found = super()._checked(values, ("of",))
        self.of: Forgetting = values["of"]
        fits = isinstance(self.of, Forgetting) and self.of.family != "floor" and self.of.clock == self.clock
        if not fits:
            raise ValueError(
                f"`floor.of` must be a curve of another family on the clock `{self.clock}`, but got {self.of!r}."
            )
        return found

    def curve(self, age: Any, values: Mapping[str, Any]) -> Any:
        lost = self.of.curve(age, inside("of", values))
        xp, lost, v = common(lost, {"floor": values["floor"]})
        # Near 0 the first form keeps every digit; far out only the second is finite for any floor.
        near = lost < 0.5
        first = -xp.log1p((1 - v["floor"]) * xp.expm1(-xp.where(near, lost, 0.0)))
        second = -xp.logaddexp(xp.log(v["floor"]) + 0.0 * lost, xp.log1p(-v["floor"]) - lost)
        return xp.where(near, first, second)

    @property
    def starts_at(self) -> float:
        return self.number("floor") + (1 - self.number("floor")) * self.of.starts_at

    @property
    def turns(self) -> Floats:
        return self.of.turns

    def age_at(self, share: float) -> float:
        floor = self.number("floor")
        if checked_share(share) <= floor:
            return math.inf
        return self.of.age_at((share - floor) / (1 - floor))

    def exponentials(self) -> tuple[Floats, Floats] | None:
        found = self.of.exponentials()
        if found is None:
            return None
        rates, weights = found
        floor = self.number("floor")
        return np.concatenate(([0.0], rates)), np.concatenate(([floor], (1 - floor) * weights))

    def with_values(self, values: Mapping[str, Any]) -> Self:
        of = self.of.with_values(inside("of", values))
        return type(self)(self.clock, floor=values.get("floor", self.values["floor"]), of=of)

    def stretched(self, factor: float) -> Self:
        return type(self)(self.clock, floor=self.values["floor"], of=self.of.stretched(factor))

    def to_dict(self) -> dict[str, Any]:
        return {
            "family": self.family,
            "clock": self.clock,
            "floor": self.values["floor"],
            "of": self.of.to_dict(),
        }

    def __repr__(self) -> str:
        return f"Floor(clock={self.clock!r}, floor={self.values['floor']:g}, of={self.of!r})"

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time", floor: float = 0.1) -> Self:
        """A floor below ½ under an exponential: above, it is never half gone."""
        if not 0 < floor < 0.5:
            raise ValueError(f"`0 < floor < 0.5` must hold, but got {floor!r}.")
        unit = cls(clock, floor=floor, of=Exponential(clock, half_life=1.0))
        return unit.stretched(half_life / unit.half_life)


class Product(Forgetting):
    """R = R_time(days) · R_moments(moments): an interest fades with the days, and with what came after it.

    `family`, `half_life`, `age_at` and `at` are those of the factor of time alone: what is left while no later moment
    of the user passes. `moments_half_life` is that of the other factor.
    """

    clock = "both"

    def __init__(self, time: Forgetting, moments: Forgetting) -> None:
        if (time.clock, moments.clock) != ("time", "moments"):
            raise ValueError(
                f"`both` takes a curve on `time` and one on `moments`, but got ({time.clock}, {moments.clock})."
            )
        self.time, self.moments = time, moments
        self.family = time.family
        self.parameters = (*time.parameters, *nested("moments", moments))
        self.values = time.values | under("moments", moments)
        self.monotone = time.monotone and moments.monotone
        self.smooth = time.smooth and moments.smooth
        self.completely_monotone = time.completely_monotone and moments.completely_monotone

    def curve(self, age: Any, values: Mapping[str, Any]) -> Any:
        """g of the factor of time at ages in days, while no later moment passes; `lost` has both clocks."""
        return self.time.curve(age, self._of_time(values))

    @staticmethod
    def _of_time(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if not name.startswith("moments.")}

    def lost(self, days: Any, moments: Any, values: Mapping[str, Any] | None = None) -> Any:
        known = self.values if values is None else self.values | dict(values)
        return self.time.curve(days, self._of_time(known)) + self.moments.curve(
            moments, inside("moments", known)
        )

    def retention(self, days: Age, moments: Age) -> Age:
        lost: Age = alike(days, self.lost(days, moments))
        kept: Age = namespace(lost).exp(-lost)
        return kept

    @property
    def starts_at(self) -> float:
        return self.time.starts_at

    def age_at(self, share: float) -> float:
        return self.time.age_at(share)

    @property
    def moments_half_life(self) -> float:
        """The half-life of the other factor, in later moments, while no time passes."""
        return self.moments.half_life

    @property
    def factors(self) -> tuple[Forgetting, ...]:
        return (self.time, self.moments)

    def with_values(self, values: Mapping[str, Any]) -> Self:
        return type(self)(
            self.time.with_values(self._of_time(values)), self.moments.with_values(inside("moments", values))
        )

    def stretched(self, factor: float) -> Self:
        """On both clocks: R'(days, moments) = R(days / factor, moments / factor)."""
        return type(self)(self.time.stretched(factor), self.moments.stretched(factor))

    def to_dict(self) -> dict[str, Any]:
        return self.time.to_dict() | {"clock": "both", "moments": self.moments.to_dict()}

    def __repr__(self) -> str:
        return f"Product({self.time!r}, {self.moments!r})"


def by_clock(curves: Mapping[str, Forgetting]) -> dict[str, Forgetting]:
    """The same curves, each product taken apart into its two, which have half-lives of their own.

    >>> both = Product(Exponential(half_life=7.0), Exponential("moments", half_life=2.0))
    >>> {name: curve.half_life for name, curve in by_clock({"": both}).items()}
    {'by days': 7.0, 'by moments': 2.0}
    """
    return {
        " ".join(filter(None, (name, f"by {factor.unit}" * (len(curve.factors) > 1)))): factor
        for name, curve in curves.items()
        for factor in curve.factors
    }
