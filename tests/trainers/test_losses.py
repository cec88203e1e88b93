"""Losses, worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from trainers.losses import likelihood


def offsets(*lengths: int) -> torch.Tensor:
    return torch.tensor([0, *lengths]).cumsum(0)


def test_likelihood_by_hand() -> None:
    """Shares of ½, ¼, ¼; the second moment has two items, which count half each."""
    logits = torch.tensor([[math.log(2), 0.0, 0.0], [math.log(2), 0.0, 0.0]])
    nll = likelihood(logits, offsets(1, 2), torch.tensor([0, 0, 2]))
    assert nll.tolist() == pytest.approx([math.log(2), (math.log(2) + math.log(4)) / 2])


def test_likelihood_does_not_know_a_shift() -> None:
    logits = torch.tensor([[1.0, 2.0, -1.0]], dtype=torch.float64)
    targets = torch.tensor([2])
    one, other = (likelihood(logits + shift, offsets(1), targets) for shift in (0.0, 500.0))
    assert one.item() == pytest.approx(other.item(), rel=1e-9)


def test_an_item_that_is_masked_takes_no_share() -> None:
    masked = torch.tensor([[0.0, 0.0, -math.inf, 0.0]], requires_grad=True)
    nll = likelihood(masked, offsets(1), torch.tensor([1]))
    assert nll.item() == pytest.approx(math.log(3))
    [gradient] = torch.autograd.grad(nll.sum(), masked)
    assert gradient[0].tolist() == pytest.approx([1 / 3, -2 / 3, 0, 1 / 3])


def test_an_item_twice_in_a_moment_counts_twice() -> None:
    logits = torch.tensor([[math.log(2), 0.0, 0.0]])
    nll = likelihood(logits, offsets(3), torch.tensor([0, 0, 1]))
    assert nll.item() == pytest.approx((2 * math.log(2) + math.log(4)) / 3)


def test_gradient_agrees_with_finite_differences() -> None:
    logits = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    where, targets = offsets(1, 2, 1), torch.tensor([0, 1, 3, 2])
    assert torch.autograd.gradcheck(lambda x: likelihood(x, where, targets), (logits.requires_grad_(),))
