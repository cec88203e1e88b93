"""Terms as they are served: constant work for an event, and a score from what is kept."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from trainers.encoders import TermSettings
from trainers.encoders.base import Encoder, Scores
from trainers.encoders.linear import Linear
from trainers.encoders.own import Own
from trainers.encoders.recurrent import Recurrent
from trainers.encoders.trend import Trend
from trainers.forgetting.compiled import Compiled
from trainers.serving.memory import BankMemory, Memory, ProfileMemory

if TYPE_CHECKING:
    from trainers.networks.bank import Bank


class Served(ABC):
    """A term that needs constant work for an event: `memory` begins one user's, `score` reads it. Terms of one `key`
    share a memory."""

    key: Hashable

    @abstractmethod
    def memory(self) -> Memory:
        """That of a user without events."""

    @abstractmethod
    def score(self, memory: Any, at: float, moment: int) -> Scores:
        """[I] the raw score at `at`, of which `moment` is the number of the latest moment before it."""


class ServedTrend(Served):
    def __init__(self, encoder: Trend) -> None:
        self.key = None
        self.popularity = encoder.popularity

    def memory(self) -> Memory:
        return Memory()

    def score(self, memory: Memory, at: float, moment: int) -> Scores:
        scores: Scores = self.popularity
        return scores


class ServedOwn(Served):
    def __init__(self, encoder: Own | Linear) -> None:
        assert isinstance(encoder.forgetting, Compiled)
        self.curve, self.weighted, self.items = (
            encoder.forgetting,
            bool(encoder.settings.weights),
            encoder.items,
        )
        self.key = (self.curve, self.weighted)

    def memory(self) -> ProfileMemory:
        return ProfileMemory(self.curve, self.weighted)

    def score(self, memory: ProfileMemory, at: float, moment: int) -> Scores:
        columns, left = memory.read(at, moment)
        scores = np.zeros(self.items, np.float32)
        scores[columns] = left
        return scores


class ServedLinear(ServedOwn):
    def __init__(self, encoder: Linear) -> None:
        super().__init__(encoder)
        self.matrix = encoder.matrix

    def score(self, memory: ProfileMemory, at: float, moment: int) -> Scores:
        columns, left = memory.read(at, moment)
        scores: Scores = left @ self.matrix[columns]
        return scores


class ServedRecurrent(Served):
    """The bank's own states, which are exponentials already. It reads the whole history, the encoder the latest
    `max_history` events: they agree as long as no more came."""

    module: Bank

    def __init__(self, encoder: Recurrent) -> None:
        import torch

        from trainers.networks.bank import Bank

        if encoder.settings.own is not None:
            raise ValueError(
                f"`{encoder.settings.label}` adds learned retention of the user's own items (`own`), which is no sum "
                "of exponentials; train it without `own` beside a term of the kind `own`, or score its histories with "
                "`CompiledModel.model`."
            )
        assert isinstance(encoder.module, Bank)
        self.key = ("recurrent", encoder.settings.label)
        self.module = encoder.module.eval()
        with torch.no_grad():
            by_clock = [
                np.zeros(0) if decay is None else decay.rates().cpu().numpy().astype(np.float64)
                for decay in (self.module.days, self.module.moments)
            ]
            self.embedding = self.module.embedding.weight.detach().cpu().numpy()
        days, moments = by_clock
        self.day_rates = np.concatenate((days, 0 * moments))
        self.moment_rates = np.concatenate((0 * days, moments))

    def memory(self) -> BankMemory:
        return BankMemory(self.day_rates, self.moment_rates, self.embedding)

    def score(self, memory: BankMemory, at: float, moment: int) -> Scores:
        import torch

        from trainers.networks.habit import MINUTE

        module = self.module.eval()
        device = module.bias.device
        sums, masses, days = memory.read(at, moment)
        idle = [math.log(days + MINUTE)] if module.ages else []
        felt = np.concatenate((np.log(masses + 1e-4), idle, [math.log1p(memory.events)]))
        with torch.inference_mode():
            states_KD = torch.from_numpy(sums / np.sqrt(masses + 1e-6)[:, None]).float().to(device)
            gate_K = module.gate + module.felt(0.2 * torch.from_numpy(felt).float().to(device))
            mixed_D = module.mix((states_KD * gate_K[:, None]).flatten())
            interest_D = mixed_D + module.inner(mixed_D)
            logits_I = torch.addmv(module.bias, module.embedding.weight, interest_D)
            scores: Scores = logits_I.cpu().numpy()
        return scores


SERVED: dict[str, Callable[[Any], Served]] = {
    "trend": ServedTrend,
    "own": ServedOwn,
    "linear": ServedLinear,
    "recurrent": ServedRecurrent,
}
"""By kind, the terms that have a state of constant size."""


def serve(term: TermSettings, encoder: Encoder) -> Served:
    """How a fitted term is served; ValueError where it has no state of constant size."""
    if term.kind not in SERVED:
        raise ValueError(
            f"`{term.label}` of the kind `{term.kind}` reads its history anew every time and has no state to keep; "
            f"take one of ({', '.join(SERVED)}), or score its histories with `CompiledModel.model`."
        )
    return SERVED[term.kind](encoder)
