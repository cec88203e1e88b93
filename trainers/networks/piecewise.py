"""Learned functions of one number."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.autograd.function import once_differentiable


class Place(NamedTuple):
    """Where numbers stand between the knots of a function; several functions with the same knots share it.

    Attributes:
        below: int64, the knot at or below each number.
        share: how far it is on the way to the next one, between 0 and 1.
    """

    below: torch.Tensor
    share: torch.Tensor


class PiecewiseLinear(nn.Module):
    """A learned function of one number: linear between `knots` evenly spaced ones from `low` to `high`, constant
    beyond them; zero at first."""

    def __init__(self, low: float, high: float, knots: int, start: torch.Tensor | None = None) -> None:
        super().__init__()
        self.low, self.step, self.knots = low, (high - low) / (knots - 1), knots
        self.values = nn.Parameter(torch.zeros(knots) if start is None else start.clone())

    @property
    def at_knots(self) -> torch.Tensor:
        """[knots] where the knots are."""
        return self.low + self.step * torch.arange(self.knots, dtype=torch.float64)

    def place(self, x: torch.Tensor) -> Place:
        at = ((x - self.low) * (1 / self.step)).clamp(0, self.knots - 1)
        below = at.long().clamp_max(self.knots - 2)
        return Place(below, at - below)

    def at(self, place: Place) -> torch.Tensor:
        value: torch.Tensor = _Interpolate.apply(self.values, *place)  # type: ignore[no-untyped-call]  # torch's
        return value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.at(self.place(x))


class _Interpolate(torch.autograd.Function):
    """values[below] + share · (values[below + 1] − values[below]).

    Written out because the gradient of `values[below]` sorts or adds one number at a time: a count by knot is some
    thirty times as fast, and most of a network's time went there."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, below: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(values, below, share)
        low = values[:-1].index_select(0, below.reshape(-1)).view_as(share)
        return low.addcmul_(_rise(values, below), share)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, torch.Tensor | None]:
        values, below, share = ctx.saved_tensors
        (grad,) = grads
        flat, gaps = below.reshape(-1), len(values) - 1
        upper = grad * share
        found = torch.zeros_like(values)
        found[1:] = torch.bincount(flat, upper.reshape(-1), gaps)
        found[:-1] += torch.bincount(flat, (grad - upper).reshape(-1), gaps)
        return found, None, grad * _rise(values, below) if ctx.needs_input_grad[2] else None


def look_up(tables: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """[H, …] the entries of H tables [H, N] at the same rows […]."""
    found: torch.Tensor = _LookUp.apply(tables, rows)  # type: ignore[no-untyped-call]  # torch's
    return found


class _LookUp(torch.autograd.Function):
    """Written out for the reason of `_Interpolate`."""

    @staticmethod
    def forward(ctx: Any, tables: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(rows)
        ctx.size = tables.shape[1]
        return tables.index_select(1, rows.reshape(-1)).view(-1, *rows.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        (rows,), (grad,) = ctx.saved_tensors, grads
        flat = rows.reshape(-1)
        return torch.stack([torch.bincount(flat, table.reshape(-1), ctx.size) for table in grad]), None


def _rise(values: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
    return values.diff().index_select(0, below.reshape(-1)).view_as(below)
