"""What every forgetting function offers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, cast

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from trainers.forgetting.parameters import Parameter, Shape, Value, namespace

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float64]

Axis = Literal["time", "moments"]
AXES: tuple[Axis, ...] = ("time", "moments")
"""What ages are counted in: `time` in days, `moments` in later moments of that user."""

CLOCKS = (*AXES, "both")
"""What a configuration may name: one of the two, or the product of a curve on each."""

Age = TypeVar("Age", Floats, "torch.Tensor")
"""Ages ≥ 0 as an array or a tensor; a function of ages returns what it was given."""

MOST = 690.0
"""Where g is cut: e^−690 is still a float, so that g and its gradients stay finite where R is zero."""


def common(age: Any, values: Mapping[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """The library, and ages and values as things of it: tensors as soon as one of them is a tensor.

    Numbers become tensors of double precision without axes, which do not widen ages of single precision."""
    xp = namespace(age, *values.values())
    if xp is np:
        return np, np.asarray(age), {name: np.asarray(v, dtype=np.float64) for name, v in values.items()}
    first = next(v for v in (age, *values.values()) if isinstance(v, xp.Tensor))
    ages = age if isinstance(age, xp.Tensor) else xp.as_tensor(age, dtype=first.dtype, device=first.device)

    def tensor(value: Any) -> Any:
        if isinstance(value, xp.Tensor):
            return value
        number = np.ndim(value) == 0 or not ages.is_floating_point()
        return xp.as_tensor(value, dtype=xp.float64 if number else ages.dtype, device=ages.device)

    return xp, ages, {name: tensor(v) for name, v in values.items()}


def alike(age: Any, result: Any) -> Any:
    """`result` in the precision of `age`."""
    if namespace(age) is np:
        kind = getattr(age, "dtype", np.dtype(np.float64))
        return result.astype(kind, copy=False) if np.issubdtype(kind, np.floating) else result
    return result.to(age.dtype) if age.is_floating_point() else result


def checked_share(share: float) -> float:
    if not 0 < share < 1:
        raise ValueError(f"`share` must lie between 0 and 1, but got {share!r}.")
    return share


class Forgetting(ABC):
    """A forgetting function g on one clock, or on both; R(age) = exp(−g(age)) is what is left of an event.

    Attributes:
        family: its name in a configuration.
        clock: `time`, `moments` or `both`.
        parameters: what it takes, those of nested curves among them under their place (`of.half_life`).
        values: the value of each parameter by its name, floats or tuples of floats.
        monotone: whether retention never rises with age.
        smooth: whether it has no kink whose age its parameters move, as one has that ends.
        completely_monotone: whether its derivatives alternate in sign, which makes R a mixture of exponentials with
            positive weights (Bernstein): a few decaying states then stand for it.
    """

    family: str
    clock: str
    parameters: tuple[Parameter, ...] = ()
    values: dict[str, Value]
    monotone: bool = True
    smooth: bool = True
    completely_monotone: bool = False

    @abstractmethod
    def curve(self, age: Any, values: Mapping[str, Any]) -> Any:
        """g(age) at other values: numbers, tuples, arrays or tensors by parameter name, broadcast against the ages (the
        last axis of a list is the list). Gradients flow into ages and values. Most families have it as a classmethod.
        """

    @abstractmethod
    def age_at(self, share: float) -> float:
        """The age from which retention stays at or below `share`, in the unit of the clock; 0 where it begins there,
        infinite where it never stays there."""

    @abstractmethod
    def with_values(self, values: Mapping[str, Any]) -> Self:
        """The same function with some of its values replaced, from numbers, arrays or tensors."""

    @abstractmethod
    def stretched(self, factor: float) -> Self:
        """R'(age) = R(age / factor): every age, the half-life among them, is `factor` times as long."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """As it stands in a configuration: `build(ForgettingSettings(**f.to_dict()))` is the same function."""

    @property
    def starts_at(self) -> float:
        """R(0)."""
        return 1.0

    @property
    def turns(self) -> Floats:
        """Ages > 0, ascending, close enough to show where it turns more quickly than ages on a logarithmic axis would:
        none for most."""
        return np.zeros(0)

    @property
    def halved(self) -> float:
        """The age from which less than half of what a new event has is left, R < R(0) / 2, in the unit of the clock:
        the half-life that people are told. It is `half_life` wherever R(0) = 1."""
        return self.age_at(self.starts_at / 2)

    @property
    def half_life(self) -> float:
        """The age at which retention is ½ for good, in the unit of the clock; infinite where it never is."""
        return self.age_at(0.5)

    @property
    def learnable(self) -> tuple[Parameter, ...]:
        """The parameters that can be learned by gradient."""
        return tuple(parameter for parameter in self.parameters if parameter.learnable)

    @property
    def factors(self) -> tuple[Forgetting, ...]:
        """The functions of one clock whose product it is."""
        return (self,)

    def exponent(self, age: Age) -> Age:
        """g(age) ≥ 0, elementwise, for ages ≥ 0 in the unit of the clock."""
        lost: Age = alike(age, self.curve(age, self.values))
        return lost

    def at(self, age: Age) -> Age:
        """R(age) for ages in the unit of the clock."""
        retained: Age = namespace(age).exp(-self.exponent(age))
        return retained

    def retention(self, days: Age, moments: Age) -> Age:
        """R for events whose age is known on both clocks."""
        return self.at(days if self.clock == "time" else moments)

    def lost(self, days: Any, moments: Any, values: Mapping[str, Any] | None = None) -> Any:
        """g for events whose age is known on both clocks, at other values where they are given (as `curve` does)."""
        known = self.values if values is None else self.values | dict(values)
        return self.curve(days if self.clock == "time" else moments, known)

    def exponentials(self) -> tuple[Floats, Floats] | None:
        """(rates [K], weights [K]) with R(age) = Σ weights·e^(−rates·age), where the curve is such a sum exactly."""
        return None

    @property
    def unit(self) -> str:
        return "moments" if self.clock == "moments" else "days"

    def __repr__(self) -> str:
        inside = ", ".join([f"clock={self.clock!r}", *(f"{k}={_short(v)}" for k, v in self.values.items())])
        return f"{type(self).__name__}({inside})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Forgetting) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.family, self.clock, *self.values.items()))


