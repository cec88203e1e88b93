"""Faster arithmetic, the same results."""

from __future__ import annotations

import torch

from trainers.networks.arithmetic import exp


def test_it_is_the_exponential() -> None:
    x = torch.tensor([-1e9, -104.0, -87.0, -20.0, -1e-3, 0.0, 1.5, 20.0])
    torch.testing.assert_close(exp(x), torch.exp(x.double()).float(), rtol=2e-5, atol=1e-38)
    assert exp(x)[0] == 0
    slope = torch.linspace(-3, 3, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(exp, (slope,))
