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
from trainers.curve import Curve
from trainers.encoders.mlp import Mlp, MlpSettings
from trainers.forgetting import ForgettingSettings
from trainers.log import Queries, TrainingData
from trainers.loop import Training, example_weights, optimise, validation_loss
from trainers.optimise import OptimiseSettings

RECENT = ForgettingSettings(family="exponential", clock="moments", half_life=0.4)
OLD_FIRST = ForgettingSettings(family="exponential", half_life=1.5)


def encoder(items: int = 6, seed: int = 0, **settings: Any) -> Mlp:
    torch.manual_seed(seed)
    values: dict[str, Any] = {"dim": 8, "hidden": 12, "dropout": 0.0, "forgetting": RECENT, **settings}
    return Mlp(MlpSettings.model_validate(values), items)


def settings(**values: Any) -> OptimiseSettings:
    return OptimiseSettings.model_validate({"rate": 0.02, "batch": 32, "epochs": 4, **values})


def train(data: TrainingData, model: Mlp | None = None, *, repeats: bool = True, **values: Any) -> Curve:
    keys = ("seed", "epochs_fixed", "resume", "after_epoch")
    rest = {key.removesuffix("_fixed"): values.pop(key) for key in keys if key in values}
    return optimise(model or encoder(), data, data.moments(), settings(**values), repeats=repeats, **rest)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """Round and round: 24 users, 7 training moments with a history each; the days 8 and 9 validate."""
    return helpers.training(helpers.cycle(), 8, validate=True)


@pytest.fixture(scope="module")
def blind(data: TrainingData) -> TrainingData:
    return replace(data, validation=None)


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
    "loss": [1.7552036, 1.6241306, 1.3375117, 1.0021429],
    "validation": [1.6983224, 1.4837798, 1.1120089, 0.7221593],
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
    weights = example_weights(blind, moments, chosen)
    model = encoder()
    log_shares = torch.log_softmax(
        torch.from_numpy(model.score(helpers.histories_of(blind, moments))), 1
    ).numpy()
    nll = -log_shares[np.arange(len(moments)), moments.targets]
    curve = optimise(model, blind, moments, chosen, repeats=True)
    assert curve.loss == pytest.approx([(weights * nll).sum() / weights.sum()], rel=1e-5)


def test_the_validation_loss_by_hand(data: TrainingData) -> None:
    model = encoder()
    queries = data.validation
    assert queries is not None
    scores = torch.from_numpy(model.score(helpers.histories_of(data, queries)))
    nll = -torch.log_softmax(scores, 1)[torch.arange(len(queries)), torch.from_numpy(queries.targets)]
    got = validation_loss(model, data, queries, True)
    assert got == pytest.approx(float(nll.mean()), rel=1e-5)


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
    states: list[Training] = []
    model = encoder()
    curve = train(wrong, model, epochs=50, patience=2, rate=0.003, after_epoch=lambda t: states.append(t))
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
        FloatingPointError, match=r"^`mlp`: the training loss is .*; lower `rate` \(now in use: 1e\+30\)\.$"
    ):
        train(blind, optimiser="sgd", rate=1e30)


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("after", [1, 3])
def test_a_training_goes_on_where_it_was(data: TrainingData, after: int, optimiser: str) -> None:
    kept: list[Training] = []
    whole = encoder()
    values: dict[str, Any] = {"epochs": 6, "optimiser": optimiser, "seed": 3}
    expected = train(data, whole, **values, after_epoch=lambda t: kept.append(copy.deepcopy(t)))
    again = encoder(seed=77)  # other first parameters: they must not matter
    epochs: list[int] = []
    curve = train(
        data, again, **values, resume=kept[after - 1], after_epoch=lambda t: epochs.append(len(t.curve.loss))
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
    expected = train(data, whole, after_epoch=lambda t: kept.append(copy.deepcopy(t)))
    assert train(data, again, resume=kept[-1]) == expected
    assert all(np.array_equal(array, again.state()[name]) for name, array in whole.state().items())


@pytest.mark.parametrize(
    "change",
    [
        {"optimiser": "sgd"},
        {"rate": 0.01},
        {"weight_decay": 0.5},
        {"optimiser": "sgd", "weight_decay": 0.5},
        {"batch": 50},
        {"epochs": 3},
        {"forgetting": RECENT},
        {"forgetting": OLD_FIRST},
        {"seed": 1},
    ],
    ids=str,
)
def test_each_setting_is_felt(data: TrainingData, change: dict[str, Any]) -> None:
    base = {"optimiser": change["optimiser"]} if len(change) > 1 else {}
    assert train(data, **base).validation != pytest.approx(train(data, **change).validation, rel=1e-5)


def test_dropout_is_felt(blind: TrainingData) -> None:
    losses = [train(blind, encoder(dropout=dropout)).loss for dropout in (0.0, 0.3, 0.8)]
    assert losses[0][-1] < losses[1][-1] < losses[2][-1]


def test_patience_is_felt(data: TrainingData) -> None:
    assert data.validation is not None
    wrong = replace(data, validation=replace(data.validation, targets=(data.validation.targets + 1) % 6))
    lengths = [len(train(wrong, epochs=30, patience=patience).loss) for patience in (1, 4)]
    assert lengths[1] >= lengths[0] + 3


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


def test_a_curve_is_plain_data() -> None:
    curve = Curve([1.0, 0.5], [0.9, 0.8], 1.5, 2)
    assert Curve(**curve.to_dict()) == curve
    assert Curve() == Curve([], [], None, 0)
