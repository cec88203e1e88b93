"""The families. Each docstring gives the retention R(age) with its parameters and where the curve comes from."""

from __future__ import annotations

import math
from typing import Self

from trainers.forgetting.base import Age, Forgetting, namespace


class Nothing(Forgetting):
    """R = 1: nothing is forgotten. The control that every gain is measured against."""

    family = "none"

    def exponent(self, age: Age) -> Age:
        return age * 0.0

    @property
    def half_life(self) -> float:
        return math.inf

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time", exponent: float = 1.0) -> Self:
        return cls(clock)


class Exponential(Forgetting):
    """R = 2^(−age / half_life): a constant share is lost in each unit of time (Ebbinghaus 1885, as usually read).

    >>> import numpy as np
    >>> Exponential(half_life=30.0).at(np.array([0.0, 30.0, 60.0])).tolist()
    [1.0, 0.5, 0.25]
    """

    family = "exponential"
    parameters = ("half_life",)

    def exponent(self, age: Age) -> Age:
        return age * (math.log(2) / self.values["half_life"])

    @property
    def half_life(self) -> float:
        return self.values["half_life"]

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time", exponent: float = 1.0) -> Self:
        return cls(clock, half_life=half_life)


class Power(Forgetting):
    """R = (1 + age / tau)^(−exponent): fast at first, then ever slower (Wixted & Ebbesen 1991)."""

    family = "power"
    parameters = ("tau", "exponent")

    def exponent(self, age: Age) -> Age:
        logarithm: Age = namespace(age).log1p(age / self.values["tau"])
        return self.values["exponent"] * logarithm

    @property
    def half_life(self) -> float:
        # A small exponent takes 2^(1/exponent) out of the range of floats: such a curve is never half gone.
        steps = math.log(2) / self.values["exponent"]
        return self.values["tau"] * math.expm1(steps) if steps < 700 else math.inf

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time", exponent: float = 1.0) -> Self:
        return cls(clock, tau=half_life / math.expm1(math.log(2) / exponent), exponent=exponent)


class Hyperbolic(Forgetting):
    """R = 1 / (1 + age / tau), half gone at tau (Mazur 1987): `power` with an exponent of one."""

    family = "hyperbolic"
    parameters = ("tau",)

    def exponent(self, age: Age) -> Age:
        logarithm: Age = namespace(age).log1p(age / self.values["tau"])
        return logarithm

    @property
    def half_life(self) -> float:
        return self.values["tau"]

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time", exponent: float = 1.0) -> Self:
        return cls(clock, tau=half_life)


class Geometric(Forgetting):
    """R = rate^age, `rate` being what is left after one unit: 0 < rate ≤ 1 (the often-seen 0.99^t)."""

    family = "geometric"
    parameters = ("rate",)

    def check(self) -> None:
        if self.values["rate"] > 1:
            raise ValueError(f"`geometric.rate` must be at most 1, but got {self.values['rate']!r}.")

    def exponent(self, age: Age) -> Age:
        return age * -math.log(self.values["rate"])

    @property
    def half_life(self) -> float:
        loss = -math.log(self.values["rate"])
        return math.log(2) / loss if loss > 0 else math.inf

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time", exponent: float = 1.0) -> Self:
        return cls(clock, rate=0.5 ** (1 / half_life))


FAMILIES: dict[str, type[Forgetting]] = {
    family.family: family for family in (Nothing, Exponential, Power, Hyperbolic, Geometric)
}
"""The names that a configuration may use."""
