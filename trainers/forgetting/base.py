"""What every forgetting function offers."""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

CLOCKS = ("time", "moments")
"""What ages are counted in: `time` in days, `moments` in later moments of that user."""

Age = TypeVar("Age", npt.NDArray[np.float64], "torch.Tensor")
"""Ages ≥ 0 as an array or a tensor; a function of ages returns what it was given."""


def namespace(age: npt.NDArray[np.float64] | torch.Tensor) -> Any:
    """The library that computes on `age`: numpy and torch agree on the names that the families use.

    Torch is not imported for it: it takes seconds, and whoever has a tensor has imported it."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(age, torch.Tensor) else np


class Forgetting(ABC):
    """A forgetting function g of one family, on one clock; R(age) = exp(−g(age)) is what is left of an event.

    A subclass names its parameters in `parameters` (positive numbers, in days or moments where they are ages), writes
    `exponent` so that arrays and tensors both pass through it, and knows its half-life.
    """

    family: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]] = ()
    monotone: ClassVar[bool] = True
    """Whether retention never rises with age."""

    def __init__(self, clock: str = "time", **values: float) -> None:
        if clock not in CLOCKS:
            raise ValueError(f"`clock` must be one of {', '.join(CLOCKS)}, but got {clock!r}.")
        missing, unknown = set(self.parameters) - set(values), set(values) - set(self.parameters)
        if missing or unknown:
            raise ValueError(
                f"`{self.family}` takes the parameters ({', '.join(self.parameters) or 'none'}), but got "
                f"({', '.join(values) or 'none'})."
            )
        for name, value in values.items():
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"`{self.family}.{name}` must be a positive number, but got {value!r}.")
        self.clock = clock
        self.values = {name: float(values[name]) for name in self.parameters}
        self.check()

    def check(self) -> None:  # noqa: B027  (most families want no more, so it is not abstract)
        """Raise ValueError where the family wants more of its parameters than to be positive."""

    @abstractmethod
    def exponent(self, age: Age) -> Age:
        """g(age) ≥ 0, elementwise, for ages ≥ 0 in the unit of the clock."""

    @property
    @abstractmethod
    def half_life(self) -> float:
        """The age at which retention is ½, in the unit of the clock; infinite where it never is."""

    @classmethod
    @abstractmethod
    def from_half_life(cls, half_life: float, clock: str = "time", exponent: float = 1.0) -> Self:
        """The curve of this family that is half gone at `half_life`; `exponent` is the shape where there is one.

        It gives all families one common scale, so that a search can compare them and carry a rate across."""

    def at(self, age: Age) -> Age:
        """R(age) for ages in the unit of the clock."""
        retained: Age = namespace(age).exp(-self.exponent(age))
        return retained

    def retention(self, days: Age, moments: Age) -> Age:
        """R for events whose age is known on both clocks."""
        return self.at(days if self.clock == "time" else moments)

    def to_dict(self) -> dict[str, str | float]:
        """As it stands in a configuration: `build(ForgettingSettings(**f.to_dict()))` is the same function."""
        return {"family": self.family, "clock": self.clock, **self.values}

    @property
    def unit(self) -> str:
        return "days" if self.clock == "time" else "moments"

    def __repr__(self) -> str:
        inside = ", ".join([f"clock={self.clock!r}", *(f"{k}={v:g}" for k, v in self.values.items())])
        return f"{type(self).__name__}({inside})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Forgetting) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.to_dict().items()))
