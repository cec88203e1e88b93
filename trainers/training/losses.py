"""Losses of neural terms, one value a moment: the mean over the items of the moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from trainers.networks.arithmetic import LOG2_E
from trainers.networks.prediction import Prediction
from trainers.sequences import NEVER, Batch
from trainers.training.optimise import LossSettings


@dataclass(frozen=True)
class Shares:
    """By which chance each item is drawn: `each` [I], which sum to 1, and `total` [I], the sums up to each."""

    each: torch.Tensor
    total: torch.Tensor

    @classmethod
    def of(cls, kind: str, popularity_I: torch.Tensor) -> Shares:
        """How the sampled losses draw: `sampled` by popularity, the others evenly."""
        weights = popularity_I.double()
        if kind != "sampled":
            weights = torch.ones_like(weights)
        each = weights / weights.sum()
        return cls(each, torch.cumsum(each, 0))


@dataclass(frozen=True)
class Negatives:
    """Sampled items of a step, the same for all its moments and workers.

    Attributes:
        columns: int64 [N], ascending, no column twice.
        log_expected: [N] log of how often each of them is expected among the draws of a step.
        items: I, how many items the catalogue has that they were drawn from.
    """

    columns: torch.Tensor
    log_expected: torch.Tensor
    items: int

    @classmethod
    def draw(cls, shares: Shares, count: int, generator: torch.Generator) -> Negatives:
        """`count` draws, doubles dropped."""
        total_I = shares.total
        drawn = torch.rand(count, generator=generator, dtype=total_I.dtype, device=total_I.device)
        places = torch.searchsorted(total_I, drawn * total_I[-1], right=True)
        columns = torch.unique(places.clamp_max(len(total_I) - 1))  # rounding may reach the total itself
        share_N = shares.each[columns]
        # The chance to be among the draws at all, which is what dropping doubles leaves.
        expected_N = -torch.expm1(count * torch.log1p(-share_N.clamp_max(1 - 1e-9)))
        return cls(columns, torch.log(expected_N.clamp_min(1e-30)), len(total_I))


def loss(
    prediction: Prediction, batch: Batch, settings: LossSettings, negatives: Negatives | None = None
) -> torch.Tensor:
    """[R] nats: the loss of each moment, before its weight.

    Args:
        negatives: the sampled items of the step, for the losses that sample.
    """
    if negatives is None:
        value_R = likelihood(prediction, batch)
    else:
        positive_T, rivals_RN = _sampled(prediction, batch, negatives)
        value_T = LOSSES[settings.kind](
            positive_T, rivals_RN[batch.target_row], batch, negatives, settings.calibration
        )
        value_R = _mean(value_T, batch)
    return value_R if prediction.penalty is None else value_R + prediction.penalty


def likelihood(prediction: Prediction, batch: Batch) -> torch.Tensor:
    """[R] the negative log-likelihood of each moment's items under a softmax over the catalogue, nats an item.

    What the user had (`batch.had`) is left out of the softmax, unless it is an answer all the same."""
    items, own = len(prediction.items), prediction.own
    count_R = torch.bincount(batch.target_row, minlength=len(batch))
    value_R: torch.Tensor = _FullSoftmax.apply(  # type: ignore[no-untyped-call]  # torch's
        prediction.interest,
        prediction.items,
        prediction.bias,
        None if own is None else own.value,
        None if own is None else own.row * items + own.column,
        batch.had_row * items + batch.had,
        batch.target_row * items + batch.targets,
        batch.target_row,
        1 / count_R[batch.target_row].to(prediction.bias),
    )
    return value_R


class _FullSoftmax(torch.autograd.Function):
    """[R] −Σ share · log softmax of the targets of each row; entries of [R, I] are given by their flat places.

    Written out because autograd would keep and pass over four arrays of moments × items, and here one does."""

    @staticmethod
    def forward(
        ctx: Any,
        interest: torch.Tensor,
        items: torch.Tensor,
        bias: torch.Tensor,
        own: torch.Tensor | None,
        own_at: torch.Tensor | None,
        out_at: torch.Tensor,
        target_at: torch.Tensor,
        target_row: torch.Tensor,
        share: torch.Tensor,
    ) -> torch.Tensor:
        products = torch.addmm(bias, interest, items.T)
        logits = products.to(bias)  # what is summed up is never narrow
        flat = logits.view(-1)
        if own is not None and own_at is not None:
            flat.index_add_(0, own_at, own)
        picked = flat[target_at]
        flat.index_fill_(0, out_at, NEVER)
        flat[target_at] = picked
        top = logits.amax(1, keepdim=True)
        weights = logits.sub_(top).mul_(LOG2_E).exp2_()
        total = weights.sum(1, keepdim=True)
        # What the logits' gradient is, but for a factor of each row, which is cheaper in the small arrays below.
        flat.index_add_(0, target_at, -share * total[target_row, 0])
        ctx.save_for_backward(interest, items, weights, total, own_at)
        ctx.narrow = products.dtype
        value = (top + total.log()).squeeze(1)
        return value.index_add(0, target_row, -share * picked)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        interest, items, slope, total, own_at = ctx.saved_tensors
        factor = grads[0] / total.squeeze(1)
        own = None if own_at is None else slope.view(-1)[own_at] * factor[own_at // len(items)]
        thin, weighted = slope.to(ctx.narrow), (interest * factor[:, None]).to(ctx.narrow)
        to_interest = (thin @ items.to(ctx.narrow)) * factor[:, None]
        to_items = (thin.T @ weighted).to(items)
        return to_interest.to(interest), to_items, slope.T @ factor, own, *[None] * 5


def _mean(value_T: torch.Tensor, batch: Batch) -> torch.Tensor:
    """[R] the mean over the items of each moment."""
    count_R = torch.bincount(batch.target_row, minlength=len(batch))
    total_R = value_T.new_zeros(len(batch)).index_add(0, batch.target_row, value_T)
    return total_R / count_R


def _sampled(prediction: Prediction, batch: Batch, negatives: Negatives) -> tuple[torch.Tensor, torch.Tensor]:
    """[T] logits of the moments' items and [R, N] of the sampled ones; one that is an item of the moment, or that the
    user had (`batch.had`), is no negative."""
    columns = negatives.columns
    rivals_RN = prediction.at(columns)
    row = torch.cat((batch.target_row, batch.had_row))
    where = prediction.places(columns)[torch.cat((batch.targets, batch.had))]
    out = torch.zeros(rivals_RN.shape, dtype=torch.bool, device=columns.device)
    out[row[where >= 0], where[where >= 0]] = True
    positive_T = (prediction.interest[batch.target_row] * prediction.items[batch.targets]).sum(1)
    positive_T = positive_T + prediction.bias[batch.targets]
    if prediction.own is not None:
        positive_T = positive_T + prediction.own.at(batch.target_row, batch.targets, len(prediction.items))
    return positive_T, rivals_RN.masked_fill(out, NEVER)


def _softmax(
    positive_T: torch.Tensor, rivals_TN: torch.Tensor, batch: Batch, negatives: Negatives, _: float
) -> torch.Tensor:
    # The moment's items are always there, so that nothing is to correct in their logits.
    top = torch.full((len(batch),), NEVER, dtype=positive_T.dtype, device=positive_T.device)
    top_R = top.scatter_reduce(0, batch.target_row, positive_T.detach(), "amax")
    raised_T = torch.exp(positive_T - top_R[batch.target_row])
    answers_R = top_R + torch.log(torch.zeros_like(top_R).index_add(0, batch.target_row, raised_T))
    rivals_T = torch.logsumexp(rivals_TN - negatives.log_expected, 1)
    return torch.logaddexp(rivals_T, answers_R[batch.target_row]) - positive_T


def _gbce(
    positive_T: torch.Tensor, rivals_TN: torch.Tensor, batch: Batch, negatives: Negatives, calibration: float
) -> torch.Tensor:
    share = len(negatives.columns) / max(negatives.items - 1, 1)
    beta = share * (calibration * (1 - 1 / share) + 1 / share)
    real = rivals_TN > NEVER
    answer_T = -beta * nn.functional.logsigmoid(positive_T)
    return (answer_T + nn.functional.softplus(rivals_TN).sum(1)) / (real.sum(1) + 1)


def _bpr(
    positive_T: torch.Tensor, rivals_TN: torch.Tensor, batch: Batch, negatives: Negatives, _: float
) -> torch.Tensor:
    real = rivals_TN > NEVER
    ahead_TN = nn.functional.softplus(rivals_TN - positive_T[:, None]) * real
    return ahead_TN.sum(1) / real.sum(1).clamp_min(1)


LOSSES = {"sampled": _softmax, "gbce": _gbce, "bpr": _bpr}
