"""The training loop of neural terms."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers import helpers
from tests.trainers.training.cycling import OLD_FIRST, encoder, settings, train
from trainers.log import TrainingData
from trainers.training.curve import Curve
from trainers.training.epochs import left_of, validation_loss
from trainers.training.loop import Training, optimise


def test_what_can_be_learned_is_learned(data: TrainingData) -> None:
    """The latest item says what comes next: the loss falls from log 6 towards nothing."""
    model = encoder()
    curve = train(data, model, epochs=20)
    assert curve.start == pytest.approx(math.log(6), abs=0.1)
    assert curve.loss[-1] < 0.1
    assert curve.validation[-1] < 0.1
    assert data.validation is not None
    scores = model.score(helpers.histories_of(data, data.validation))
    assert scores.argmax(1).tolist() == data.validation.targets.tolist()


GOLDEN = {
    "loss": [1.7559646, 1.6182389, 1.3276637, 0.9491088],
    "validation": [1.6960526, 1.4709963, 1.1078647, 0.7458258],
}


def test_golden_loss_curve(data: TrainingData) -> None:
    """Recorded once: a change of it is a change of what training does."""
    curve = train(data, encoder(dropout=0.2), forgetting={"family": "exponential", "half_life": 4})
    assert curve.start == pytest.approx(1.7856185, abs=1e-4)
    assert curve.loss == pytest.approx(GOLDEN["loss"], abs=1e-4)
    assert curve.validation == pytest.approx(GOLDEN["validation"], abs=1e-4)


def test_the_first_epoch_by_hand(blind: TrainingData) -> None:
    """One step for the whole epoch: its loss is the weighted mean over all moments, before the step."""
    chosen = settings(batch=10_000, epochs=1, forgetting=OLD_FIRST)
    moments = blind.moments()
    weights = left_of(blind, moments, chosen)
    model = encoder()
    log_shares = torch.log_softmax(
        torch.from_numpy(model.score(helpers.histories_of(blind, moments))), 1
    ).numpy()
    nll = -log_shares[np.arange(len(moments)), moments.targets]
    curve = optimise(model, blind, moments, chosen, repeats=True)
    assert curve.loss == pytest.approx([(weights * nll).sum() / weights.sum()], rel=1e-5)


def test_the_same_seed_gives_the_same_curve(data: TrainingData) -> None:
    one, other = encoder(dropout=0.3), encoder(dropout=0.3)
    assert train(data, one, seed=5) == train(data, other, seed=5)
    assert all(np.array_equal(array, other.state()[name]) for name, array in one.state().items())
    assert train(data, encoder(dropout=0.3), seed=6) != train(data, encoder(dropout=0.3), seed=5)


def test_early_stopping_keeps_the_best_epoch(data: TrainingData) -> None:
    """Validation asks for another item than training teaches: it gets better for a while at most, then worse."""
    assert data.validation is not None
    queries = replace(data.validation, targets=(data.validation.targets + 1) % 6)
    wrong = replace(data, validation=queries)
    model = encoder()
    curve = train(wrong, model, epochs=50, patience=2, rate=0.003)
    assert len(curve.loss) == len(curve.validation) == curve.best_epoch + 2 < 50
    assert curve.start is not None
    everything = [curve.start, *curve.validation]
    assert everything[curve.best_epoch] == min(everything)
    assert validation_loss(model, wrong, queries, True) == pytest.approx(min(everything), rel=1e-6)


def test_training_that_only_harms_keeps_the_start(data: TrainingData) -> None:
    assert data.validation is not None
    taught = encoder()
    train(data, taught, epochs=15)
    before = taught.state()
    before = {name: array.copy() for name, array in before.items()}
    moments = data.moments()
    wrong = replace(moments, targets=(moments.targets + 2) % 6)
    curve = optimise(taught, data, wrong, settings(patience=3), repeats=True)
    assert curve.best_epoch == 0
    assert len(curve.loss) == 3
    assert all(np.array_equal(array, taught.state()[name]) for name, array in before.items())


def test_a_refit_does_not_look_at_validation(data: TrainingData, blind: TrainingData) -> None:
    one, other = encoder(), encoder()
    curve = train(data, one, epochs_fixed=3, epochs=9, patience=1)
    assert curve == train(blind, other, epochs_fixed=3)
    assert (curve.start, curve.validation, curve.best_epoch, len(curve.loss)) == (None, [], 3, 3)
    assert all(np.array_equal(array, other.state()[name]) for name, array in one.state().items())


def test_without_validation_all_epochs_are_used(blind: TrainingData) -> None:
    curve = train(blind, epochs=4, patience=1)
    assert curve.best_epoch == len(curve.loss) == 4


def test_a_loss_that_runs_away_names_the_way_out(blind: TrainingData) -> None:
    with pytest.raises(
        FloatingPointError,
        match=r"^`mlp`: the training loss is .* in epoch 1, batch \d+ of \d+, at a rate of 1e\+30; lower `rate`\.$",
    ):
        train(blind, optimiser="sgd", rate=1e30)


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("after", [1, 3])
def test_a_training_goes_on_where_it_was(data: TrainingData, after: int, optimiser: str) -> None:
    kept: list[Training] = []
    whole = encoder()
    values: dict[str, Any] = {"epochs": 6, "optimiser": optimiser, "seed": 3}
    expected = train(data, whole, **values, keep=lambda t: kept.append(copy.deepcopy(t)))
    again = encoder(seed=77)  # other first parameters: they must not matter
    epochs: list[int] = []
    curve = train(
        data, again, **values, resume=kept[after - 1], keep=lambda t: epochs.append(len(t.curve.loss))
    )
    assert epochs == list(range(after + 1, 7))
    assert curve.loss == pytest.approx(expected.loss, rel=1e-6)
    assert curve.validation == pytest.approx(expected.validation, rel=1e-6)
    assert (curve.start, curve.best_epoch) == (expected.start, expected.best_epoch)
    for name, array in whole.state().items():
        assert again.state()[name] == pytest.approx(array, rel=1e-5, abs=1e-7)


def test_a_training_that_was_over_ends_with_its_best_epoch(data: TrainingData) -> None:
    kept: list[Training] = []
    whole, again = encoder(), encoder(seed=77)
    expected = train(data, whole, keep=lambda t: kept.append(copy.deepcopy(t)))
    assert train(data, again, resume=kept[-1]) == expected
    assert all(np.array_equal(array, again.state()[name]) for name, array in whole.state().items())


def test_moments_of_which_next_to_nothing_is_left_do_not_break_the_loss(blind: TrainingData) -> None:
    """Whole batches weigh less than the smallest float32, and some nothing at all."""
    for half_life in (0.04, 0.005):
        sharp = {"family": "exponential", "half_life": half_life}
        model = encoder()
        curve = train(blind, model, forgetting=sharp, batch=4)
        assert np.isfinite(curve.loss).all()
        assert all(np.isfinite(array).all() for array in model.state().values())


def test_nothing_to_train_on_is_said(blind: TrainingData) -> None:
    none = blind.moments().take(slice(0, 0))
    with pytest.raises(ValueError, match=r"needs a moment with a history .*but got 0 moments"):
        optimise(encoder(), blind, none, settings(), repeats=True)


def test_a_curve_is_plain_data() -> None:
    curve = Curve([1.0, 0.5], [0.9, 0.8], 1.5, 2)
    assert Curve(**curve.to_dict()) == curve
    assert Curve() == Curve([], [], None, 0)
