"""Passes over the moments: what each example weighs, and what validation says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.trainers import helpers
from tests.trainers.training.cycling import RECENT, encoder, settings
from trainers.log import Queries, TrainingData
from trainers.training.computing import PLAIN
from trainers.training.epochs import Epochs, counted, left_of, validation_loss
from trainers.training.loop import optimise, spread
from trainers.training.optimise import OptimiseSettings
from trainers.training.spread import Part
from trainers.training.workers import ALONE


def test_what_is_left_of_a_moment_by_hand() -> None:
    log = helpers.packed(
        [[(0, 0), (2, 1), (2, 0), (6, 1), (20, 0)], [], [(1, 0), (3, 0), (5, 1), (9, 1)], [(0, 0)]]
    )
    data = helpers.training(log, 8)
    moments = data.moments()
    assert [entry["day"] for entry in helpers.lists(moments)] == [2, 6, 3, 5]
    in_days = left_of(data, moments, settings(forgetting={"family": "exponential", "half_life": 2}))
    assert in_days.tolist() == pytest.approx([2**-2, 1, 2**-1.5, 2**-0.5])
    in_moments = left_of(
        data, moments, settings(forgetting={"family": "exponential", "clock": "moments", "half_life": 1})
    )
    assert in_moments.tolist() == [0.5, 1, 0.5, 1]
    assert left_of(data, moments, settings()).tolist() == [1, 1, 1, 1]
    until = settings(forgetting={"family": "linear", "horizon": 4})
    assert left_of(data, moments, until).tolist() == pytest.approx(
        [0, 1, 0.25, 0.75]
    )  # the age of the first is 4


def test_what_is_left_of_some_moments_only(data: TrainingData) -> None:
    chosen = settings(forgetting=RECENT)
    moments = data.moments()
    index = np.arange(len(moments))[::-5]
    assert np.array_equal(left_of(data, moments.take(index), chosen), left_of(data, moments, chosen)[index])


@pytest.mark.parametrize(("by_items", "expected"), [(0.0, [1, 1, 1]), (0.5, [1, 2, 3]), (1.0, [1, 4, 9])])
def test_a_moment_counts_by_its_items(by_items: float, expected: list[float]) -> None:
    """Of one, four and nine items; what is left of it at the cut counts beside that."""
    log = helpers.packed([[(0, 0), (1, 1), *[(2, 0)] * 4, *[(3, 2)] * 9]])
    data = helpers.training(log)
    old = settings(by_items=by_items, forgetting=RECENT.model_dump())
    assert counted(data.moments(), old).tolist() == pytest.approx(expected)
    left = left_of(data, data.moments(), old)
    assert left[0] < left[1] < left[2]
    assert epochs_of(data, old).weights.tolist() == pytest.approx((left * expected).tolist())


def epochs_of(data: TrainingData, chosen: OptimiseSettings) -> Epochs:
    model = encoder(len(data.catalogue))
    return Epochs(spread(model, chosen, PLAIN, ALONE), data, data.moments(), True, 0)


def shares(epochs: Epochs, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The weight of each step of an epoch of which every batch is one user's window."""
    steps: list[float] = []

    def gradient(parts: list[Part]) -> tuple[float, float]:
        steps.append(sum(float(part.share_R.sum()) for part in parts))
        return 1.0, 1.0

    monkeypatch.setattr(epochs.model, "gradient", gradient)
    monkeypatch.setattr(epochs.model, "move", lambda rate: None)
    list(epochs.run(0, 0, np.zeros(2), None))
    return steps


def test_a_batch_of_old_moments_counts_as_little_as_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """One user stopped 50 days before the other: with a half-life of 25 a step of the former is a quarter of one of the
    latter, and steps are 1 in the mean."""
    log = helpers.packed([[(day, day % 3) for day in range(5)], [(50 + day, day % 3) for day in range(5)]])
    data = helpers.training(log)
    chosen = settings(batch=4, forgetting={"family": "exponential", "half_life": 25})
    assert sorted(shares(epochs_of(data, chosen), monkeypatch)) == pytest.approx([0.4, 1.6])
    assert shares(epochs_of(data, settings(batch=4)), monkeypatch) == [1.0, 1.0]


def test_a_batch_of_which_nothing_is_left_is_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    log = helpers.packed([[(day, day % 3) for day in range(5)], [(50 + day, day % 3) for day in range(5)]])
    data = helpers.training(log)
    chosen = settings(batch=4, forgetting={"family": "linear", "horizon": 20})
    assert shares(epochs_of(data, chosen), monkeypatch) == pytest.approx([2.0])
    gone = settings(forgetting={"family": "linear", "horizon": 20})
    later = helpers.packed(
        [[(day, day % 3) for day in range(5)], [(50, 0)]]
    )  # a first event is no training moment
    with pytest.raises(ValueError, match="of which its loss forgetting leaves something"):
        epochs_of(helpers.training(later), gone)


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
