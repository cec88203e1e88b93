"""What a network says of the moments of a batch: enough to score every item, or a few of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Cells:
    """A few entries of a matrix of moments × items; no entry twice.

    Attributes:
        row, column: int64 [C].
        value: float32 [C].
    """

    row: torch.Tensor
    column: torch.Tensor
    value: torch.Tensor

    def at(self, row: torch.Tensor, column: torch.Tensor, columns: int) -> torch.Tensor:
        """[T] the values of T entries of a matrix with so many `columns`, 0 where none stands."""
        here = self.row * columns + self.column
        order = torch.argsort(here)
        asked = row * columns + column
        place = torch.searchsorted(here[order], asked).clamp_max(max(len(here) - 1, 0))
        if not len(here):
            return self.value.new_zeros(len(row))
        found = order[place]
        return torch.where(here[found] == asked, self.value[found], 0.0)


@dataclass(frozen=True)
class Prediction:
    """Logits as interest · items + bias, plus what the user's own items get on top.

    Attributes:
        interest: [R, D] what each moment's user is after.
        items: [I, D] and bias: [I] the catalogue.
        own: additions to the user's own items, or none.
        penalty: [R] what the loss of a moment has beside its likelihood (nats), or none.
    """

    interest: torch.Tensor
    items: torch.Tensor
    bias: torch.Tensor
    own: Cells | None = None
    penalty: torch.Tensor | None = None

    def logits(self) -> torch.Tensor:
        """[R, I]"""
        logits_RI = torch.addmm(self.bias, self.interest, self.items.T)
        if self.own is not None:
            logits_RI = logits_RI.index_put((self.own.row, self.own.column), self.own.value, accumulate=True)
        return logits_RI

    def at(self, columns: torch.Tensor) -> torch.Tensor:
        """[R, N] the logits of N different columns of the catalogue."""
        logits_RN = torch.addmm(self.bias[columns], self.interest, self.items[columns].T).to(self.bias)
        if self.own is not None:
            where = self.places(columns)[self.own.column]
            hit = where >= 0
            logits_RN = logits_RN.index_put(
                (self.own.row[hit], where[hit]), self.own.value[hit], accumulate=True
            )
        return logits_RN

    def places(self, columns: torch.Tensor) -> torch.Tensor:
        """[I] where each item stands among N different columns, -1 where it does not."""
        place = torch.full((len(self.items),), -1, device=columns.device)
        place[columns] = torch.arange(len(columns), device=columns.device)
        return place
