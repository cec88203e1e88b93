"""The source's own two functions g, as they stand there: neither begins at full strength."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

from trainers.forgetting.base import MOST, Family, checked_share, common
from trainers.forgetting.parameters import Parameter, Shape


class Saturating(Family):
    """R = exp(−amount·e^(−rate·age)), the source's g = α·e^(−β·t) with amount α and rate β (per unit of age).

    It begins at R(0) = e^(−amount) and RISES to 1: what is newest counts least, and what is old returns to full
    strength. It therefore never stays below any share, and its half-life is infinite. It is here to be measured, not
    because people forget so.
    """

    family = "saturating"
    shapes = (Shape("amount", 0.001, 100.0),)
    parameters = (Parameter("amount", "positive"), Parameter("rate", "positive", power=-1))
    monotone = False

    @classmethod
    def curve(cls, age: Any, values: Mapping[str, Any]) -> Any:
        xp, age, v = common(age, values)
        return v["amount"] * xp.exp(-v["rate"] * age)

    @property
    def starts_at(self) -> float:
        return math.exp(-self.number("amount"))

    def age_at(self, share: float) -> float:
        checked_share(share)
        return math.inf

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time", amount: float = 1.0) -> Self:
        """Here `half_life` is the age at which half of g is gone, since R is never half gone."""
        return cls(clock, amount=amount, rate=math.log(2) / half_life)


class Growth(Family):
    """R = exp(−amount·e^(rate·age)), the source's exponential growth: the hazard of Gompertz 1825, under which what is
    old is lost ever faster. It begins at R(0) = e^(−amount)."""

    family = "growth"
    shapes = (Shape("amount", 0.001, 0.69),)
    parameters = (Parameter("amount", "positive"), Parameter("rate", "positive", power=-1))

    @classmethod
    def curve(cls, age: Any, values: Mapping[str, Any]) -> Any:
        xp, age, v = common(age, values)
        return xp.exp(xp.clip(xp.log(v["amount"]) + v["rate"] * age, None, math.log(MOST)))

    @property
    def starts_at(self) -> float:
        return math.exp(-min(self.number("amount"), MOST))

    def age_at(self, share: float) -> float:
        growth = math.log(-math.log(checked_share(share)) / self.number("amount"))
        return max(0.0, growth / self.number("rate"))

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time", amount: float = 0.1) -> Self:
        """`amount` must be below log 2: above, less than half is left at age 0."""
        if not 0 < amount < math.log(2):
            raise ValueError(f"`0 < amount < {math.log(2):.3f}` must hold, but got {amount!r}.")
        return cls(clock, amount=amount, rate=math.log(math.log(2) / amount) / half_life)
