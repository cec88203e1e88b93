"""`mlp`: the two-layer recommendation function f(x; θ) = W·σ(A·x + b) of a decayed interest x."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from trainers.encoders.base import Array, Encoder, EncoderSettings, Scores
from trainers.histories import Histories
from trainers.optimise import OptimiseSettings

if TYPE_CHECKING:
    import torch

BLOCK_QUERIES = 512  # queries scored at once


class MlpSettings(EncoderSettings):
    """`{kind: mlp, dim: 64, hidden: 256, forgetting: {…}, training: {epochs: 20, rate: 0.003}}`.

    Attributes:
        scale: `standard` unless said otherwise: logits are known up to a shift only.
        dim: the size of an item's embedding e(item), and so of the interest x.
        hidden: the size of the hidden layer.
        dropout: the share of hidden units left out in training.
        normalise: x is divided by (Σ R·w)^normalise: 0 is the plain sum, 1 the mean.
        max_history: only a history's latest events are read, so many of them.
        training: how it is pretrained.
    """

    kind: Literal["mlp"] = "mlp"
    scale: Literal["raw", "standard"] = "standard"
    dim: int = Field(64, ge=1)
    hidden: int = Field(256, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    normalise: float = Field(0.5, ge=0, le=1)
    max_history: int = Field(200, ge=1)
    training: OptimiseSettings = OptimiseSettings()


class Mlp(Encoder):
    """The recommendation function with its parameters; `trainers.loop` trains them by likelihood."""

    kind = "mlp"

    def __init__(self, settings: MlpSettings, items: int) -> None:
        from trainers.encoders.recommendation import RecommendationFunction  # torch takes seconds to import

        super().__init__(settings, items)
        self.module = RecommendationFunction(
            items, settings.dim, settings.hidden, settings.dropout, settings.normalise
        )

    def inputs(self, histories: Histories) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The columns, offsets and retained weights that the module takes."""
        import torch

        keep = _latest(histories, self.settings.max_history)
        kept = histories.retained(self.forgetting, self.settings.weights)[keep]
        lengths = np.minimum(np.diff(histories.offsets), self.settings.max_history)
        return (
            torch.from_numpy(histories.columns[keep].astype(np.int64)),
            torch.from_numpy(np.concatenate(([0], np.cumsum(lengths)))),
            torch.from_numpy(kept.astype(np.float32)),
        )

    def score(self, histories: Histories) -> Scores:
        import torch

        self.module.eval()
        scores = np.empty((len(histories), self.items), np.float32)
        with torch.inference_mode():
            for start in range(0, len(histories), BLOCK_QUERIES):
                block = slice(start, min(start + BLOCK_QUERIES, len(histories)))
                scores[block] = self.module(*self.inputs(histories.take(block))).numpy()
        return scores

    def state(self) -> dict[str, Array]:
        return {name: tensor.detach().cpu().numpy() for name, tensor in self.module.state_dict().items()}

    def load(self, state: dict[str, Array]) -> None:
        import torch

        self.module.load_state_dict(
            {name: torch.from_numpy(np.array(array)) for name, array in state.items()}
        )


def _latest(histories: Histories, most: int) -> Array:
    """[E] whether an event is among the `most` latest of its history."""
    end = np.repeat(histories.offsets[1:], np.diff(histories.offsets))
    return np.arange(len(histories.columns)) >= end - most
