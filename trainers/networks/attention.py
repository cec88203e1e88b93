"""`transformer`: causal attention in which old events are forgotten."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from trainers.networks.habit import MINUTE, Habit, PiecewiseLinear
from trainers.networks.network import Tied
from trainers.networks.prediction import NEVER, Prediction
from trainers.networks.retention import Retention
from trainers.sequences import Batch


class Reading(NamedTuple):
    """How M askers stand to L events: ages on both clocks and whether they may read them, each [B, M, L]."""

    days: torch.Tensor
    later: torch.Tensor
    may: torch.Tensor


class Attention(nn.Module):
    """softmax(q·k / √d + log R(age) + P(log₂(1 + later moments))) over what each asker may read, per head.

    log R is the forgetting function of the term; P is a learned bias by position (Raffel et al. 2020 in spirit)."""

    def __init__(self, dim: int, heads: int, retention: Retention, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.ask = nn.Linear(dim, dim)
        self.read = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)
        self.retention = retention
        self.position = nn.ModuleList(PiecewiseLinear(0.0, 8.0, 9) for _ in range(heads))
        self.dropout = nn.Dropout(dropout)

    def forward(self, askers: torch.Tensor, events: torch.Tensor, reading: Reading) -> torch.Tensor:
        """askers [B, M, D], events [B, L, D]. Returns [B, M, D]; one who may read nothing hears the bias of the output
        alone."""
        days, later, may = reading
        B, M, D = askers.shape
        L = events.shape[1]
        q = self.ask(askers).view(B, M, self.heads, -1).transpose(1, 2)
        k, v = self.read(events).view(B, L, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        rank = torch.log2(1 + later)
        bias = torch.stack([position(rank) for position in self.position], 1)
        bias = bias + self.retention(days, later).transpose(0, 1)
        bias = bias.masked_fill(~may[:, None], NEVER)
        mixed = nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=bias, dropout_p=self.dropout.p if self.training else 0.0
        )
        mixed = mixed.transpose(1, 2).reshape(B, M, D) * may.any(2, keepdim=True)
        answer: torch.Tensor = self.out(mixed)
        return answer


class Block(nn.Module):
    """Attention and a feed-forward layer, each with a residual and a norm before it."""

    def __init__(self, dim: int, attention: Attention, dropout: float) -> None:
        super().__init__()
        self.attention = attention
        self.ask_norm, self.read_norm, self.norm = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.feed = nn.Sequential(
            nn.Linear(dim, 2 * dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * dim, dim)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, askers: torch.Tensor, events: torch.Tensor, reading: Reading) -> torch.Tensor:
        heard = self.attention(self.ask_norm(askers), self.read_norm(events), reading)
        askers = askers + self.dropout(heard)
        fed: torch.Tensor = askers + self.dropout(self.feed(self.norm(askers)))
        return fed


class Transformer(Tied):
    """Events read the events of earlier moments and themselves; moments read all events strictly before them.

    The last block is computed for the moments alone: nobody reads what it would say of events. A moment asks with the
    age of the user's last event.
    """

    def __init__(self, items: int, dim: int, blocks: list[Block], dropout: float, own: Habit | None) -> None:
        super().__init__(items, dim, dropout, own)
        self.moment = nn.Parameter(torch.zeros(dim))
        self.idle = nn.Sequential(nn.Linear(2, dim), nn.GELU(), nn.Linear(dim, dim))
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(dim)

    def forward(self, batch: Batch) -> Prediction:
        events = self.dropout(self.embedding(batch.items))
        at = torch.arange(events.shape[1], device=events.device)
        between = Reading(
            (batch.times[:, :, None] - batch.times[:, None, :]).clamp_min(0).float(),
            (batch.moments[:, :, None] - batch.moments[:, None, :] - 1).clamp_min(0).float(),
            (at < batch.begin[:, :, None]) | (at == at[:, None]),
        )
        for block in self.blocks[:-1]:
            events = block(events, events, between)
        felt = torch.stack((torch.log(batch.idle + MINUTE), torch.log1p(batch.read)), 2)
        askers = self.moment + self.idle(0.2 * felt)
        reading = Reading(batch.days, batch.later, batch.visible)
        return self.answer(self.norm(self.blocks[-1](askers, events, reading))[batch.valid], batch)
