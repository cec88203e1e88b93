"""Training over a large catalogue: a step reads, shares and moves only the rows of the items that it touches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from trainers.sequences import Batch
from trainers.training.losses import Negatives
from trainers.training.spread import Part, Spread


class Touched(Spread):
    """The network as if the catalogue had the items of the step alone: those of the histories that it reads, of its
    moments and of its sample, over all workers. Gradients, what workers tell each other, and steps are then as large as
    the step, however many items there are.

    Rows move by `torch.optim.SparseAdam`, all else as ever; weight decay shrinks the rows that a step moves."""

    def build(self) -> torch.optim.Optimizer:
        by_item = self.network.by_item
        named = dict(self.network.named_parameters())
        self.tables = {name: named[name] for name in by_item if name in named}
        self.counted = {name: tensor for name, tensor in self.network.named_buffers() if name in by_item}
        self.others = [parameter for name, parameter in named.items() if name not in self.tables]
        self.by_row = torch.optim.SparseAdam(self.tables.values(), lr=self.settings.rate)
        return self.settings.build(self.others, self.network.fading())

    def gradient(self, parts: Sequence[Part]) -> tuple[float, float]:
        self.optimiser.zero_grad()
        self.rows = self.workers.union(torch.cat([_touched(part) for part in parts]))
        self.small = {name: table.detach()[self.rows].requires_grad_() for name, table in self.tables.items()}
        there: dict[str, torch.Tensor] = {
            **self.small, **{name: tensor[self.rows] for name, tensor in self.counted.items()}
        }  # fmt: skip
        there = {f"network.{name}": tensor for name, tensor in there.items()}
        value = 0.0
        for part in parts:
            value_R = functional_call(self.objective, there, _narrowed(part, self.rows))
            weighted = (value_R * part.share_R.to(value_R)).sum()
            torch.autograd.backward(weighted)
            value += float(weighted.detach())
        return value, self.clip()

    def clip(self) -> float:
        moving = [*self.others, *self.small.values()]
        for tensor in moving:
            if tensor.grad is None:
                tensor.grad = torch.zeros_like(tensor)
        if self.workers.size > 1:
            together = torch.cat([tensor.grad.flatten() for tensor in moving if tensor.grad is not None])
            torch.distributed.all_reduce(together)
            parts = torch.split(together, [each.numel() for each in moving])
            for tensor, summed in zip(moving, parts, strict=True):
                tensor.grad = summed.view_as(tensor)
        return float(nn.utils.clip_grad_norm_(moving, self.settings.clip))

    def move(self, rate: float) -> None:
        super().move(rate)
        for group in self.by_row.param_groups:
            group["lr"] = rate
        for name, table in self.tables.items():
            moved = self.small[name].grad
            assert moved is not None
            if table.ndim == 2 and self.settings.weight_decay:
                with torch.no_grad():
                    table[self.rows] *= 1 - rate * self.settings.weight_decay
            table.grad = torch.sparse_coo_tensor(
                self.rows[None], moved, table.shape, is_coalesced=True, check_invariants=False
            )
        self.by_row.step()  # type: ignore[no-untyped-call]  # torch's
        for table in self.tables.values():
            table.grad = None

    def optimiser_state(self) -> dict[str, Any]:
        return {"others": self.optimiser.state_dict(), "rows": self.by_row.state_dict()}

    def load_optimiser(self, state: dict[str, Any]) -> None:
        self.optimiser.load_state_dict(state["others"])
        self.by_row.load_state_dict(state["rows"])


def _touched(part: Part) -> torch.Tensor:
    """The items of a part, some of them more than once."""
    assert part.negatives is not None
    batch = part.batch
    return torch.cat((batch.items[batch.real], batch.targets, part.negatives.columns))


def _narrowed(part: Part, rows: torch.Tensor) -> tuple[Batch, Negatives]:
    """The batch and the sampled items, numbered within `rows`."""

    def place(items: torch.Tensor) -> torch.Tensor:
        return torch.searchsorted(rows, items).clamp_max(len(rows) - 1)

    batch, negatives = part.batch, part.negatives
    assert negatives is not None
    known = rows[place(batch.had)] == batch.had  # what else the user had is no rival here
    narrow = replace(
        batch,
        items=place(batch.items),  # what fills up a window may be any item
        targets=place(batch.targets),
        had=place(batch.had[known]),
        had_row=batch.had_row[known],
    )
    return narrow, replace(negatives, columns=place(negatives.columns))
