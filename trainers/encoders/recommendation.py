"""The module of `mlp`: f(x; θ) = W·σ(A·x + b)."""

from __future__ import annotations

import torch
from torch import nn


class RecommendationFunction(nn.Module):
    """Logits over a catalogue of `items` from flat histories; ReLU is the σ. The sizes are those of `MlpSettings`."""

    def __init__(self, items: int, dim: int, hidden: int, dropout: float, normalise: float) -> None:
        super().__init__()
        self.normalise = normalise
        self.embedding = nn.EmbeddingBag(items, dim, mode="sum", include_last_offset=True)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.hidden = nn.Linear(dim, hidden)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, items)

    def forward(
        self, columns_E: torch.Tensor, offsets_Q1: torch.Tensor, kept_E: torch.Tensor
    ) -> torch.Tensor:
        """Returns logits [Q, I]; `kept_E` is R(age)·w of each event."""
        interest_QD = self.embedding(columns_E, offsets_Q1, per_sample_weights=kept_E)
        mass_Q = torch.segment_reduce(kept_E, "sum", offsets=offsets_Q1, initial=0.0)
        # An interest that has all but vanished must not be blown up to full size: its mass is never taken below one.
        interest_QD = interest_QD / mass_Q.clamp_min(1.0).pow(self.normalise)[:, None]
        logits_QI: torch.Tensor = self.output(self.dropout(torch.relu(self.hidden(interest_QD))))
        return logits_QI
