"""What the networks share."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import nn

from trainers.forgetting import Forgetting
from trainers.networks.dropout import Dropout
from trainers.networks.fading import Fading
from trainers.networks.habit import Habit
from trainers.networks.prediction import Cells, Prediction
from trainers.networks.retention import Retention
from trainers.sequences import Batch


class Network(nn.Module):
    """What every network shares: a bias for each item, and learned retention of the user's own items where asked."""

    by_item: ClassVar[tuple[str, ...]] = ("bias", "own.log_interval")
    """The parameters and buffers with a row for each item of the catalogue, where they are there."""

    def __init__(self, items: int, own: Habit | None) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(items))
        self.own = own
        self.stretch: torch.Tensor | None
        self.register_buffer("stretch", None)

    def set_stretch(self, factors: torch.Tensor) -> None:
        """How many times longer than the curve's the ages of each group's events are, [G]; 1 for other groups."""
        self.stretch = torch.cat((factors.float(), torch.ones(1))).to(self.bias.device)

    def longer(self, batch: Batch) -> torch.Tensor | None:
        """[B, L] how many times longer each event's ages are; None where all are alike."""
        if self.stretch is None:
            return None
        return self.stretch[torch.where(batch.group < len(self.stretch) - 1, batch.group, -1)]

    @abstractmethod
    def forward(self, batch: Batch) -> Prediction:
        """Answer every moment of the batch."""

    def habits(self, batch: Batch) -> Cells | None:
        return None if self.own is None else self.own(batch)

    def fading(self) -> list[nn.Parameter]:
        """The parameters of forgetting functions, those of the user's own items among them."""
        inside = [module for module in self.modules() if isinstance(module, Fading)]
        return [parameter for module in inside for parameter in module.parameters()]

    def drop(self, share: float) -> None:
        """From now on leave out so large a share of the units in training."""
        for module in self.modules():
            if isinstance(module, Dropout):
                module.leave_out(share)

    def curves(self) -> dict[str, Forgetting]:
        """The forgetting functions inside, as they are now, by place (`block 1, head 2`); one alone has no place."""
        inside = [module.curves() for module in self.modules() if isinstance(module, Retention)]
        return {
            ", ".join([f"block {block}"] * (len(inside) > 1) + [f"head {head}"] * (len(curves) > 1)): curve
            for block, curves in enumerate(inside, 1)
            for head, curve in enumerate(curves, 1)
        }


class Tied(Network):
    """A network whose logits are products with the embeddings that it reads."""

    by_item = (*Network.by_item, "embedding.weight")

    def __init__(self, items: int, dim: int, dropout: float, own: Habit | None) -> None:
        super().__init__(items, own)
        self.embedding = nn.Embedding(items, dim)
        nn.init.normal_(self.embedding.weight, std=dim**-0.5)
        self.dropout = Dropout(dropout)

    def answer(self, interest_RD: torch.Tensor, batch: Batch) -> Prediction:
        return Prediction(self.dropout(interest_RD), self.embedding.weight, self.bias, self.habits(batch))
