"""Fine-tuning: pretrained terms go on from where they are, on the recent window."""

from __future__ import annotations

from pydantic import Field

from trainers.encoders import NeuralSettings, TermSettings
from trainers.model import ModelSettings
from trainers.training.optimise import OptimiseSettings


class FinetuneSettings(OptimiseSettings):
    """`{window_days: 60, optimiser: adamw, rate: 0.0003, epochs: 5, forgetting: {family: exponential, half_life: 25}}`.

    Attributes:
        window_days: only training moments so many days before the cut are trained on.
        passes: a closed form counts the window's events so many times more beside all that it was pretrained on (its
            sums go on, as gradients do); 0 leaves closed forms as they are.
        forgetting: each moment weighs in the loss of a neural term what is left of it at the cut.
    """

    window_days: float = Field(60.0, gt=0)
    passes: float = Field(0.0, ge=0, allow_inf_nan=False)
    rate: float = Field(0.0003, gt=0)
    epochs: int = Field(5, ge=1)

    def moves(self, term: TermSettings) -> bool:
        """Whether fine-tuning takes a term further. `own` keeps no sums but its curve."""
        return isinstance(term, NeuralSettings) or (self.passes > 0 and term.kind != "own")


def neural_terms(model: ModelSettings) -> list[NeuralSettings]:
    """The terms that are trained by gradient."""
    return [term for term in model.terms if isinstance(term, NeuralSettings)]
