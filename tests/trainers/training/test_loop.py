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
from tests.trainers.neural import NEURAL, OWN, neural
from tests.trainers.simulate import curve as known
from tests.trainers.simulate import simulated
from trainers.encoders import Neural
from trainers.encoders.mlp import Mlp, MlpSettings
from trainers.forgetting import ForgettingSettings
from trainers.log import Queries, TrainingData
from trainers.training.curve import Curve
from trainers.training.epochs import example_weights, validation_loss
from trainers.training.loop import Training, optimise
from trainers.training.losses import LOSSES, Negatives
from trainers.training.optimise import LossSettings, OptimiseSettings

RECENT = ForgettingSettings(family="exponential", clock="moments", half_life=0.4)
OLD_FIRST = ForgettingSettings(family="exponential", half_life=1.5)


def encoder(items: int = 6, seed: int = 0, **settings: Any) -> Mlp:
    torch.manual_seed(seed)
    values: dict[str, Any] = {"dim": 8, "hidden": 12, "dropout": 0.0, "forgetting": RECENT, **settings}
    return Mlp(MlpSettings.model_validate(values), items)


def settings(**values: Any) -> OptimiseSettings:
    return OptimiseSettings.model_validate({"rate": 0.02, "batch": 32, "epochs": 4, **values})


def train(data: TrainingData, model: Mlp | None = None, *, repeats: bool = True, **values: Any) -> Curve:
    keys = ("seed", "epochs_fixed", "resume", "keep", "compute")
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
    weights = example_weights(blind, moments, chosen)
    model = encoder()
    log_shares = torch.log_softmax(
        torch.from_numpy(model.score(helpers.histories_of(blind, moments))), 1
    ).numpy()
    nll = -log_shares[np.arange(len(moments)), moments.targets]
    curve = optimise(model, blind, moments, chosen, repeats=True)
    assert curve.loss == pytest.approx([(weights * nll).sum() / weights.sum()], rel=1e-5)


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


FELT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"optimiser": "sgd"}),
    ({}, {"rate": 0.01}),
    ({}, {"schedule": "linear"}),
    ({}, {"warmup": 7}),
    ({}, {"weight_decay": 0.5}),
    ({"optimiser": "sgd"}, {"weight_decay": 0.5}),
    ({}, {"clip": 0.01}),
    ({"optimiser": "sgd"}, {"clip": 0.01}),
    ({}, {"batch": 50}),
    ({}, {"epochs": 3}),
    ({}, {"average": 0.5}),
    ({}, {"forgetting": RECENT}),
    ({}, {"forgetting": OLD_FIRST}),
    ({}, {"seed": 1}),
    *(({}, {"loss": {"kind": kind, "negatives": 3}}) for kind in LOSSES),
    *(
        ({"loss": {"kind": kind, "negatives": 2}}, {"loss": {"kind": kind, "negatives": 4}})
        for kind in LOSSES
    ),
    (
        {"loss": {"kind": "gbce", "negatives": 2}},
        {"loss": {"kind": "gbce", "negatives": 2, "calibration": 0.1}},
    ),
    (
        {"batch": 4, "loss": {"kind": "sampled", "negatives": 1}},
        {"batch": 4, "loss": {"kind": "sampled", "negatives": 1, "sparse": True}},
    ),
]


@pytest.mark.parametrize(("base", "change"), FELT, ids=str)
def test_each_setting_is_felt(data: TrainingData, base: dict[str, Any], change: dict[str, Any]) -> None:
    one, other = train(data, **base), train(data, **{**base, **change})
    assert one.validation != pytest.approx(other.validation, rel=1e-5)


def test_every_setting_is_changed_in_a_test() -> None:
    """Some have tests of their own, here and in `test_changes.py`."""
    elsewhere = {"patience", "by_items", "decay_rate", "changes", "overlap"}
    changed = {name for _, change in FELT for name in change} | elsewhere
    assert changed == {*OptimiseSettings.model_fields, "seed"}
    losses = {name for _, change in FELT for name in change.get("loss", {})}
    assert losses == set(LossSettings.model_fields)


def test_how_much_windows_share_is_felt(data: TrainingData) -> None:
    """Where histories are longer than what a moment reads; not where a window holds them whole."""
    short, other = (train(data, encoder(max_history=4), overlap=share) for share in (0.0, 1.0))
    assert short.validation != pytest.approx(other.validation, rel=1e-5)
    whole, same = (train(data, encoder(max_history=100), overlap=share) for share in (0.0, 1.0))
    assert whole.validation == same.validation


