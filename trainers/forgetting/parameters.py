"""What a parameter of a forgetting function may be, and how an optimiser moves it.

An optimiser wants numbers without bounds: `to_free` and `from_free` go there and back, on arrays and tensors, without
changing the shape. Leading axes are free, so that one parameter may hold a value for each user or head.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

Kind = Literal["positive", "share", "rate", "positives", "shares", "slopes", "ages"]
Value = float | tuple[float, ...]

FURTHEST = 16.0
"""Where logits are cut: e^−16 from 0 or 1 is still inside in single precision, and no one can tell it from the end."""
LEAST_LOSS = 1e-12
"""The loss in one unit that stands for `rate: 1`, whose logarithm would be −∞."""
LEAST_SLOPE = 1e-8
"""The slope that stands for 0, which the softplus does not reach."""


def namespace(*things: object) -> Any:
    """The library that computes on `things`: numpy and torch agree on the names that the families use.

    Torch is not imported for it: it takes seconds, and whoever has a tensor has imported it."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and any(isinstance(thing, torch.Tensor) for thing in things) else np


def _exp(free: Any) -> Any:
    return namespace(free).exp(free)


def _log(value: Any) -> Any:
    return namespace(value).log(value)


def _logit(value: Any) -> Any:
    xp = namespace(value)
    return xp.log(value) - xp.log1p(-value)


def _sigmoid(free: Any) -> Any:
    xp = namespace(free)
    return xp.exp(-_softplus(-xp.clip(free, -FURTHEST, FURTHEST)))


def _to_log_loss(value: Any) -> Any:
    xp = namespace(value)
    return xp.log(xp.clip(-xp.log(value), LEAST_LOSS, None))


def _from_log_loss(free: Any) -> Any:
    xp = namespace(free)
    return xp.exp(-xp.exp(xp.clip(free, None, 4.0)))  # at least e^−54, still a float of single precision


def _to_logits(value: Any) -> Any:
    logits = namespace(value).log(value)
    return logits - logits.mean(-1)[..., None]


def _softmax(free: Any) -> Any:
    xp = namespace(free)
    raised = xp.exp(xp.clip(free - xp.amax(free, -1)[..., None], -2 * FURTHEST, None))
    return raised / raised.sum(-1)[..., None]


def _to_softplus(value: Any) -> Any:
    xp = namespace(value)
    slope = xp.clip(value, LEAST_SLOPE, None)
    return slope + xp.log(-xp.expm1(-slope))


def _softplus(free: Any) -> Any:
    xp = namespace(free)
    return xp.logaddexp(xp.zeros_like(free), free)


def _to_log_steps(value: Any) -> Any:
    xp = namespace(value)
    return xp.log(xp.concatenate((value[..., :1], value[..., 1:] - value[..., :-1]), -1))


def _from_log_steps(free: Any) -> Any:
    xp = namespace(free)
    return xp.cumsum(xp.exp(free), -1)


@dataclass(frozen=True)
class Domain:
    """The values that a kind of parameter takes, the sentence that says so, and the way to unbounded numbers."""

    rule: str
    holds: Callable[[Sequence[float]], bool]
    to_free: Callable[[Any], Any]
    from_free: Callable[[Any], Any]
    many: bool = False


def _positive(values: Sequence[float]) -> bool:
    return all(value > 0 for value in values)


DOMAINS: dict[Kind, Domain] = {
    "positive": Domain("must be a positive number", _positive, _log, _exp),
    "share": Domain("must lie between 0 and 1", lambda v: 0 < v[0] < 1, _logit, _sigmoid),
    "rate": Domain("must be at most 1 and above 0", lambda v: 0 < v[0] <= 1, _to_log_loss, _from_log_loss),
    "positives": Domain("must be a list of positive numbers", _positive, _log, _exp, many=True),
    "shares": Domain(
        "must be a list of positive numbers that sum to 1",
        lambda v: _positive(v) and abs(sum(v) - 1) < 1e-6,
        _to_logits,
        _softmax,
        many=True,
    ),
    "slopes": Domain(
        "must be a list of numbers that are not negative",
        lambda v: all(value >= 0 for value in v),
        _to_softplus,
        _softplus,
        many=True,
    ),
    "ages": Domain(
        "must be a list of positive ages in ascending order",
        lambda v: _positive(v) and all(a < b for a, b in pairwise(v)),
        _to_log_steps,
        _from_log_steps,
        many=True,
    ),
}


class Shape(NamedTuple):
    """What a family may have beside its scale: its name, and the least and the greatest value for which the parameters
    stay floats, and the curve has a half-life where its family has one."""

    name: str
    least: float
    most: float


@dataclass(frozen=True)
class Parameter:
    """One parameter of a family.

    Attributes:
        name: as in the configuration; one of a nested curve has its place before it (`of.half_life`).
        kind: its domain. `positive` (> 0), `share` (between 0 and 1), `rate` (above 0, at most 1), and lists of
            one length: `positives`, `shares` (positive, sum 1), `slopes` (≥ 0), `ages` (ascending, never learned).
        power: what it is multiplied by when the time axis is stretched by f: f^power. 1 for an age, −1 for a
            rate per unit of age, 0 for a shape.
    """

    name: str
    kind: Kind
    power: int = 0

    @property
    def learnable(self) -> bool:
        return self.kind != "ages"

    @property
    def many(self) -> bool:
        """Whether its value is a list: its last axis is then the list, and does not broadcast against ages."""
        return DOMAINS[self.kind].many

    def check(self, family: str, value: Any) -> Value:
        """The value as floats, from numbers, arrays or tensors of one value; ValueError where the rule is broken."""
        domain = DOMAINS[self.kind]
        try:
            found = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, dtype=np.float64)
        except (TypeError, ValueError):
            found = np.full(1, math.nan)
        numbers = [float(number) for number in found.reshape(-1)]
        shaped = found.ndim == 1 and len(numbers) > 0 if domain.many else found.size == 1
        if not (shaped and all(math.isfinite(number) for number in numbers) and domain.holds(numbers)):
            raise ValueError(f"`{family}.{self.name}` {domain.rule}, but got {value!r}.")
        return tuple(numbers) if domain.many else numbers[0]

    def to_free(self, value: Any) -> Any:
        """The value as unbounded numbers of the same shape: an array, or a tensor of a tensor."""
        return _through(DOMAINS[self.kind].to_free, value)

    def from_free(self, free: Any) -> Any:
        """The value that unbounded numbers stand for; gradients flow through it."""
        return _through(DOMAINS[self.kind].from_free, free)


def _through(way: Callable[[Any], Any], value: Any) -> Any:
    if namespace(value) is not np:
        return way(value)
    return np.asarray(way(np.asarray(value, dtype=np.float64)))  # numpy makes numbers of arrays without axes
