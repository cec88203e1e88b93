"""`recurrent`: a bank of decaying states."""

from __future__ import annotations

import math

import torch
from torch import nn

from trainers.forgetting import FAMILIES, Forgetting
from trainers.networks.arithmetic import LOG2_E
from trainers.networks.fading import Fading
from trainers.networks.habit import MINUTE, Habit
from trainers.networks.network import Tied
from trainers.networks.prediction import Prediction
from trainers.sequences import Batch


class Decay(Fading):
    """The rates of K states on one clock: those of a curve that is a sum of exponentials. What never decays (a floor)
    does not learn to."""

    def __init__(self, curve: Forgetting, learned: bool) -> None:
        super().__init__()
        found = curve.exponentials()
        if found is None:
            raise ValueError(
                f"a state must decay exponentially, but `{curve.family}` is no sum of exponentials."
            )
        rates, weights = (torch.from_numpy(array).float() for array in found)
        self.still = int((rates == 0).sum())  # the first ones: a floor stands before what is above it
        self.clock = curve.clock
        self.learned = learned and self.still < len(rates)
        if self.learned:
            self.log_rate = nn.Parameter(rates[self.still :].log())
        else:
            self.register_buffer("fixed", rates)
        self.start = weights / weights.sum()

    def rates(self) -> torch.Tensor:
        """[K] per unit of the clock."""
        if not self.learned:
            return self.get_buffer("fixed")
        return nn.functional.pad(torch.exp(self.log_rate), (self.still, 0))

    def curves(self) -> list[Forgetting]:
        """The retention of each state, as it is now."""
        return [
            FAMILIES["exponential"](self.clock, half_life=math.log(2) / rate)
            if rate
            else FAMILIES["none"](self.clock)
            for rate in self.rates().detach().double().tolist()
        ]


class Bank(Tied):
    """States S_k(t) = Σ exp(−rate_k·age)·e(item) with their masses Σ exp(−rate_k·age), some by age in days, some by age
    in later moments. Each needs constant work for a new event; here all moments of a window are answered at once.

    interest = z + f(z), z = mix(gate_k·S_k / mass_k^½), the gates moved by log-masses, the number of events and, with
    `ages`, the age of the last one."""

    def __init__(
        self,
        items: int,
        dim: int,
        hidden: int,
        days: Decay | None,
        moments: Decay | None,
        dropout: float,
        own: Habit | None,
        ages: bool = True,
    ) -> None:
        super().__init__(items, dim, dropout, own)
        self.ages = ages
        self.days, self.moments = days, moments
        start = torch.cat([decay.start * len(decay.start) for decay in (days, moments) if decay is not None])
        self.gate = nn.Parameter(start)
        last = nn.Linear(hidden, len(start))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.felt = nn.Sequential(nn.Linear(len(start) + 1 + ages, hidden), nn.GELU(), last)
        self.mix = nn.Linear(len(start) * dim, dim)
        self.inner = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim)
        )

    def curves(self) -> dict[str, Forgetting]:
        """One for each state: what a bank makes of them together, its gates and what follows decide."""
        decays = [decay for decay in (self.days, self.moments) if decay is not None]
        states = [curve for decay in decays for curve in decay.curves()]
        return {f"state {number}" * (len(states) > 1): curve for number, curve in enumerate(states, 1)}

    def forward(self, batch: Batch) -> Prediction:
        emb_BLD = self.dropout(self.embedding(batch.items))
        B, M, L = batch.days.shape
        states, masses = [], []
        for decay, age_BML in ((self.days, batch.days), (self.moments, batch.later)):
            if decay is not None:
                rate_K11 = decay.rates()[:, None, None]
                kept_BKML = torch.exp2(
                    torch.addcmul(batch.hidden[:, None], age_BML[:, None], -LOG2_E * rate_K11)
                )
                state_BKMD = torch.bmm(kept_BKML.view(B, -1, L), emb_BLD).view(B, len(rate_K11), M, -1)
                states.append(batch.rows(state_BKMD.transpose(1, 2)))
                masses.append(batch.rows(kept_BKML.sum(3).transpose(1, 2)))
        mass_RK = torch.cat(masses, 1)
        felt = [torch.log(mass_RK + 1e-4), torch.log1p(batch.rows(batch.read))[:, None]]
        if self.ages:
            felt.insert(1, torch.log(batch.rows(batch.idle) + MINUTE)[:, None])
        gate_RK = (self.gate + self.felt(0.2 * torch.cat(felt, 1))) * (mass_RK + 1e-6).rsqrt()
        mixed = self.mix((torch.cat(states, 1) * gate_RK[:, :, None]).flatten(1))
        return self.answer(mixed + self.inner(mixed), batch)
