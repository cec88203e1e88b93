"""`transformer`: causal attention in which old events are forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from trainers.networks.dropout import Dropout
from trainers.networks.habit import MINUTE, Habit
from trainers.networks.network import Tied
from trainers.networks.piecewise import PiecewiseLinear, look_up
from trainers.networks.prediction import Prediction
from trainers.networks.retention import Retention
from trainers.sequences import Batch, unless

FAR = 8.0  # log₂ of one more than the later moments beyond which a bias by position stays the same
FARTHEST = round(2**FAR) - 1


@dataclass(frozen=True)
class Reading:
    """How M askers stand to L events.

    Attributes:
        days, later: float32 [B, M, L] the events' ages on both clocks.
        may: bool [B, M, L] whether the asker may read the event.
        longer: float32 [B, L] how many times longer than the curve's the events' ages are, or None.
    """

    days: torch.Tensor
    later: torch.Tensor
    may: torch.Tensor
    longer: torch.Tensor | None = None

    # What all heads of all blocks read is found once.

    @cached_property
    def hidden(self) -> torch.Tensor:
        """float32 [B, M, L] 0 where an asker may read an event, `NEVER` elsewhere."""
        return unless(self.may)

    @cached_property
    def hears(self) -> torch.Tensor:
        """float32 [B, M, 1] 1 where an asker may read anything, 0 elsewhere."""
        return self.may.any(2, keepdim=True).float()

    @cached_property
    def position(self) -> torch.Tensor:
        """int64 [B, M, L] the events' ages in later moments, as rows of a table of biases."""
        return self.later.long().clamp_max(FARTHEST)


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
        q = (self.ask(askers) * (D // self.heads) ** -0.5).view(B, M, self.heads, -1).permute(2, 0, 1, 3)
        k, v = self.read(events).view(B, L, 2, self.heads, -1).permute(2, 3, 0, 1, 4).flatten(1, 2)
        logits = torch.baddbmm(self._bias(reading).flatten(0, 1), q.flatten(0, 1), k.transpose(1, 2))
        mixed = torch.bmm(torch.softmax(logits, 2), v).view(self.heads, B, M, -1)
        mixed = mixed.permute(1, 2, 0, 3).reshape(B, M, D) * reading.hears
        answer: torch.Tensor = self.out(mixed)
        return answer

    def _bias(self, reading: Reading) -> torch.Tensor:
        """[heads, B, M, L] what stands beside q·k."""
        bias = reading.hidden[None]
        if self.retention.forgets:
            bias = bias + self.retention(reading.days, reading.later, reading.longer)
        if self.position is not None:
            steps = torch.log2(1 + torch.arange(FARTHEST + 1, device=bias.device, dtype=bias.dtype))
            bias = bias + look_up(torch.stack([head(steps) for head in self.position]), reading.position)
        return bias.expand(self.heads, *bias.shape[1:])


class Block(nn.Module):
    """Attention and a feed-forward layer, each with a residual and a norm before it."""

    def __init__(self, dim: int, attention: Attention, dropout: float) -> None:
        super().__init__()
        self.attention = attention
        self.ask_norm, self.read_norm, self.norm = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.feed = nn.Sequential(
            nn.Linear(dim, 2 * dim), nn.GELU(), Dropout(dropout), nn.Linear(2 * dim, dim)
        )
        self.dropout = Dropout(dropout)

    def forward(self, askers: torch.Tensor, events: torch.Tensor, reading: Reading) -> torch.Tensor:
        heard = self.attention(self.ask_norm(askers), self.read_norm(events), reading)
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

    def forward(self, batch: Batch) -> Prediction:
        events = self.dropout(self.embedding(batch.items))
        at = torch.arange(events.shape[1], device=events.device)
        between = Reading(
            (batch.times[:, :, None] - batch.times[:, None, :]).clamp_min(0).float(),
            (batch.moments[:, :, None] - batch.moments[:, None, :] - 1).clamp_min(0).float(),
            (at < batch.begin[:, :, None]) | (at == at[:, None]),
            self.longer(batch),
        )
        for block in self.blocks[:-1]:
            events = block(events, events, between)
        felt = [torch.log1p(batch.read)]
        if self.ages:
            felt.insert(0, torch.log(batch.idle + MINUTE))
        askers = self.moment + self.felt(0.2 * torch.stack(felt, 2))
        reading = Reading(batch.days, batch.later, batch.visible, between.longer)
        return self.answer(batch.rows(self.norm(self.blocks[-1](askers, events, reading))), batch)