class Family(Forgetting):
    """A forgetting function of one family, on one clock.

    A subclass names its `parameters` (in days or moments where they are ages) and writes `curve` and `age_at`.

    Attributes:
        shapes: what `from_half_life` takes beside the scale.
    """

    shapes: tuple[Shape, ...] = ()

    def __init__(self, clock: str = "time", **values: Any) -> None:
        self.clock = checked_clock(clock)
        self.values = self._checked(values)
        self.check()

    def _checked(self, values: Mapping[str, Any], others: tuple[str, ...] = ()) -> dict[str, Value]:
        parameters = type(self).parameters
        names = (*(parameter.name for parameter in parameters), *others)
        if set(names) != set(values):
            raise ValueError(
                f"`{self.family}` takes the parameters ({', '.join(names) or 'none'}), but got "
                f"({', '.join(values) or 'none'})."
            )
        return {each.name: each.check(self.family, values[each.name]) for each in parameters}

    def check(self) -> None:
        """Raise ValueError where the family wants more of its parameters than their domains."""

    def number(self, name: str) -> float:
        return cast(float, self.values[name])

    def numbers(self, name: str) -> Floats:
        return np.asarray(self.values[name], dtype=np.float64)

    @classmethod
    @abstractmethod
    def from_half_life(cls, half_life: float, clock: str = "time") -> Self:
        """The curve of this family that is half gone at `half_life`; it takes each of its `shapes` by name.

        It gives all families one common scale, so that a search can compare them and carry a rate across."""

    def with_values(self, values: Mapping[str, Any]) -> Self:
        return type(self)(self.clock, **{**self.values, **values})

    def stretched(self, factor: float) -> Self:
        check_factor(factor)
        return self.with_values(
            {
                each.name: np.asarray(self.values[each.name]) * factor**each.power
                for each in self.parameters
                if each.power
            }
        )

    def to_dict(self) -> dict[str, Any]:
        plain = {name: list(v) if isinstance(v, tuple) else v for name, v in self.values.items()}
        return {"family": self.family, "clock": self.clock, **plain}


def checked_clock(clock: str) -> str:
    if clock not in AXES:
        raise ValueError(f"`clock` must be one of {', '.join(AXES)}, but got {clock!r}.")
    return clock


def check_factor(factor: float) -> None:
    if not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"`factor` must be a positive number, but got {factor!r}.")


def _short(value: Value) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(f'{number:g}' for number in value)})"
    return f"{value:g}"


def stays_below(at: Any, share: float, grid: Floats) -> float:
    """The age from which R stays at or below `share`: the last fall below it that an ascending grid of ages > 0 shows,
    to the precision of floats; 0 where no age of the grid is above, infinite where the last one is."""
    above = np.flatnonzero(at(grid) > share)
    if not len(above):
        return 0.0
    last = int(above[-1])
    if last == len(grid) - 1:
        return math.inf

    def excess(log_age: float) -> float:
        return float(at(np.array([math.exp(log_age)]))[0]) - share

    low, high = math.log(grid[last]), math.log(grid[last + 1])
    # The ends are looked up anew: exp(log(age)) may miss a grid age by one bit and be on the other side.
    if excess(low) <= 0:
        return float(grid[last])
    if excess(high) >= 0:
        return float(grid[last + 1])
    return math.exp(brentq(excess, low, high, xtol=1e-15, rtol=1e-15))
