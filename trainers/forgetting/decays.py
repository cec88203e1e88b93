"""The families of two parameters or fewer that only ever fall. Each docstring gives R(age) and where it comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from trainers.forgetting.base import MOST, Family, Floats, check_factor, checked_share, common
from trainers.forgetting.parameters import Parameter, Shape

LN2 = math.log(2)


class Nothing(Family):
    """R = 1: nothing is forgotten. The control that every gain is measured against."""

    family = "none"
    completely_monotone = True

    @classmethod
    def curve(cls, age: Any, values: Mapping[str, Any]) -> Any:
        return age * 0.0

    def age_at(self, share: float) -> float:
        checked_share(share)
        return math.inf

    def exponentials(self) -> tuple[Floats, Floats]:
        return np.zeros(1), np.ones(1)

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time") -> Self:
        return cls(clock)


class Exponential(Family):
    """R = 2^(−age / half_life): a constant share is lost in each unit of time (Ebbinghaus 1885, as usually read).

    >>> import numpy as np
    >>> Exponential(half_life=30.0).at(np.array([0.0, 30.0, 60.0])).tolist()
    [1.0, 0.5, 0.25]
    """

    family = "exponential"
    parameters = (Parameter("half_life", "positive", power=1),)
    completely_monotone = True

    @classmethod
    def curve(cls, age: Any, values: Mapping[str, Any]) -> Any:
        _, age, v = common(age, values)
        return age * (LN2 / v["half_life"])

    def age_at(self, share: float) -> float:
        return self.number("half_life") * -math.log2(checked_share(share))

    def exponentials(self) -> tuple[Floats, Floats]:
        return np.array([LN2 / self.number("half_life")]), np.ones(1)

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time") -> Self:
        return cls(clock, half_life=half_life)


class Power(Family):
    """R = (1 + age / tau)^(−exponent): fast at first, then ever slower (Wixted & Ebbesen 1991)."""

    family = "power"
    shapes = (Shape("exponent", 0.01, 1e6),)
    parameters = (Parameter("tau", "positive", power=1), Parameter("exponent", "positive"))
    completely_monotone = True

    @classmethod
    def curve(cls, age: Any, values: Mapping[str, Any]) -> Any:
        xp, age, v = common(age, values)
        return v["exponent"] * xp.log1p(age / v["tau"])

    def age_at(self, share: float) -> float:
        # A small exponent takes share^(−1/exponent) out of the range of floats: such a curve never gets there.
        steps = -math.log(checked_share(share)) / self.number("exponent")
        return self.number("tau") * math.expm1(steps) if steps < 700 else math.inf

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time", exponent: float = 1.0) -> Self:
        return cls(clock, tau=half_life / math.expm1(LN2 / exponent), exponent=exponent)


class Hyperbolic(Family):
    """R = 1 / (1 + age / tau), half gone at tau (Mazur 1987): `power` with an exponent of one."""

    family = "hyperbolic"
    parameters = (Parameter("tau", "positive", power=1),)
    completely_monotone = True

    @classmethod
    def curve(cls, age: Any, values: Mapping[str, Any]) -> Any:
        xp, age, v = common(age, values)
        return xp.log1p(age / v["tau"])

    def age_at(self, share: float) -> float:
        return self.number("tau") * (1 / checked_share(share) - 1)

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time") -> Self:
        return cls(clock, tau=half_life)


class Geometric(Family):
    """R = rate^age, `rate` being what is left after one unit: 0 < rate ≤ 1 (the often-seen 0.99^t)."""

    family = "geometric"
    parameters = (Parameter("rate", "rate"),)
    completely_monotone = True

    @classmethod
    def curve(cls, age: Any, values: Mapping[str, Any]) -> Any:
        xp, age, v = common(age, values)
        return age * -xp.log(v["rate"])

    def age_at(self, share: float) -> float:
        wanted, loss = -math.log(checked_share(share)), -math.log(self.number("rate"))
        return wanted / loss if loss > 0 else math.inf

    def exponentials(self) -> tuple[Floats, Floats]:
        return np.array([-math.log(self.number("rate"))]), np.ones(1)

    def stretched(self, factor: float) -> Self:
        check_factor(factor)
        # A rate that would round to zero stays the least float: everything is gone after one unit either way.
        return self.with_values({"rate": max(self.number("rate") ** (1 / factor), math.ulp(0.0))})

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time") -> Self:
        return cls(clock, rate=0.5 ** (1 / half_life))


class Weibull(Family):
    """R = exp(−(age / tau)^shape), the stretched exponential. A shape below 1 is the savings curve of Ebbinghaus, fast
    at first; 1 is `exponential`; above 1 an interest holds and then collapses. tau is the age at which 1/e is left.

    The slope at age 0, infinite for a shape below 1, is given as 0, so that gradients stay finite.
    """

    family = "weibull"
    shapes = (Shape("shape", 0.01, 100.0),)
    parameters = (Parameter("tau", "positive", power=1), Parameter("shape", "positive"))

    def check(self) -> None:
        self.completely_monotone = self.number("shape") <= 1

    @classmethod
    def curve(cls, age: Any, values: Mapping[str, Any]) -> Any:
        xp, age, v = common(age, values)
        begun = age > 0
        log_lost = v["shape"] * xp.log(xp.where(begun, age, 1.0) / v["tau"])
        return xp.where(begun, xp.exp(xp.clip(log_lost, None, math.log(MOST))), 0.0)

    def age_at(self, share: float) -> float:
        steps = math.log(-math.log(checked_share(share))) / self.number("shape")
        return self.number("tau") * math.exp(steps) if steps < 700 else math.inf

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time", shape: float = 1.0) -> Self:
        return cls(clock, tau=half_life * math.exp(-math.log(LN2) / shape), shape=shape)


class Linear(Family):
    """R = max(0, 1 − age / horizon): the same amount is lost in each unit, and nothing is left at the horizon."""

    family = "linear"
    smooth = False
    parameters = (Parameter("horizon", "positive", power=1),)

    @classmethod
    def curve(cls, age: Any, values: Mapping[str, Any]) -> Any:
        xp, age, v = common(age, values)
        left = 1.0 - age / v["horizon"]
        gone = left <= 0
        return xp.where(gone, MOST, -xp.log(xp.where(gone, 1.0, left)))

    def age_at(self, share: float) -> float:
        return self.number("horizon") * (1 - checked_share(share))

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time") -> Self:
        return cls(clock, horizon=2 * half_life)


class Logistic(Family):
    """R = (1 + e^(−midpoint/width)) / (1 + e^((age − midpoint)/width)): an interest holds until about the midpoint and
    is gone some widths later, as for what is in season. The numerator makes R(0) = 1."""

    family = "logistic"
    shapes = (Shape("width", 0.01, 0.9),)
    parameters = (Parameter("midpoint", "positive", power=1), Parameter("width", "positive", power=1))

    @classmethod
    def curve(cls, age: Any, values: Mapping[str, Any]) -> Any:
        xp, age, v = common(age, values)

        def softplus(x: Any) -> Any:
            return xp.logaddexp(xp.zeros_like(x), x)

        lost = softplus((age - v["midpoint"]) / v["width"]) - softplus(-v["midpoint"] / v["width"])
        return xp.clip(lost, 0.0, None)  # it may miss 0 by a bit at age 0

    def age_at(self, share: float) -> float:
        midpoint, width = self.number("midpoint"), self.number("width")
        left = 1 / checked_share(share)
        return max(0.0, midpoint + width * math.log(left - 1 + left * math.exp(-midpoint / width)))

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time", width: float = 0.25) -> Self:
        """`width` as a share of the half-life, below 1 / log 3: wider, the midpoint would lie before age 0."""
        if not 0 < width < 1 / math.log(3):
            raise ValueError(f"`0 < width < {1 / math.log(3):.3f}` must hold, but got {width!r}.")
        midpoint = half_life * (1 + width * math.log1p(-2 * math.exp(-1 / width)))
        return cls(clock, midpoint=midpoint, width=width * half_life)
