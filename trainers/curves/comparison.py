"""Families of forgetting side by side, on choices that none of them was fitted on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from trainers.curves.choices import Choices, Floats, Ints
from trainers.curves.likelihood import REFERENCE, CurveFit, log_likelihood
from trainers.forgetting import FAMILIES, Forgetting, ForgettingSettings

NOTHING = "none"
LATER = {"family": "exponential", "clock": "moments", "half_life": 10.0}


class Gap(Protocol):
    """A mean difference and its interval."""

    @property
    def difference(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


Paired = Callable[[Floats, Floats, Ints], Gap]
"""first [T], second [T], users [T] → the mean of first − second with an interval that resamples users."""


@dataclass(frozen=True)
class Standing:
    """One curve on the held-out choices.

    Attributes:
        name: what it is called in the comparison.
        fit: the curve.
        mean: its mean log-likelihood, nats an event.
        behind: the best one minus this one, ≥ 0.
        gain: this one minus `none`.
    """

    name: str
    fit: CurveFit
    mean: float
    behind: Gap
    gain: Gap

    @property
    def told_apart(self) -> bool:
        """Whether the data can tell it from the best: False where the interval of the difference includes 0."""
        return self.behind.low > 0


@dataclass(frozen=True)
class Comparison:
    """Curves by their held-out log-likelihood, the best first."""

    standings: tuple[Standing, ...]

    @property
    def best(self) -> Standing:
        return self.standings[0]

    @property
    def chosen(self) -> Standing:
        """The simplest curve that cannot be told from the best; of two equally simple ones, the better. A curve with
        more parameters is believed only where held-out choices say so beyond chance."""
        equals = [each for each in self.standings if not each.told_apart]
        return min(equals, key=lambda each: (each.fit.parameters, -each.mean))

    @property
    def pays(self) -> bool:
        """Whether forgetting pays: the best curve is better than `none` by more than chance."""
        return self.best.gain.low > 0


def compare(fits: Mapping[str, CurveFit], held_out: Choices, paired: Paired) -> Comparison:
    """Judge fitted curves, `none` among them, on held-out choices.

    Args:
        paired: the interval of a paired difference (`evaluators.paired`).

    Raises:
        ValueError: `none` is not among the fits.
    """
    if NOTHING not in fits:
        raise ValueError(f"`fits` must hold {NOTHING!r}, the control, but has ({', '.join(fits)}).")
    values = {name: log_likelihood(held_out, found) for name, found in fits.items()}
    best = max(values, key=lambda name: float(values[name].mean()))
    standings = [
        Standing(
            name,
            found,
            float(np.mean(values[name])),
            paired(values[best], values[name], held_out.users),
            paired(values[name], values[NOTHING], held_out.users),
        )
        for name, found in fits.items()
    ]
    return Comparison(tuple(sorted(standings, key=lambda each: (-each.mean, each.fit.parameters))))


def learnable(family: str, clock: str, choices: Choices) -> ForgettingSettings:
    """A family to be learned: all its parameters, from a curve of a common half-life. The knots of `monotone`, which
    are not learned, lie where the ages do: at their 5, 25, 50, 75 and 95 % quantiles. On the clock `both` it is the
    family over days times an exponential over later moments."""
    if clock == "both":
        days = learnable(family, "time", choices).model_dump(mode="json")
        return ForgettingSettings.model_validate({**days, "clock": "both", "moments": LATER})
    if family == "monotone":
        ages = choices.days if clock == "time" else choices.moments + 1.0
        knots = np.unique(np.quantile(ages, (0.05, 0.25, 0.5, 0.75, 0.95)))
        slopes = [0.2] * len(knots)
        values = {"family": family, "clock": clock, "knots": knots.tolist(), "slopes": slopes}
        return ForgettingSettings.model_validate({**values, "learn": True})
    curve: Forgetting = FAMILIES[family].from_half_life(REFERENCE[clock], clock)
    return ForgettingSettings.model_validate({**curve.to_dict(), "learn": True})
