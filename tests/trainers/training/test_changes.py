"""Settings that are otherwise from some epoch on, and the rate of what fades."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.trainers import helpers
from tests.trainers.neural import NEURAL, OWN, neural
from trainers.encoders import Neural
from trainers.log import TrainingData
from trainers.training.changes import CHANGEABLE
from trainers.training.computing import ComputeSettings
from trainers.training.curve import Curve
from trainers.training.loop import Training, optimise
from trainers.training.optimise import OptimiseSettings

OLD_FIRST = {"family": "exponential", "half_life": 0.7}
OTHER: dict[str, Any] = {
    "rate": 0.002,
    "decay_rate": 7.0,
    "weight_decay": 0.9,
    "by_items": 1.0,
    "dropout": 0.6,
    "forgetting": OLD_FIRST,
}
"""For each that may change another value than the tests begin with."""


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """Moments of one to three items, so that `by_items` tells them apart."""
    log = helpers.crowded(5, users=14, items=6)
    return helpers.training(log, 15, validate=True)


def train(data: TrainingData, kind: str = "mlp", **values: Any) -> tuple[Neural, Curve, list[Training]]:
    names = ("resume", "compute", "epochs_fixed")
    rest: dict[str, Any] = {name.removesuffix("_fixed"): values.pop(name) for name in names if name in values}
    encoder = neural(kind, 6, stirred=False, dropout=0.3, own=OWN)
    kept: list[Training] = []
    settings = OptimiseSettings.model_validate(
        {"rate": 0.02, "batch": 20, "epochs": 4, "patience": 9, "schedule": "linear", **values}
    )
    curve = optimise(
        encoder, data, data.moments(), settings, repeats=True, seed=3,
        keep=lambda training: kept.append(copy.deepcopy(training)), **rest,
    )  # fmt: skip
    return encoder, curve, kept


def same(one: Neural, other: Neural) -> bool:
    return all(np.array_equal(array, other.state()[name]) for name, array in one.state().items())


@pytest.mark.parametrize("name", CHANGEABLE)
def test_a_change_is_a_training_that_goes_on_with_other_settings(data: TrainingData, name: str) -> None:
    """Two epochs of one training, then what another takes over from there."""
    assert set(OTHER) == set(CHANGEABLE)
    changed, curve, _ = train(data, changes=[{"after": 2, name: OTHER[name]}])
    plain, before, kept = train(data)
    assert curve.loss[:2] == before.loss[:2]
    assert not same(changed, plain)
    last = {name: OTHER[name]} if name != "dropout" else {"changes": [{"after": 1, "dropout": OTHER[name]}]}
    stitched, after, _ = train(data, resume=kept[1], **last)
    assert after == curve
    assert same(stitched, changed)


def test_a_later_change_lies_over_those_before(data: TrainingData) -> None:
    both, curve, _ = train(data, changes=[{"after": 1, "rate": 0.1}, {"after": 3, "weight_decay": 0.9}])
    _, first, _ = train(data, changes=[{"after": 1, "rate": 0.1}])
    again, second, _ = train(
        data, changes=[{"after": 1, "rate": 0.1}, {"after": 3, "rate": 0.1, "weight_decay": 0.9}]
    )
    assert curve.loss[:3] == first.loss[:3]
    assert curve == second
    assert same(both, again)
    assert not same(both, train(data, changes=[{"after": 3, "weight_decay": 0.9}])[0])


@pytest.mark.parametrize("kind", ["recurrent", "transformer"])
def test_a_changing_training_that_was_stopped_goes_on_bit_for_bit(kind: str, data: TrainingData) -> None:
    changes = [
        {"after": 1, "dropout": 0.6, "decay_rate": 3.0},
        {"after": 2, "rate": 0.1, "forgetting": OLD_FIRST},
    ]
    often = ComputeSettings.model_validate({"checkpoint": {"minutes": 1e-9}})
    whole, expected, kept = train(data, kind, changes=changes, compute=often)
    for at in (len(kept) // 3, len(kept) // 2):
        again, curve, _ = train(data, kind, changes=changes, compute=often, resume=copy.deepcopy(kept[at]))
        assert curve == expected
        assert same(again, whole)


def test_a_refit_of_some_epochs_follows_the_same_schedule(data: TrainingData) -> None:
    changes = [{"after": 1, "rate": 0.1}, {"after": 3, "rate": 0.5}]
    _, curve, _ = train(data, changes=changes)
    _, refit, _ = train(data, changes=changes, epochs_fixed=2)
    assert refit.loss == curve.loss[:2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            [{"after": 2, "rate": 0.1}, {"after": 2, "rate": 0.2}],
            r"one after the other within the 4 epochs.*\[2, 2\]",
        ),
        ([{"after": 3, "rate": 0.1}, {"after": 1, "rate": 0.2}], r"but got \[3, 1\]"),
        ([{"after": 4, "rate": 0.1}], r"below 4, but got \[4\]"),
        ([{"after": 0, "rate": 0.1}], "greater than or equal to 1"),
        ([{"after": 2}], "must name what is otherwise after 2 epochs, one of"),
        ([{"after": 2, "batch": 3}], "Extra inputs"),
        ([{"after": 2, "dropout": 1.0}], "less than 1"),
    ],
)
def test_what_is_no_schedule_is_refused(changes: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        OptimiseSettings.model_validate({"epochs": 4, "changes": changes})


@pytest.mark.parametrize("kind", NEURAL)
def test_what_fades_learns_at_a_rate_of_its_own(kind: str) -> None:
    """A step of plain gradients by hand: curves go three times as far as all else; at 0 they stay where they are."""
    for factor in (3.0, 0.0):
        module = neural(kind, 6, own=OWN).module
        before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
        settings = OptimiseSettings(optimiser="sgd", rate=0.5, decay_rate=factor, weight_decay=0.0)
        optimiser = settings.build(module.parameters(), module.fading())
        for parameter in module.parameters():
            parameter.grad = torch.ones_like(parameter)
        settings.steer(optimiser, 0.1)
        optimiser.step()
        moved = {name: before[name] - parameter for name, parameter in module.named_parameters()}
        fades = {
            name for name in moved if name.startswith("own.") or "retention" in name or "log_rate" in name
        }
        assert {name.split(".")[0] for name in fades} > {"own"}
        for name, way in moved.items():
            expected = torch.full_like(way, 0.1 * (factor if name in fades else 1.0))
            torch.testing.assert_close(way, expected, rtol=1e-4, atol=1e-6, msg=name)


def test_a_bank_whose_curves_stay_is_another_than_one_whose_curves_run(data: TrainingData) -> None:
    def half_lives(decay_rate: float) -> list[float]:
        encoder, _, _ = train(data, "recurrent", decay_rate=decay_rate)
        return [curve.half_life for curve in encoder.curves().values()]

    begin = [curve.half_life for curve in neural("recurrent", 6, stirred=False).curves().values()]
    assert half_lives(0.0) == pytest.approx(begin, rel=1e-6)
    near, far = (np.abs(np.log(np.array(half_lives(rate)) / begin)).sum() for rate in (1.0, 5.0))
    assert 0 < near < far


@pytest.mark.parametrize(
    "more", [{"learn": True}, {"learn": ["half_life"]}, {"learn": True, "scope": "category"}], ids=str
)
def test_the_curve_of_a_loss_is_fixed(more: dict[str, Any]) -> None:
    for values in (
        {"forgetting": OLD_FIRST | more},
        {"changes": [{"after": 1, "forgetting": OLD_FIRST | more}]},
    ):
        with pytest.raises(
            ValidationError, match=r"must be fixed and the same for all, .* leave out `learn`"
        ):
            OptimiseSettings.model_validate(values)
