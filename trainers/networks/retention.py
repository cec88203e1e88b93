"""A forgetting function inside a network: what its settings call learned are parameters of the network."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from trainers.forgetting import Forgetting, ForgettingSettings, build
from trainers.networks.fading import Fading

SPREAD = 1.0  # heads begin with time axes stretched by e^−1 … e^1, or they would all stay alike


class Retention(Fading):
    """log R(age), with a curve for each of `heads` heads where the scope is `head`."""

    def __init__(self, settings: ForgettingSettings, heads: int = 1) -> None:
        super().__init__()
        self.curve = build(settings)
        self.forgets = settings.family != "none"
        self.heads = heads if settings.scope == "head" else 1
        parameters = {each.name: each for each in self.curve.parameters}
        self.learned = tuple(parameters[name] for name in settings.learned)
        self.free = nn.ParameterList()
        for each in self.learned:
            free = torch.from_numpy(each.to_free(self.curve.values[each.name])).float()
            free = free.expand(self.heads, 1, 1, 1, *free.shape).clone()
            if self.heads > 1 and each.power and each.kind in ("positive", "positives"):
                shift = each.power * torch.linspace(-SPREAD, SPREAD, self.heads)
                free += shift.reshape(-1, *[1] * (free.ndim - 1))
            self.free.append(nn.Parameter(free))

    def values(self) -> dict[str, Any]:
        """The learned values as tensors [heads, 1, 1, 1], lists with one more axis at the end."""
        return {each.name: each.from_free(free) for each, free in zip(self.learned, self.free, strict=True)}

    def forward(
        self, days_BML: torch.Tensor, later_BML: torch.Tensor, longer_BL: torch.Tensor | None = None
    ) -> torch.Tensor:
        """[heads, B, M, L] log R of events at their ages on both clocks; one head where all share the curve.

        Args:
            longer_BL: how many times longer than the curve's each event's ages are."""
        if longer_BL is not None:
            days_BML, later_BML = days_BML / longer_BL[:, None], later_BML / longer_BL[:, None]
        lost: torch.Tensor = self.curve.lost(days_BML[None], later_BML[None], self.values())
        return -lost.expand(self.heads, *days_BML.shape).to(days_BML.dtype)

    def curves(self) -> list[Forgetting]:
        """The curve of each head, as it is now."""
        values = {name: value.detach().double().cpu().numpy() for name, value in self.values().items()}
        many = {each.name for each in self.learned if each.many}
        return [
            self.curve.with_values(
                {
                    name: of[head].ravel() if name in many else float(of[head].item())
                    for name, of in values.items()
                }
            )
            for head in range(self.heads)
        ]
