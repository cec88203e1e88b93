"""Passes over the moments: what each example weighs, and what validation says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.trainers import helpers
from tests.trainers.training.cycling import RECENT, encoder, settings
from trainers.log import Queries, TrainingData
from trainers.training.epochs import example_weights, validation_loss
from trainers.training.loop import optimise


def test_example_weights_by_hand() -> None:
    log = helpers.packed(
        [[(0, 0), (2, 1), (2, 0), (6, 1), (20, 0)], [], [(1, 0), (3, 0), (5, 1), (9, 1)], [(0, 0)]]
    )
    data = helpers.training(log, 8)
    moments = data.moments()
    assert [entry["day"] for entry in helpers.lists(moments)] == [2, 6, 3, 5]
    in_days = example_weights(data, moments, settings(forgetting={"family": "exponential", "half_life": 2}))
    assert in_days.tolist() == pytest.approx([2**-2, 1, 2**-1.5, 2**-0.5])
    in_moments = example_weights(
        data, moments, settings(forgetting={"family": "exponential", "clock": "moments", "half_life": 1})
    )
    assert in_moments.tolist() == [0.5, 1, 0.5, 1]
    assert example_weights(data, moments, settings()).tolist() == [1, 1, 1, 1]


def test_example_weights_of_some_moments_only(data: TrainingData) -> None:
    chosen = settings(forgetting=RECENT)
    moments = data.moments()
    index = np.arange(len(moments))[::-5]
    assert np.array_equal(
        example_weights(data, moments.take(index), chosen), example_weights(data, moments, chosen)[index]
    )


@pytest.mark.parametrize(("by_items", "expected"), [(0.0, [1, 1, 1]), (0.5, [1, 2, 3]), (1.0, [1, 4, 9])])
def test_a_moment_counts_by_its_items(by_items: float, expected: list[float]) -> None:
    """Of one, four and nine items; what is left of it at the cut counts beside that."""
    log = helpers.packed([[(0, 0), (1, 1), *[(2, 0)] * 4, *[(3, 2)] * 9]])
    data = helpers.training(log)
    plain = settings(by_items=by_items)
    assert example_weights(data, data.moments(), plain).tolist() == pytest.approx(expected)
    old = plain.model_copy(update={"forgetting": RECENT})
    left = example_weights(data, data.moments(), settings(forgetting=RECENT.model_dump()))
    assert example_weights(data, data.moments(), old).tolist() == pytest.approx((left * expected).tolist())
    assert left[0] < left[1] < left[2]


def test_the_validation_loss_by_hand(data: TrainingData) -> None:
    model = encoder()
    queries = data.validation
    assert queries is not None
    scores = torch.from_numpy(model.score(helpers.histories_of(data, queries)))
    nll = -torch.log_softmax(scores, 1)[torch.arange(len(queries)), torch.from_numpy(queries.targets)]
    got = validation_loss(model, data, queries, True)
    assert got == pytest.approx(float(nll.mean()), rel=1e-5)


def test_items_of_the_history_are_left_out_where_nothing_is_taken_twice() -> None:
    """A user who takes each item once: at the last moment one item is left, and nothing remains to be learned."""
    data = helpers.training(
        helpers.packed([[(day, (user + day) % 5) for day in range(5)] for user in range(5)])
    )
    last = data.moments().take(np.arange(3, 20, 4))
    assert last.end.tolist() == [4, 9, 14, 19, 24]
    assert validation_loss(encoder(5), data, last, False) == pytest.approx(0.0, abs=1e-6)
    assert validation_loss(encoder(5), data, last, True) == pytest.approx(math.log(5), abs=0.2)
    curve = optimise(encoder(5), data, last, settings(epochs=1), repeats=False)
    assert curve.loss == pytest.approx([0.0], abs=1e-6)


def test_all_of_the_history_is_left_out_not_only_what_the_encoder_reads() -> None:
    data = helpers.training(helpers.packed([[(day, day) for day in range(5)]]))
    last = data.moments().take(np.array([3]))
    assert validation_loss(encoder(5, max_history=1), data, last, False) == pytest.approx(0.0, abs=1e-6)


def test_what_was_taken_again_is_not_left_out() -> None:
    """Where nothing should be taken twice but was, the answer itself stays in: the loss is finite."""
    data = helpers.training(helpers.packed([[(0, 0), (1, 1), (2, 0)]], 3))
    again = data.moments().take(np.array([1]))
    loss = validation_loss(encoder(2), data, again, False)
    assert loss == pytest.approx(0.0, abs=1e-6)


def test_validation_is_the_same_in_blocks(data: TrainingData) -> None:
    """More queries than are looked at at once."""
    assert data.validation is not None
    many = Queries.take(data.validation, np.tile(np.arange(len(data.validation)), 15))
    assert len(many) > 512
    model = encoder()
    one = validation_loss(model, data, data.validation, True)
    assert validation_loss(model, data, many, True) == pytest.approx(one, rel=1e-6)
