"""The curves by which simulated interest fades: R(age), the share that is left after so many days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evaluators.arrays import Floats


class Retention(Protocol):
    """age [...] days, none negative -> [...] in [0, 1], 1 at age 0."""

    def __call__(self, age: Floats) -> Floats: ...


@dataclass(frozen=True)
class Lasting:
    """R = 1: nothing is forgotten."""

    def __call__(self, age: Floats) -> Floats:
        return np.ones_like(age)


@dataclass(frozen=True)
class Exponential:
    """R(age) = 2^(-age / half_life).

    >>> Exponential(7.0)(np.array([0.0, 7.0, 14.0])).tolist()
    [1.0, 0.5, 0.25]
    """

    half_life: float

    def __call__(self, age: Floats) -> Floats:
        return np.exp2(-age / self.half_life)


@dataclass(frozen=True)
class Power:
    """R(age) = (1 + age / tau)^(-exponent), the curve of memory research (Wixted & Ebbesen 1991).

    >>> Power(7.0, 1.0)(np.array([0.0, 7.0, 21.0])).tolist()
    [1.0, 0.5, 0.25]
    """

    tau: float
    exponent: float

    def __call__(self, age: Floats) -> Floats:
        return np.exp(-self.exponent * np.log1p(age / self.tau))
