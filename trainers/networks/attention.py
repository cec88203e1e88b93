"""`transformer`: causal attention in which old events are forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from trainers.networks.arithmetic import LN_2, LOG2_E
from trainers.networks.dropout import Dropout
from trainers.networks.habit import MINUTE, Habit
from trainers.networks.network import Tied
from trainers.networks.piecewise import PiecewiseLinear, look_up
from trainers.networks.prediction import Prediction
from trainers.networks.retention import Retention
from trainers.sequences import NEVER, Batch, unless

FAR = 8.0  # log₂ of one more than the later moments beyond which a bias by position stays the same
FARTHEST = round(2**FAR) - 1
UNREAD = FARTHEST + 1


@dataclass(frozen=True)
class Reading:
    """How M askers stand to L events; what all heads of all blocks read is found once.

    Attributes:
        later: int32 [B, M, L] the events' ages in later moments.
        may: bool [B, M, L] whether the asker may read the event.
        days: float32 [B, M, L] the events' ages in days, or None where nothing reads them.
        longer: float32 [B, L] how many times longer than the curve's the events' ages are, or None.
        hears: float32 [B, M, 1] 1 where an asker may read anything, 0 elsewhere; None where all may.
    """

    later: torch.Tensor
    may: torch.Tensor
    days: torch.Tensor | None = None
    longer: torch.Tensor | None = None
    hears: torch.Tensor | None = None

    @cached_property
    def hidden(self) -> torch.Tensor:
        """float32 [B, M, L] 0 where an asker may read an event, `NEVER` elsewhere."""
        return unless(self.may)

    @cached_property
    def position(self) -> torch.Tensor:
        """int32 [B, M, L] the events' ages in later moments, as rows of a table of biases; `UNREAD` where an asker may
        not read an event."""
        return self.later.clamp_max(FARTHEST).masked_fill_(~self.may, UNREAD)


def moments_since(number: torch.Tensor, moments: torch.Tensor) -> torch.Tensor:
    """int32 [B, M, L] how many moments of the user's came after those of events [B, L], up to number [B, M]."""
    return (number.int()[:, :, None] - moments.int()[:, None, :]).clamp_min_(0)


