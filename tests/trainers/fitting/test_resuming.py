"""A training that is stopped anywhere goes on as if nothing had been: bit for bit in one process."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers import helpers
from tests.trainers.neural import NEURAL, OWN, neural
from trainers.encoders import Neural
from trainers.log import TrainingData
from trainers.training.clock import Clock
from trainers.training.computing import ComputeSettings
from trainers.training.curve import Curve
from trainers.training.loop import Training, optimise
from trainers.training.optimise import OptimiseSettings
from trainers.training.workers import ALONE, Workers

EVERY_BATCH = ComputeSettings.model_validate({"checkpoint": {"minutes": 1e-9}})
BASE: dict[str, Any] = {"rate": 0.02, "batch": 20, "epochs": 3, "schedule": "linear", "warmup": 3}


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return helpers.training(helpers.cycle(users=10), 7, validate=True)


def train(
    kind: str, data: TrainingData, seed: int = 0, compute: ComputeSettings = EVERY_BATCH, **values: Any
) -> tuple[Neural, Curve, list[Training]]:
    """With dropout, and with all that it kept on the way."""
    rest = {name: values.pop(name) for name in ("resume",) if name in values}
    model = neural(kind, 6, stirred=False, seed=seed, dropout=0.3, own=OWN)
    kept: list[Training] = []
    settings = OptimiseSettings.model_validate({**BASE, **values})
    curve = optimise(
        model, data, data.moments(), settings, repeats=True, seed=3, compute=compute,
        keep=lambda training: kept.append(copy.deepcopy(training)), **rest,
    )  # fmt: skip
    return model, curve, kept


def same(one: Neural, other: Neural) -> bool:
    return all(np.array_equal(array, other.state()[name]) for name, array in one.state().items())


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        *((kind, {}) for kind in NEURAL),
        ("recurrent", {"average": 0.9}),
        ("mlp", {"optimiser": "sgd"}),
        ("mlp", {"loss": {"kind": "sampled", "negatives": 3, "sparse": True}}),
    ],
    ids=str,
)
def test_in_the_middle_of_an_epoch(kind: str, changes: dict[str, Any], data: TrainingData) -> None:
    whole, expected, kept = train(kind, data, **changes)
    places = [(len(each.curve.loss), each.batch) for each in kept]
    middle = [place for place in places if place[1]]
    assert len(middle) >= 6
    at = places.index(middle[len(middle) // 2])
    assert places[at][0] == 1
    again, curve, rest = train(kind, data, seed=77, **changes, resume=copy.deepcopy(kept[at]))
    assert curve == expected  # exactly: every loss and every judgement
    assert same(whole, again)
    assert [(len(each.curve.loss), each.batch) for each in rest] == places[at + 1 :]


def test_from_every_place(data: TrainingData) -> None:
    whole, expected, kept = train("mlp", data)
    for training in kept[::3]:
        again, curve, _ = train("mlp", data, seed=5, resume=copy.deepcopy(training))
        assert curve == expected
        assert same(whole, again)


def test_checkpoints_by_epoch(data: TrainingData) -> None:
    seldom = ComputeSettings.model_validate({"checkpoint": {"epochs": 2, "minutes": 1000}})
    _, _, kept = train("mlp", data, compute=seldom, epochs=5, patience=9)
    assert [(len(each.curve.loss), each.batch) for each in kept] == [(2, 0), (4, 0)]


def test_what_is_ahead_changes_nothing(data: TrainingData) -> None:
    curves = [
        train("recurrent", data, compute=ComputeSettings.model_validate({"ahead": ahead}))[1]
        for ahead in (0, 1, 7)
    ]
    assert curves[0] == curves[1] == curves[2]


def test_another_crew_takes_over_all_sums(data: TrainingData) -> None:
    """As two workers left them; the random states are theirs, so that dropout draws anew."""
    _, expected, kept = train("mlp", data)
    training = next(each for each in kept if each.batch == 2 and len(each.curve.loss) == 1)
    [[loss, weight]] = training.sums
    state = torch.get_rng_state()
    training.sums, training.random = [[loss - 0.5, weight], [0.5, 0.0]], [[state], [state]]
    _, curve, _ = train("mlp", data, resume=training)
    assert curve.loss[0] == expected.loss[0]
    assert curve.loss[1:] == pytest.approx(expected.loss[1:], rel=0.05)
    assert curve.loss != expected.loss


@pytest.mark.parametrize("pace", [0.01, 0.7, 20.0, 1000.0])
def test_the_clock_strikes_soon_after_its_time(pace: float) -> None:
    """Steps of so many seconds, a stroke each ten minutes; and workers talk of it 120 times at most."""
    now, asked = 0.0, 0

    class Counted(Workers):
        def first(self, array: Any) -> Any:
            nonlocal asked
            asked += 1
            return super().first(array)

    clock = Clock(10, Counted(), lambda: now)
    for _ in range(5):
        begun, asked = now, 0
        while True:
            now += pace
            if clock.strikes():
                break
        clock.reset()
        assert 600 <= now - begun <= 600 + 2 * pace
        assert asked <= 120


def test_a_clock_of_a_pace_that_changes() -> None:
    """Ten times slower in the middle: still not much too late."""
    now, clock = 0.0, None
    clock = Clock(1, ALONE, lambda: now)
    steps = 0
    while True:
        steps += 1
        now += 0.01 if now < 20 else 0.1
        if clock.strikes():
            break
    assert 60 <= now < 90
