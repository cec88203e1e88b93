"""How a fit computes: precision, how it is spread over workers, and how often it keeps what it has."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from trainers.training.optimise import OptimiseSettings


class CheckpointSettings(BaseModel):
    """`{epochs: 1, minutes: 10, keep: 2}`: when a training keeps all that it takes to go on with it.

    Attributes:
        epochs: after so many epochs.
        minutes: and so long after the last one, in the middle of an epoch.
        keep: so many of the latest ones stay; should the last be broken, the one before it serves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(1, ge=1)
    minutes: float = Field(10.0, gt=0)
    keep: int = Field(2, ge=1)


class ComputeSettings(BaseModel):
    """What a fit is computed with. None of it is part of what the fit is: another shape goes on where one was stopped.

    Attributes:
        precision: `fp32`, or `bf16` for matrix products in training, parameters and sums staying in fp32.
        accumulate: each worker computes its share of a batch in so many parts, one after the other: the same step in
            less memory.
        sharding: what is dealt out among workers: `none` (each has all: DDP), `optimiser` (its state: ZeRO stage 1,
            Rajbhandari et al. 2020), or `model` (parameters, gradients and the optimiser's state: FSDP2).
        ahead: so many batches are read and packed by a thread while the one before them trains.
        timeout: seconds without an answer after which a worker counts as hung, and the crew starts again from the last
            checkpoint (`max_failures` times).
        checkpoint: when a training keeps where it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: Literal["fp32", "bf16"] = "fp32"
    accumulate: int = Field(1, ge=1)
    sharding: Literal["none", "optimiser", "model"] = "none"
    ahead: int = Field(2, ge=0)
    timeout: int = Field(1800, ge=1)
    checkpoint: CheckpointSettings = CheckpointSettings()

    def check(self, label: str, settings: OptimiseSettings) -> None:
        """Raise ValueError where a term cannot be trained so."""
        if settings.loss.sparse and self.sharding != "none":
            raise ValueError(
                f"`loss.sparse` of `{label}` needs `train.sharding: none`, since rows have an optimiser of their own, "
                f"but got {self.sharding!r}."
            )


PLAIN = ComputeSettings()
"""What is taken where nothing is said."""
