"""Every setting of a training is felt, and does what it says."""

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
from tests.trainers.training.cycling import OLD_FIRST, RECENT, encoder, settings, train
from trainers.log import TrainingData
from trainers.training.epochs import validation_loss
from trainers.training.loop import Training
from trainers.training.losses import LOSSES, Negatives
from trainers.training.optimise import LossSettings, OptimiseSettings

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
    """Some have tests of their own, here, in `test_epochs.py` and in `test_changes.py`."""
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


def test_dropout_is_felt(blind: TrainingData) -> None:
    losses = [train(blind, encoder(dropout=dropout)).loss for dropout in (0.0, 0.3, 0.8)]
    assert losses[0][-1] < losses[1][-1] < losses[2][-1]


def test_patience_is_felt(data: TrainingData) -> None:
    assert data.validation is not None
    wrong = replace(data, validation=replace(data.validation, targets=(data.validation.targets + 1) % 6))
    lengths = [len(train(wrong, epochs=30, patience=patience).loss) for patience in (1, 4)]
    assert lengths[1] >= lengths[0] + 3
