"""What a network says of its moments, and the entries that a few items have of their own."""

from __future__ import annotations

import pytest
import torch

from trainers.networks.prediction import Cells, Prediction

ROWS, ITEMS = 4, 7


def cells(seed: int, count: int = 9) -> Cells:
    generator = torch.Generator().manual_seed(seed)
    place = torch.randperm(ROWS * ITEMS, generator=generator)[:count]
    return Cells(place // ITEMS, place % ITEMS, torch.randn(count, generator=generator))


def prediction(own: Cells | None) -> Prediction:
    generator = torch.Generator().manual_seed(0)
    interest, items, bias = (
        torch.randn(*shape, generator=generator) for shape in ((ROWS, 3), (ITEMS, 3), (ITEMS,))
    )
    return Prediction(interest, items, bias, own)


def test_logits_by_hand() -> None:
    own = Cells(torch.tensor([1, 0]), torch.tensor([0, 2]), torch.tensor([10.0, -1.0]))
    said = Prediction(
        torch.tensor([[1.0, 2.0], [0.0, 1.0]]),
        torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, -1.0]]),
        torch.tensor([0.5, 0.0, -0.5]),
        own,
    )
    assert said.logits().tolist() == [[1.5, 2.0, -0.5], [10.5, 1.0, -1.5]]


@pytest.mark.parametrize("own", [None, cells(1), cells(2), cells(0, 0)], ids=["none", "1", "2", "empty"])
@pytest.mark.parametrize("columns", [[0], [5, 2, 6], [3, 0, 1, 6, 5, 4, 2], []], ids=str)
def test_a_few_columns_are_those_of_all(own: Cells | None, columns: list[int]) -> None:
    said = prediction(own)
    chosen = torch.tensor(columns, dtype=torch.int64)
    torch.testing.assert_close(said.at(chosen), said.logits()[:, chosen])


@pytest.mark.parametrize("count", [0, 1, 9, ROWS * ITEMS])
def test_cells_are_found_where_they_stand(count: int) -> None:
    own = cells(3, count)
    dense = torch.zeros(ROWS, ITEMS)
    dense[own.row, own.column] = own.value
    row, column = torch.arange(ROWS).repeat_interleave(ITEMS), torch.arange(ITEMS).repeat(ROWS)
    assert torch.equal(own.at(row, column, ITEMS), dense.flatten())
    assert torch.equal(own.at(row.flip(0), column.flip(0), ITEMS), dense.flatten().flip(0))
    assert own.at(row[:0], column[:0], ITEMS).tolist() == []


def test_gradients_reach_the_cells_that_are_asked_for() -> None:
    own = cells(4)
    value = own.value.clone().requires_grad_()
    asked = Cells(own.row, own.column, value)
    row, column = torch.tensor([own.row[3], own.row[5]]), torch.tensor([own.column[3], own.column[5]])
    [gradient] = torch.autograd.grad((asked.at(row, column, ITEMS) * torch.tensor([2.0, 3.0])).sum(), value)
    assert gradient.tolist() == [0, 0, 0, 2, 0, 3, 0, 0, 0]
    [gradient] = torch.autograd.grad(prediction(asked).at(own.column[:1]).sum(), value)
    assert gradient.tolist() == (own.column == own.column[0]).float().tolist()