@pytest.mark.parametrize("kind", LOSSES)
def test_every_loss_teaches_what_comes_next(data: TrainingData, kind: str) -> None:
    """It is judged by likelihood on validation, whatever it is that is minimised."""
    model = encoder()
    curve = train(data, model, epochs=30, patience=30, loss={"kind": kind, "negatives": 4})
    assert curve.start is not None
    assert min(curve.validation) < curve.start - 0.5
    assert data.validation is not None
    best = model.score(helpers.histories_of(data, data.validation)).argmax(1)
    assert (best == data.validation.targets).mean() > 0.9


def test_rates_by_hand() -> None:
    """Of ten steps: a warm-up of four, and a fall to a tenth at the end."""
    plain, warm = settings(rate=0.4), settings(rate=0.4, warmup=4)
    linear = settings(rate=0.4, schedule="linear")
    both = settings(rate=0.4, schedule="linear", warmup=4)
    assert [plain.rate_at(step, 10) for step in (0, 5, 99)] == [0.4] * 3
    assert [warm.rate_at(step, 10) for step in range(6)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])
    assert [linear.rate_at(step, 10) for step in (0, 5, 10)] == pytest.approx([0.4, 0.22, 0.04])
    assert [both.rate_at(step, 10) for step in (0, 5)] == pytest.approx([0.1, 0.22])


@pytest.mark.parametrize("refit", [{}, {"epochs_fixed": 2}], ids=["stopping", "refit"])
def test_the_schedule_is_that_of_all_epochs(data: TrainingData, refit: dict[str, int]) -> None:
    """A refit for two of four epochs has the rates that the two had when the four were planned."""
    rates: list[float] = []
    values: dict[str, Any] = {"schedule": "linear", "warmup": 3, "batch": 10_000, **refit}
    train(data, **values, keep=lambda t: rates.append(t.optimiser["param_groups"][0]["lr"]))
    expected = [settings(schedule="linear", warmup=3).rate_at(step, 4) for step in range(4)]
    assert rates == pytest.approx(expected[: len(rates)])
    assert len(rates) == (2 if refit else 4)


def test_the_average_by_hand(data: TrainingData) -> None:
    """One step an epoch: where the parameters were after each, by shares of which each has 0.7 of the next one; nothing
    is left of where they began, and they move as ever."""
    kept, plain = [], []
    model = encoder()
    state: dict[str, torch.Tensor] = {}
    values: dict[str, Any] = {"batch": 10_000, "epochs": 5, "patience": 9}
    curve = train(data, model, **values, average=0.7, keep=lambda t: kept.append(copy.deepcopy(t)))
    train(data, **values, keep=lambda t: plain.append(copy.deepcopy(t)))
    judged = []
    for steps, (training, without) in enumerate(zip(kept, plain, strict=True), 1):
        shares = [0.7 ** (steps - step) for step in range(1, steps + 1)]
        assert training.average is not None
        assert without.average is None
        for name, tensor in training.module.items():
            torch.testing.assert_close(tensor, without.module[name], rtol=0, atol=0)
            passed = [share * each.module[name] for share, each in zip(shares, plain, strict=False)]
            state[name] = torch.stack(passed).sum(0) / sum(shares)
            torch.testing.assert_close(training.average[name], state[name])
        average = encoder()
        average.module.load_state_dict(state)
        assert data.validation is not None
        judged.append(validation_loss(average, data, data.validation, True))
    assert curve.validation == pytest.approx(judged, rel=1e-5)
    assert curve.best_epoch == 5
    for name, array in model.state().items():
        torch.testing.assert_close(torch.from_numpy(np.asarray(array)), state[name])


def test_a_training_with_an_average_goes_on_where_it_was(data: TrainingData) -> None:
    kept: list[Training] = []
    whole, again = encoder(), encoder(seed=77)
    values: dict[str, Any] = {"average": 0.9, "schedule": "linear", "warmup": 9}
    expected = train(data, whole, **values, keep=lambda t: kept.append(copy.deepcopy(t)))
    curve = train(data, again, **values, resume=kept[1])
    assert curve.loss == pytest.approx(expected.loss, rel=1e-6)
    assert curve.validation == pytest.approx(expected.validation, rel=1e-6)


@pytest.mark.parametrize("clip", [0.01, 1e6])
def test_a_gradient_is_as_long_as_the_clip_at_most(blind: TrainingData, clip: float) -> None:
    """Of the first step, which is the rate times the gradient."""
    model = encoder()
    before = {name: np.array(array, np.float64) for name, array in model.state().items()}
    train(blind, model, optimiser="sgd", rate=0.5, weight_decay=0, clip=clip, batch=10_000, epochs=1)
    moved = [np.asarray(array, np.float64) - before[name] for name, array in model.state().items()]
    length = math.sqrt(sum((step**2).sum() for step in moved))
    if clip < 1:
        assert length == pytest.approx(0.5 * clip, rel=1e-3)
    else:
        assert length > 0.5 * 0.02


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("kind", NEURAL)
def test_only_matrices_decay(kind: str, optimiser: str) -> None:
    """Neither biases nor what is learned of a curve, which would be drawn to a half-life of a day."""
    module = neural(kind, 6, own=OWN).module
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    build = settings(optimiser=optimiser, rate=0.1, weight_decay=0.5).build(module.parameters())
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    build.step()
    for name, parameter in module.named_parameters():
        matrix = name.endswith(("weight", "weight_ih", "weight_hh")) and parameter.ndim == 2
        factor = 0.95 if matrix else 1.0
        torch.testing.assert_close(parameter.detach(), factor * before[name], msg=name)
    assert any("retention" in name or "log_rate" in name for name in before)


