"""Learned retention of a user's own items, for the logits of a neural term."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import nn

from trainers.factors import Factor
from trainers.networks.arithmetic import exp
from trainers.networks.fading import Fading
from trainers.networks.piecewise import PiecewiseLinear
from trainers.networks.prediction import Cells
from trainers.sequences import Batch

MINUTE = 1 / 1440


class Habit(Fading):
    """`own` with learned retention: an item that the user had at ages a₁, a₂, … gets

        gain · log1p(Σ exp(base + T(log a) + P(log₂ rank) + U(hours apart, weekend) + G(log a − log interval)))

    on its logit. T, P, U and G are learned piecewise-linear functions, each of which can be left out; rank is one more
    than the number of later moments. U matches the time of day and the kind of day (working day or weekend, UTC); G is
    the renewal of interest around the item's own interval, the typical time between two events of one user with it.
    """

    def __init__(self, items: int, *, age: bool, rank: bool, calendar: bool, renewal: bool) -> None:
        super().__init__()
        low, high, knots = math.log(MINUTE), math.log(1500.0), 18
        # It begins as the power curve (1 + age / 7 days)^−½.
        start = -0.5 * nn.functional.softplus(torch.linspace(low, high, knots) - math.log(7))
        self.age = PiecewiseLinear(low, high, knots, start) if age else None
        self.rank = PiecewiseLinear(0.0, 10.0, 11) if rank else None
        self.hours = nn.ModuleList(PiecewiseLinear(0.0, 12.0, 7) for _ in range(2)) if calendar else None
        self.renewal = PiecewiseLinear(-4.0, 4.0, 17) if renewal else None
        self.gain = nn.Parameter(torch.tensor(1.0))
        self.base = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("log_interval", torch.zeros(items))
        self.log_interval: torch.Tensor

    def factors(self) -> list[Factor]:
        """The learned functions, each as a factor beside its highest value; an hour's match counts beside that of both
        kinds of day."""
        told = []
        if self.age is not None:
            told.append(_factor("age", "days", self.age.at_knots.exp(), self.age))
        if self.rank is not None:
            told.append(_factor("later moments", "moments", self.rank.at_knots.exp2() - 1, self.rank))
        if self.renewal is not None:
            told.append(_factor("interval", "intervals", self.renewal.at_knots.exp(), self.renewal))
        if self.hours is not None:
            same, other = (cast(PiecewiseLinear, line) for line in self.hours)
            highest = max(same.values.max().item(), other.values.max().item())
            told += [
                _factor("hours apart, same kind of day", "hours", same.at_knots, same, highest),
                _factor("hours apart, other kind of day", "hours", other.at_knots, other, highest),
            ]
        return told

    def log_weights(self, batch: Batch) -> torch.Tensor:
        """[B, M, L] the logarithm of what is left of each event."""
        days_BML = batch.days
        log_age = days_BML.clamp_min(MINUTE / 60).log()
        kept = self.base.expand(days_BML.shape)
        if self.age is not None:
            kept = kept + self.age(log_age)
        if self.rank is not None:
            kept = kept + self.rank(torch.log2(1 + batch.later))
        if self.renewal is not None:
            kept = kept + self.renewal(log_age - self.log_interval[batch.items][:, None, :])
        if self.hours is not None:
            apart = torch.remainder(days_BML, 1.0) * 24
            apart = torch.minimum(apart, 24 - apart)
            alike = weekend(batch.asked)[:, :, None] == weekend(batch.times)[:, None, :]
            kept = kept + torch.where(alike, self.hours[0](apart), self.hours[1](apart))
        return kept

    def left(self, batch: Batch) -> torch.Tensor:
        """[B, M, L] what is left of each event; 0 where the moment does not read it."""
        return exp(self.log_weights(batch).clamp_max(20.0) + batch.hidden)

    def forward(self, batch: Batch) -> Cells:
        visible = batch.visible
        left = self.left(batch)
        total = torch.zeros_like(left).scatter_add(2, batch.opens[:, None, :].expand_as(left), left)
        # Each item counts once, where the moment sees it last.
        latest = visible & (batch.again[:, None, :] >= batch.seen[:, :, None]) & batch.valid[:, :, None]
        window, slot, event = latest.nonzero(as_tuple=True)
        row = torch.cumsum(batch.valid.flatten(), 0).reshape(batch.valid.shape) - 1
        return Cells(
            row[window, slot],
            batch.items[window, event],
            self.gain * torch.log1p(total[window, slot, batch.opens[window, event]]),
        )


def _factor(
    name: str, unit: str, at: torch.Tensor, line: PiecewiseLinear, highest: float | None = None
) -> Factor:
    values = line.values.detach().double()
    top = float(values.max()) if highest is None else highest
    return Factor(name, unit, at.numpy(), (values - top).exp().numpy())


def weekend(days: torch.Tensor) -> torch.Tensor:
    """Whether a time (days since 1970-01-01, a Thursday) falls on a Saturday or Sunday."""
    return torch.remainder(torch.floor(days) + 3, 7) >= 5
