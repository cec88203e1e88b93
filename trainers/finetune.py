"""Fine-tuning: the pretrained neural terms go on from where they are, on the recent window."""

from __future__ import annotations

from pydantic import Field

from trainers.encoders import NeuralSettings
from trainers.model import ModelSettings
from trainers.optimise import OptimiseSettings


class FinetuneSettings(OptimiseSettings):
    """`{window_days: 60, optimiser: adamw, rate: 0.0003, epochs: 5, forgetting: {family: exponential, half_life: 25}}`.

    Attributes:
        window_days: only training moments so many days before the cut are trained on.
        forgetting: each of them weighs in the loss what is left of it at the cut.
    """

    window_days: float = Field(60.0, gt=0)
    rate: float = Field(0.0003, gt=0)
    epochs: int = Field(5, ge=1)


def neural_terms(model: ModelSettings) -> list[NeuralSettings]:
    """The terms that fine-tuning can move; closed forms are solved, not moved."""
    return [term for term in model.terms if isinstance(term, NeuralSettings)]