def test_negatives_are_drawn_anew_each_step(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the seed, the epoch and the step alone, so that all workers draw the same."""
    drawn: list[list[int]] = []
    draw = Negatives.draw

    def noted(*values: Any) -> Negatives:
        found = draw(*values)
        drawn.append(found.columns.tolist())
        return found

    monkeypatch.setattr(Negatives, "draw", noted)
    values: dict[str, Any] = {"loss": {"kind": "sampled", "negatives": 3}, "epochs": 2}
    runs = []
    for seed in (0, 0, 1):
        drawn.clear()
        torch.manual_seed(seed)  # the first parameters' draws must not matter
        train(data, **values, seed=seed)
        runs.append([*drawn])
    assert runs[0] == runs[1] != runs[2]
    assert len(runs[0]) > 8
    assert len({tuple(columns) for columns in runs[0]}) > 3


SIMULATED = {"rate": 0.01, "batch": 64, "epochs": 3}


@pytest.fixture(scope="module")
def people() -> TrainingData:
    """People who take again what they had, by a known curve; the last days validate."""
    log = simulated(known("power", tau=2.0, exponent=1.0), users=30, moments=16, items=40, seed=5)
    return helpers.training(log, 24, validate=True)


def taught(kind: str, people: TrainingData, seed: int = 0, **changes: Any) -> tuple[Neural, Curve]:
    model = neural(kind, len(people.catalogue), stirred=False, dropout=0.1, own=OWN, **changes)
    model.begin(people)
    return model, optimise(model, people, people.moments(), settings(**SIMULATED), repeats=True, seed=seed)


GOLDENS: dict[str, tuple[float, list[float], list[float]]] = {
    "mlp": (2.473831, [2.346502, 2.29508, 2.26131], [2.406016, 2.355968, 2.324348]),
    "gru": (2.472888, [2.354784, 2.310145, 2.285699], [2.404676, 2.363733, 2.339381]),
    "lstm": (2.485456, [2.385219, 2.316569, 2.285293], [2.397514, 2.343214, 2.317812]),
    "vae": (2.455849, [2.377296, 2.344252, 2.296467], [2.396849, 2.356416, 2.333395]),
    "transformer": (2.776654, [2.606384, 2.408528, 2.337408], [2.444828, 2.370998, 2.333696]),
    "recurrent": (2.659816, [2.47035, 2.327626, 2.271975], [2.511, 2.436126, 2.360368]),
}
"""By kind: the validation loss before training, the loss of each epoch, the validation loss after it."""


@pytest.mark.parametrize("kind", NEURAL)
def test_every_kind_has_a_golden_loss_curve(kind: str, people: TrainingData) -> None:
    """Recorded once, with learned retention of own items: a change is a change of what training does."""
    _, found = taught(kind, people)
    start, losses, validation = GOLDENS[kind]
    assert found.start == pytest.approx(start, abs=1e-4)
    assert found.loss == pytest.approx(losses, abs=1e-4)
    assert found.validation == pytest.approx(validation, abs=1e-4)
    assert found.loss[0] > found.loss[1] > found.loss[2]


@pytest.mark.parametrize("kind", NEURAL)
def test_every_kind_trains_the_same_twice(kind: str, people: TrainingData) -> None:
    (one, first), (other, second), (_, third) = (taught(kind, people, seed) for seed in (0, 0, 1))
    assert first == second != third
    assert all(np.array_equal(array, other.state()[name]) for name, array in one.state().items())


@pytest.mark.parametrize("kind", NEURAL)
def test_every_kind_learns_what_comes_next(kind: str, data: TrainingData) -> None:
    """Round and round, from the latest item alone."""
    model = neural(kind, 6, stirred=False, dim=8, forgetting=RECENT.model_dump(mode="json"))
    curve = optimise(model, data, data.moments(), settings(epochs=40, patience=40), repeats=True)
    assert min(curve.validation) < 0.3
    assert data.validation is not None
    scores = model.score(helpers.histories_of(data, data.validation))
    assert scores.argmax(1).tolist() == data.validation.targets.tolist()


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
