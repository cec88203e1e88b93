"""`gru` and `lstm`: gated states that decay between moments."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from trainers.networks.habit import MINUTE, Habit
from trainers.networks.network import Tied
from trainers.networks.prediction import Prediction
from trainers.networks.retention import Retention
from trainers.sequences import Batch


class Gated(Tied):
    """A state h that takes in one moment after the other, and of which R(time since) is left at the next (GRU-D, Che et
    al. 2018; T-LSTM, Baytas et al. 2017): h(t) = R(t − t')·cell(h(t'), mean of e(item) over the moment's events).

    The events of one moment enter together, so that none of them sees another. With `ages`, a moment's cell and its
    answer also read the time since the moment before."""

    def __init__(
        self,
        items: int,
        dim: int,
        cell: Literal["gru", "lstm"],
        retention: Retention,
        dropout: float,
        own: Habit | None,
        ages: bool = True,
    ) -> None:
        super().__init__(items, dim, dropout, own)
        self.ages = ages
        self.cell: nn.GRUCell | nn.LSTMCell = (nn.GRUCell if cell == "gru" else nn.LSTMCell)(dim + ages, dim)
        self.retention = retention
        self.out = nn.Sequential(nn.Linear(dim + ages, dim), nn.GELU(), nn.Linear(dim, dim))
        self.dim = dim

    def forward(self, batch: Batch) -> Prediction:
        opens = (batch.begin == torch.arange(batch.items.shape[1], device=batch.items.device)) & batch.real
        step_BL = (torch.cumsum(opens, 1) - 1).clamp_min(0)
        steps = int(step_BL.max()) + 1
        states_BSD = self._states(batch, step_BL, steps)
        # A moment reads the state after its latest event, what is left of it.
        seen_BM = torch.where(batch.seen > 0, step_BL.gather(1, batch.last) + 1, 0)
        since_BM = batch.idle
        passed_BM = (batch.number - batch.moments.gather(1, batch.last)).clamp_min(0).float()
        kept_BM = torch.exp(self.retention(since_BM[:, :, None], passed_BM[:, :, None])[0, :, :, 0])
        state_BMD = states_BSD.gather(1, seen_BM[:, :, None].expand(-1, -1, self.dim)) * kept_BM[:, :, None]
        return self.answer(self.out(batch.rows(self._felt(state_BMD, since_BM))), batch)

    def _felt(self, told: torch.Tensor, since: torch.Tensor) -> torch.Tensor:
        """[B, X, D] with the days since the moment before, [B, X], where the network reads ages."""
        return torch.cat((told, 0.2 * torch.log(since + MINUTE)[:, :, None]), 2) if self.ages else told

    def _states(self, batch: Batch, step_BL: torch.Tensor, steps: int) -> torch.Tensor:
        """[B, S + 1, D] the state before the first moment of a window and after each of them."""
        B = len(batch.items)
        emb_BLD = self.dropout(self.embedding(batch.items)) * batch.real[:, :, None]
        sum_BSD = emb_BLD.new_zeros(B, steps, self.dim).scatter_add(
            1, step_BL[:, :, None].expand_as(emb_BLD), emb_BLD
        )
        count_BS = emb_BLD.new_zeros(B, steps).scatter_add(1, step_BL, batch.real.to(emb_BLD.dtype))
        mean_BSD = sum_BSD / count_BS.clamp_min(1)[:, :, None]
        # Counted from the window's first event, since nothing may be below the zeros that fill.
        times_BL = (batch.times - batch.times[:, :1]) * batch.real
        times_BS = times_BL.new_zeros(B, steps).scatter_reduce(1, step_BL, times_BL, "amax")
        since_BS = torch.diff(times_BS, dim=1, prepend=times_BS[:, :1]).clamp_min(0).float()
        moments_BL = (batch.moments - batch.moments[:, :1]) * batch.real
        moments_BS = moments_BL.new_zeros(B, steps).scatter_reduce(1, step_BL, moments_BL, "amax")
        passed_BS = torch.diff(moments_BS, dim=1, prepend=moments_BS[:, :1]).clamp_min(0).float()
        kept_BS = torch.exp(self.retention(since_BS[:, :, None], passed_BS[:, :, None])[0, :, :, 0])
        inputs_BSE = self._felt(mean_BSD, since_BS)
        hidden = emb_BLD.new_zeros(B, self.dim)
        memory, states = hidden, [hidden]
        for s in range(steps):
            left = kept_BS[:, s : s + 1]
            if isinstance(self.cell, nn.LSTMCell):
                hidden, memory = self.cell(inputs_BSE[:, s], (hidden * left, memory * left))
            else:
                hidden = self.cell(inputs_BSE[:, s], hidden * left)
            states.append(hidden)
        return torch.stack(states, 1)
