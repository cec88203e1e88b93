"""Learned functions of one number."""

from __future__ import annotations

import pytest
import torch

from trainers.networks.piecewise import PiecewiseLinear, look_up


def piecewise(low: float, high: float, values: list[float]) -> PiecewiseLinear:
    found = PiecewiseLinear(low, high, len(values))
    with torch.no_grad():
        found.values.copy_(torch.tensor(values))
    return found


def test_piecewise_linear_by_hand() -> None:
    """Knots at −1, 1, 3 and 5."""
    line = piecewise(-1.0, 5.0, [2.0, 4.0, -2.0, 0.0])
    at = torch.tensor([-1.0, 1.0, 3.0, 5.0, 0.0, 1.5, 4.0])
    assert line(at).tolist() == pytest.approx([2, 4, -2, 0, 3, 2.5, -1])
    assert line(torch.tensor([[-9.0], [77.0]])).tolist() == [[2.0], [0.0]]


def test_piecewise_linear_begins_at_zero_or_as_told() -> None:
    assert PiecewiseLinear(0.0, 1.0, 3)(torch.linspace(-1, 2, 7)).tolist() == [0.0] * 7
    start = torch.tensor([1.0, 2.0])
    told = PiecewiseLinear(0.0, 1.0, 2, start)
    start += 5
    assert told(torch.tensor([0.25])).item() == 1.25


def test_gradients_of_piecewise_linear_agree_with_finite_differences() -> None:
    line = PiecewiseLinear(-1.0, 5.0, 4).double()

    def value(x: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = torch.func.functional_call(line, {"values": values}, (x,))
        return answer

    x = torch.tensor([-4.0, -0.3, 0.2, 2.9, 4.5, 8.0], dtype=torch.float64, requires_grad=True)
    values = torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(value, (x, values.requires_grad_()))
    assert torch.autograd.gradcheck(value, (x.detach(), values))


def test_functions_with_the_same_knots_share_a_place() -> None:
    one, other = piecewise(0.0, 4.0, [1.0, 2.0, -1.0]), piecewise(0.0, 4.0, [0.0, 8.0, 4.0])
    x = torch.tensor([[0.5, 7.0], [3.0, -1.0]])
    assert other.at(one.place(x)).tolist() == other(x).tolist() == [[2.0, 4.0], [6.0, 0.0]]


def test_look_up_by_hand_and_its_gradient() -> None:
    """Two tables of three entries, at the same rows."""
    tables = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.0, 7.0]], dtype=torch.float64, requires_grad=True)
    rows = torch.tensor([[2, 0], [2, 1], [2, 2]])
    assert look_up(tables, rows).tolist() == [
        [[3.0, 1.0], [3.0, 2.0], [3.0, 3.0]],
        [[7.0, -1.0], [7.0, 0.0], [7.0, 7.0]],
    ]
    assert torch.autograd.gradcheck(lambda tables: look_up(tables, rows), (tables,))
