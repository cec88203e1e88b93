"""How a neural term is optimised; pretraining and fine-tuning each have such settings of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from trainers.forgetting import ForgettingSettings

if TYPE_CHECKING:
    import torch


class OptimiseSettings(BaseModel):
    """Optimiser, rate, and when to stop.

    Attributes:
        optimiser: `adamw` (Loshchilov & Hutter 2019) or `sgd` (with momentum 0.9).
        rate: the learning rate.
        weight_decay: decoupled for `adamw`, in the gradient for `sgd`.
        batch: training moments a step, over all workers together.
        epochs: the most passes over the training moments.
        patience: stop after so many epochs without a better likelihood on validation.
        forgetting: each training moment is weighted in the loss by the retention of its age at the cut.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    optimiser: Literal["adamw", "sgd"] = "adamw"
    rate: float = Field(0.001, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    batch: int = Field(256, ge=1)
    epochs: int = Field(20, ge=1)
    patience: int = Field(3, ge=1)
    forgetting: ForgettingSettings = ForgettingSettings()

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        import torch  # here, so that reading a configuration does not wait for it

        if self.optimiser == "adamw":
            return torch.optim.AdamW(parameters, lr=self.rate, weight_decay=self.weight_decay)
        return torch.optim.SGD(parameters, lr=self.rate, weight_decay=self.weight_decay, momentum=0.9)
