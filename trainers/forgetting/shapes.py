"""The families with a shape of their own: several time scales, a learned shape, an interest that returns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from trainers.forgetting.base import Family, Floats, checked_share, common, stays_below
from trainers.forgetting.parameters import Parameter, Shape

LN2 = math.log(2)


class Mixture(Family):
    """R = Σ_k shares_k · 2^(−age / half_lives_k): several time scales at once, a quick one of the moment and a slow one
    of taste. Enough of them come near any completely monotone curve (Bernstein 1929)."""

    family = "mixture"
    shapes = (Shape("spread", 1.5, 1e6), Shape("share", 0.01, 0.99))
    parameters = (Parameter("half_lives", "positives", power=1), Parameter("shares", "shares"))
    completely_monotone = True

    def check(self) -> None:
        _same_length(self, "half_lives", "shares")

    @classmethod
    def curve(cls, age: Any, values: Mapping[str, Any]) -> Any:
        xp, age, v = common(age, values)

        def logsumexp(x: Any) -> Any:
            most = xp.amax(x, -1)
            return most + xp.log(xp.exp(x - most[..., None]).sum(-1))

        logits = xp.log(v["shares"])
        lost = logsumexp(logits) - logsumexp(logits - age[..., None] * (LN2 / v["half_lives"]))
        return xp.clip(lost, 0.0, None)  # it may miss 0 by a bit at age 0

    def age_at(self, share: float) -> float:
        # The curve lies between its quickest and its slowest part.
        half_lives = self.numbers("half_lives") * -math.log2(checked_share(share))
        low, high = half_lives.min(), half_lives.max()
        return stays_below(self.at, share, np.array([low * (1 - 1e-9), high * (1 + 1e-9)]))

    def exponentials(self) -> tuple[Floats, Floats]:
        shares = self.numbers("shares")
        return LN2 / self.numbers("half_lives"), shares / shares.sum()

    @classmethod
    def from_half_life(
        cls, half_life: float, clock: str = "time", spread: float = 64.0, share: float = 0.5
    ) -> Self:
        """Two scales, the slow one `spread` times the quick one, which has the `share`, stretched to be half gone at
        `half_life`."""
        quick = spread**-0.5
        unit = cls(clock, half_lives=(quick, spread * quick), shares=(share, 1 - share))
        return unit.stretched(half_life / unit.half_life)


class Monotone(Family):
    """g is piecewise linear and never falls in L(age) = log(1 + age / knots[0]): slopes[k] holds from age knots[k] to
    the next knot, slopes[0] from age 0, the last one for ever. R is thus a power curve on each stretch, and any falling
    curve as the knots become dense; one knot is `power` with tau = knots[0]. Knots are fixed, slopes learned."""

    family = "monotone"
    parameters = (Parameter("knots", "ages", power=1), Parameter("slopes", "slopes"))

    def check(self) -> None:
        _same_length(self, "knots", "slopes")

    @classmethod
    def curve(cls, age: Any, values: Mapping[str, Any]) -> Any:
        xp, age, v = common(age, values)
        knots = v["knots"]
        scale = knots[..., :1]
        starts = xp.concatenate((scale * 0.0, xp.log1p(knots[..., 1:] / scale)), -1)
        ends = xp.concatenate((starts[..., 1:], scale * 0.0 + math.inf), -1)
        walked = xp.clip(xp.minimum(xp.log1p(age[..., None] / scale), ends) - starts, 0.0, None)
        return (walked * v["slopes"]).sum(-1)

    def age_at(self, share: float) -> float:
        wanted, knots, slopes = -math.log(checked_share(share)), self.numbers("knots"), self.numbers("slopes")
        starts = np.concatenate(([0.0], np.log1p(knots[1:] / knots[0])))
        lost = np.concatenate(([0.0], np.cumsum(np.diff(starts) * slopes[:-1])))
        stretch = int(np.flatnonzero(lost < wanted)[-1])
        if slopes[stretch] == 0:
            return math.inf
        steps = starts[stretch] + (wanted - lost[stretch]) / slopes[stretch]
        return float(knots[0]) * math.expm1(steps) if steps < 700 else math.inf

    @classmethod
    def from_half_life(cls, half_life: float, clock: str = "time") -> Self:
        """Knots from 1/16 to 16 half-lives and equal slopes: a power curve, from which learning may bend it."""
        knots = tuple(half_life * 4.0**k for k in range(-2, 3))
        return cls(clock, knots=knots, slopes=(LN2 / math.log1p(16),) * len(knots))


class Renewal(Family):
    """R = 2^(−age / half_life) · (1 − depth·(1 − bump)), bump = exp(−½·(log(age / interval) / width)²).

    Right after consumption interest has dipped to 1 − depth; it returns around the item's own interval, as groceries do
    (Bhagat et al. 2018 model repeat consumption by such intervals), while the whole fades. Not monotone: the age at
    which it is half gone is the one from which it stays so. `width` is in powers of e around the interval.
    """

    family = "renewal"
    shapes = (Shape("depth", 0.01, 0.99), Shape("width", 0.02, 10.0))
    parameters = (
        Parameter("half_life", "positive", power=1),
        Parameter("interval", "positive", power=1),
        Parameter("depth", "share"),
        Parameter("width", "positive"),
    )
    monotone = False

    @classmethod
    def curve(cls, age: Any, values: Mapping[str, Any]) -> Any:
        xp, age, v = common(age, values)
        begun = age > 0
        distance = xp.log(xp.where(begun, age, 1.0) / v["interval"]) / v["width"]
        away = xp.where(begun, -xp.expm1(-0.5 * distance**2), 1.0)
        return age * (LN2 / v["half_life"]) - xp.log1p(-v["depth"] * away)

    @property
    def starts_at(self) -> float:
        return 1 - self.number("depth")

    @property
    def turns(self) -> Floats:
        """Around the interval."""
        near = math.log(self.number("interval")) + self.number("width") * np.linspace(-10, 10, 2001)
        return np.asarray(np.exp(np.clip(near, -700, 700)))

    def age_at(self, share: float) -> float:
        end = self.number("half_life") * -math.log2(checked_share(share)) * (1 + 1e-9)
        grid = np.unique(np.concatenate((end * np.geomspace(1e-12, 1, 4001), self.turns)))
        return stays_below(self.at, share, grid[grid <= end])

    @classmethod
    def from_half_life(
        cls,
        half_life: float,
        clock: str = "time",
        depth: float = 0.5,
        width: float = 0.5,
    ) -> Self:
        """Stretched so that from `half_life` on less than half is left; it fades over two of its intervals."""
        unit = cls(clock, half_life=2.0, interval=1.0, depth=depth, width=width)
        return unit.stretched(half_life / unit.half_life)


def _same_length(curve: Family, one: str, other: str) -> None:
    lengths = len(curve.numbers(one)), len(curve.numbers(other))
    if lengths[0] != lengths[1]:
        raise ValueError(
            f"`{curve.family}.{one}` and `{curve.family}.{other}` must have one length, but got {lengths[0]} and "
            f"{lengths[1]}."
        )
