"""Losses of neural terms, one value a moment."""

from __future__ import annotations

import torch


def likelihood(
    logits_QI: torch.Tensor, target_offsets_Q1: torch.Tensor, targets_R: torch.Tensor
) -> torch.Tensor:
    """[Q] the negative log-likelihood of each moment's items, averaged over the items of the moment (nats an item).

    Args:
        logits_QI: scores; −inf leaves an item out of the softmax.
        target_offsets_Q1, targets_R: the items of moment q are `targets[offsets[q]:offsets[q + 1]]`.

    >>> nll = likelihood(torch.zeros(1, 4), torch.tensor([0, 2]), torch.tensor([1, 3]))
    >>> round(nll.item(), 6)  # log 4
    1.386294
    """
    counts_Q = torch.diff(target_offsets_Q1)
    query_R = torch.repeat_interleave(torch.arange(len(counts_Q), device=logits_QI.device), counts_Q)
    picked_R = logits_QI[query_R, targets_R] - torch.logsumexp(logits_QI, 1)[query_R]
    total_Q = torch.zeros_like(logits_QI[:, 0]).index_add(0, query_R, picked_R)
    return -total_Q / counts_Q