class Attention(nn.Module):
    """softmax(q·k / √d + log R(age) + P(log₂(1 + later moments))) over what each asker may read, per head.

    log R is the forgetting function of the term: since a softmax shares its weight, what counts is how much is left of
    an event beside the others. P is a learned bias by position (Raffel et al. 2020 in spirit), which is left out
    without `ages`."""

    def __init__(self, dim: int, heads: int, retention: Retention, ages: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.ask = nn.Linear(dim, dim)
        self.read = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)
        self.retention = retention
        self.position = nn.ModuleList(PiecewiseLinear(0.0, FAR, 9) for _ in range(heads)) if ages else None

    def forward(self, askers: torch.Tensor, events: torch.Tensor, reading: Reading) -> torch.Tensor:
        """askers [B, M, D], events [B, L, D]. Returns [B, M, D]; one who may read nothing hears the bias of the output
        alone."""
        B, M, D = askers.shape
        L = events.shape[1]
        q = (self.ask(askers) * (LOG2_E * (D // self.heads) ** -0.5)).view(B, M, self.heads, -1)
        k, v = self.read(events).view(B, L, 2, self.heads, -1).permute(2, 3, 0, 1, 4).flatten(1, 2)
        mixed = mix(q.permute(2, 0, 1, 3).flatten(0, 1), k, v, self._bias(reading).flatten(0, 1))
        mixed = mixed.view(self.heads, B, M, -1)
        mixed = mixed.permute(1, 2, 0, 3).reshape(B, M, D)
        answer: torch.Tensor = self.out(mixed if reading.hears is None else mixed * reading.hears)
        return answer

    def _bias(self, reading: Reading) -> torch.Tensor:
        """[heads, B, M, L] what stands beside q·k, in bits."""
        if self.position is None:
            bias = reading.hidden[None]
        else:
            steps = torch.log2(1 + torch.arange(FARTHEST + 1, device=reading.may.device))
            tables = torch.stack([head(steps) for head in self.position]) * LOG2_E
            bias = look_up(nn.functional.pad(tables, (0, 1), value=NEVER), reading.position)
        if self.retention.forgets:
            assert reading.days is not None
            bias = bias + self.retention(reading.days, reading.later, reading.longer) * LOG2_E
        return bias.expand(self.heads, *bias.shape[1:])


def mix(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Σ v · 2^(q·k + bias), over the sum of these powers, [N, M, D].

    Args:
        q: [N, M, D], so scaled that q·k is in bits.
        k, v: [N, L, D].
        bias: [N, M, L] bits."""
    mixed: torch.Tensor = _Mix.apply(q, k, v, bias)  # type: ignore[no-untyped-call]  # torch's
    return mixed


class _Mix(torch.autograd.Function):
    """Written out because on a CPU `exp2` takes a fifth of the time of `softmax`, the sum divides the small side, and
    one array of askers × events is kept and passed over where autograd would take three."""

    @staticmethod
    def forward(
        ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        # What is summed up is never narrow.
        weights = torch.baddbmm(bias.to(q), q, k.transpose(1, 2)).to(bias)
        weights.sub_(weights.amax(2, keepdim=True)).exp2_()
        total = weights.sum(2, keepdim=True)
        mixed = torch.bmm(weights.to(v), v).to(bias) / total
        ctx.save_for_backward(q, k, v, weights, total, mixed)
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, ...]:
        q, k, v, weights, total, mixed = ctx.saved_tensors
        share = grads[0] / total
        less = (share * mixed).sum(2, keepdim=True).mul_(-LN_2)
        slope = torch.baddbmm(less.expand_as(weights).to(v), (share * LN_2).to(v), v.transpose(1, 2))
        slope = slope.to(weights).mul_(weights)
        thin = slope.to(q)
        to_v = torch.bmm(weights.to(v).transpose(1, 2), share.to(v))
        return torch.bmm(thin, k), torch.bmm(thin.transpose(1, 2), q), to_v, slope


class Block(nn.Module):
    """Attention and a feed-forward layer (as in SASRec), each with a residual and a norm before it."""

    def __init__(self, dim: int, attention: Attention, dropout: float) -> None:
        super().__init__()
        self.attention = attention
        # A gain and a shift of what attention reads would be those of its own products once more.
        self.attention_norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.norm = nn.LayerNorm(dim)
        self.feed = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), Dropout(dropout), nn.Linear(dim, dim))
        self.dropout = Dropout(dropout)

    def forward(self, askers: torch.Tensor, events: torch.Tensor, reading: Reading) -> torch.Tensor:
        read = self.attention_norm(events)
        asked = read if askers is events else self.attention_norm(askers)
        heard = self.attention(asked, read, reading)
        askers = askers + self.dropout(heard)
        fed: torch.Tensor = askers + self.dropout(self.feed(self.norm(askers)))
        return fed


class Transformer(Tied):
    """Events read the events of earlier moments and themselves; moments read all events strictly before them.

    The last block is computed for the moments alone: nobody reads what it would say of events. A moment asks with the
    number of events that it reads and, with `ages`, the age of the last one.
    """

    def __init__(
        self, items: int, dim: int, blocks: list[Block], dropout: float, own: Habit | None, ages: bool = True
    ) -> None:
        super().__init__(items, dim, dropout, own)
        self.ages = ages
        self.moment = nn.Parameter(torch.zeros(dim))
        self.felt = nn.Sequential(nn.Linear(1 + ages, dim), nn.GELU(), nn.Linear(dim, dim))
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(dim)
        self.forgets = any(block.attention.retention.forgets for block in blocks)

    def forward(self, batch: Batch) -> Prediction:
        events = self.dropout(self.embedding(batch.items))
        at = torch.arange(events.shape[1], device=events.device)
        longer = self.longer(batch)
        between = Reading(
            moments_since(batch.moments, batch.moments + 1),
            (at < batch.begin[:, :, None]) | (at == at[:, None]),
            (batch.times[:, :, None] - batch.times[:, None, :]).clamp_min(0).float()
            if self.forgets
            else None,
            longer,
        )
        for block in self.blocks[:-1]:
            events = block(events, events, between)
        felt = [torch.log1p(batch.read)]
        if self.ages:
            felt.insert(0, torch.log(batch.idle + MINUTE))
        askers = self.moment + self.felt(0.2 * torch.stack(felt, 2))
        reading = Reading(
            moments_since(batch.number, batch.moments),
            batch.visible,
            batch.days if self.forgets else None,
            longer,
            (batch.read > 0).float()[:, :, None],
        )
        return self.answer(batch.rows(self.norm(self.blocks[-1](askers, events, reading))), batch)
