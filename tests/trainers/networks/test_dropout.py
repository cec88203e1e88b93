"""Units left out in training."""

from __future__ import annotations

import pytest
import torch

from trainers.networks.dropout import Dropout


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_share_is_left_out_and_the_mean_stays(share: float) -> None:
    torch.manual_seed(0)
    x = torch.full((500, 801), 3.0)
    left = Dropout(share)(x)
    kept = left != 0
    rounded = min(round(share * 256), 255) / 256
    chance = kept.double().mean().item()
    assert chance == pytest.approx(1 - rounded, abs=4 * (rounded * (1 - rounded) / x.numel()) ** 0.5)
    assert left[kept].unique().tolist() == pytest.approx([3 / (1 - rounded)])
    assert torch.equal(x, torch.full((500, 801), 3.0))


def test_units_are_left_out_one_by_one() -> None:
    """Neighbours, which share a random integer, do not share a fate."""
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(80_000)) != 0).double().view(-1, 8)
    chances = torch.corrcoef(kept.T) - torch.eye(8)
    assert chances.abs().max() < 5 / 10_000**0.5


def test_outside_of_training_and_without_a_share_nothing_is_left_out() -> None:
    x = torch.randn(7, 3)
    assert Dropout(0.0)(x) is x
    assert Dropout(0.5).eval()(x) is x


def test_it_draws_by_the_seed_and_gradients_pass_what_is_kept() -> None:
    layer, x = Dropout(0.4), torch.ones(5, 9, requires_grad=True)
    torch.manual_seed(3)
    one = layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), one)
    assert not torch.equal(layer(x), one)
    [gradient] = torch.autograd.grad(one.sum(), x)
    assert torch.equal(gradient, one)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_is_below_one(share: float) -> None:
    with pytest.raises(ValueError, match=f"must be at least 0 and less than 1, but got {share}"):
        Dropout(share)
