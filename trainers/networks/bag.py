"""`mlp` and `vae`: networks over one decayed sum of a history."""

from __future__ import annotations

import torch
from torch import nn

from trainers.networks.arithmetic import exp
from trainers.networks.dropout import Dropout
from trainers.networks.habit import Habit
from trainers.networks.network import Network
from trainers.networks.prediction import Prediction
from trainers.networks.retention import Retention
from trainers.sequences import Batch


class Interest(nn.Module):
    """x(t) = Σ R(age)·w·e(item) / (Σ R·w)^normalise: the interest of a moment."""

    def __init__(self, items: int, dim: int, retention: Retention, normalise: float, weighted: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(items, dim)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.retention = retention
        self.normalise = normalise
        self.weighted = weighted

    def forward(self, batch: Batch, longer: torch.Tensor | None = None) -> torch.Tensor:
        """Returns [R, dim]."""
        kept_BML = exp(self.retention(batch.days, batch.later, longer)[0] + batch.hidden)
        if self.weighted:
            kept_BML = kept_BML * batch.weights[:, None, :]
        interest_RD = torch.bmm(kept_BML, self.embedding(batch.items))[batch.valid]
        # An interest that has all but vanished must not be blown up to full size: its mass is never taken below one.
        mass_R = kept_BML.sum(2)[batch.valid].clamp_min(1.0)
        return interest_RD / mass_R.pow(self.normalise)[:, None]


class RecommendationFunction(Network):
    """f(x; θ) = W·σ(A·x + b) with ReLU as σ, W having a row for each item of the catalogue."""

    by_item = (*Network.by_item, "interest.embedding.weight", "output.weight")

    def __init__(
        self, items: int, interest: Interest, dim: int, hidden: int, dropout: float, own: Habit | None
    ) -> None:
        super().__init__(items, own)
        self.interest = interest
        self.hidden = nn.Linear(dim, hidden)
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(hidden, items, bias=False)

    def forward(self, batch: Batch) -> Prediction:
        hidden = self.dropout(torch.relu(self.hidden(self.interest(batch, self.longer(batch)))))
        return Prediction(hidden, self.output.weight, self.bias, self.habits(batch))


class Variational(Network):
    """The variational autoencoder with a multinomial likelihood (Liang et al. 2018), over the decayed sum, asked for
    what comes next: z ~ N(μ(x), σ²(x)), logits = W·h(z), and β·KL(N(μ, σ²) ‖ N(0, 1)) beside the likelihood."""

    by_item = (*Network.by_item, "interest.embedding.weight", "output.weight")

    def __init__(
        self,
        items: int,
        interest: Interest,
        dim: int,
        hidden: int,
        dropout: float,
        beta: float,
        own: Habit | None,
    ) -> None:
        super().__init__(items, own)
        self.interest = interest
        self.encoder = nn.Sequential(
            Dropout(dropout), nn.Linear(dim, hidden), nn.Tanh(), nn.Linear(hidden, 2 * dim)
        )
        self.decoder = nn.Sequential(nn.Linear(dim, hidden), nn.Tanh())
        self.output = nn.Linear(hidden, items, bias=False)
        self.beta = beta

    def forward(self, batch: Batch) -> Prediction:
        mean_RD, log_var_RD = self.encoder(self.interest(batch, self.longer(batch))).chunk(2, 1)
        drawn_RD = mean_RD
        if self.training:
            drawn_RD = mean_RD + torch.randn_like(mean_RD) * torch.exp(0.5 * log_var_RD)
        divergence_R = 0.5 * (mean_RD.square() + log_var_RD.exp() - 1 - log_var_RD).sum(1)
        return Prediction(
            self.decoder(drawn_RD),
            self.output.weight,
            self.bias,
            self.habits(batch),
            self.beta * divergence_R,
        )
