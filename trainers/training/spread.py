"""A network on one worker or on many: how gradients become one, and what of the network is kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from trainers.encoders.neural import Neural
from trainers.networks.network import Network
from trainers.sequences import Batch
from trainers.training.computing import ComputeSettings
from trainers.training.losses import Negatives, likelihood, loss
from trainers.training.optimise import LossSettings, OptimiseSettings
from trainers.training.workers import Workers

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Part:
    """A part of a step: some moments [R], each one's share of the step's loss, and the sampled items."""

    batch: Batch
    share_R: torch.Tensor
    negatives: Negatives | None


class Objective(nn.Module):
    """A network and its loss, [R] nats: in training the one that is minimised, otherwise the likelihood.

    Both together, so that what a wrapper does before and after lies around all that reads a parameter."""

    def __init__(self, network: Network, settings: LossSettings, precision: str = "fp32") -> None:
        super().__init__()
        self.network, self.settings, self.narrow = network, settings, precision == "bf16"

    def forward(self, batch: Batch, negatives: Negatives | None = None) -> torch.Tensor:
        if not self.training:  # models are judged, and answer, in full precision
            return likelihood(self.network(batch), batch)
        with torch.autocast(batch.items.device.type, torch.bfloat16, enabled=self.narrow):
            return loss(self.network(batch), batch, self.settings, negatives)


class Spread:
    """A network that this worker has to itself."""

    def __init__(
        self, encoder: Neural, settings: OptimiseSettings, compute: ComputeSettings, workers: Workers
    ) -> None:
        self.encoder, self.settings, self.compute, self.workers = encoder, settings, compute, workers
        self.network: Network = self.place().to(workers.device)
        self.objective = Objective(self.network, settings.loss, compute.precision)
        self.wrapped: nn.Module = self.wrap()
        self.optimiser = self.build()

    def place(self) -> Network:
        return self.encoder.module

    def wrap(self) -> nn.Module:
        return self.objective

    def build(self) -> torch.optim.Optimizer:
        return self.settings.build(self.network.parameters(), self.network.fading())

    def turn(self, settings: OptimiseSettings, dropout: float | None) -> None:
        """Go on by these settings, and this dropout where one is given."""
        self.settings = settings
        if dropout is not None:
            self.network.drop(dropout)

    # Steps

    def gradient(self, parts: Sequence[Part]) -> tuple[float, float]:
        """The gradient of a step over all its parts and workers, no longer than `clip`. Returns this worker's share of
        the loss, and how long the gradient was."""
        self.optimiser.zero_grad()
        value = 0.0
        for number, part in enumerate(parts, 1):
            with self.summed(number == len(parts)):
                value_R = self.wrapped(part.batch, part.negatives)
                weighted = (value_R * part.share_R.to(value_R)).sum()
                # Wrappers average gradients over workers; `size` turns that average into the step's sum.
                torch.autograd.backward(weighted * self.workers.size)
            value += float(weighted.detach())
        return value, self.clip()

    def summed(self, last: bool) -> AbstractContextManager[None]:
        """Around a part: gradients are added up over workers once, with the `last` one."""
        return nullcontext()

    def clip(self) -> float:
        return float(nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip))

    def move(self, rate: float) -> None:
        """One step of the optimiser along the gradient."""
        self.settings.steer(self.optimiser, rate)
        self.optimiser.step()

    # What is kept: on each worker the part that it has, as plain tensors on the CPU

    def copy(self) -> State:
        state = self.network.state_dict()
        return {name: self.mine(tensor).detach().cpu().clone() for name, tensor in state.items()}

    def put(self, state: State) -> None:
        for name, tensor in self.network.state_dict().items():
            self.mine(tensor).copy_(state[name])

    def follow(self, average: State, steps: int) -> None:
        """Move the running average towards where the parameters are after so many steps, nothing left in it of where
        they began (the correction of Adam, Kingma & Ba 2015)."""
        keep = self.settings.average
        share = (1 - keep) / (1 - keep**steps)
        for name, tensor in self.network.state_dict().items():
            average[name].lerp_(self.mine(tensor).to(average[name]), share)

    def mine(self, tensor: torch.Tensor) -> torch.Tensor:
        """What this worker has of a tensor."""
        return tensor

    # The same whole, as it is without any sharding; all workers take part

    def whole(self, state: State) -> State:
        return state

    def part(self, state: State) -> State:
        return state

    def optimiser_state(self) -> dict[str, Any]:
        """Whole on worker 0."""
        return self.optimiser.state_dict()

    def load_optimiser(self, state: dict[str, Any]) -> None:
        self.optimiser.load_state_dict(state)

    def finish(self, state: State) -> None:
        """The encoder's network is `state`, whole and on the CPU."""
        self.encoder.module.to("cpu").load_state_dict(self.whole(state))

    def judged(self) -> None:
        """After the network was asked without gradients."""


class Replicated(Spread):
    """Every worker has the whole network (DDP), and its share of the optimiser's state where that is dealt out."""

    wrapped: DistributedDataParallel

    def wrap(self) -> nn.Module:
        # Buffers are what was counted before training, the same for all.
        return DistributedDataParallel(
            self.objective, forward_sync_buffers=False, gradient_as_bucket_view=True
        )

    def build(self) -> torch.optim.Optimizer:
        dealt = self.compute.sharding == "optimiser"
        return self.settings.build(self.network.parameters(), self.network.fading(), over_workers=dealt)

    def summed(self, last: bool) -> AbstractContextManager[None]:
        return nullcontext() if last else self.wrapped.no_sync()

    def optimiser_state(self) -> dict[str, Any]:
        if self.compute.sharding == "optimiser":
            self.optimiser.consolidate_state_dict()  # type: ignore[attr-defined]
            if self.workers.rank:
                return {}
        return self.optimiser.state_dict()
