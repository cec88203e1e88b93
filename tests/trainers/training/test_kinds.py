"""What holds of the training of every kind of network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.trainers import helpers
from tests.trainers.neural import NEURAL, OWN, neural
from tests.trainers.simulate import curve as known
from tests.trainers.simulate import simulated
from tests.trainers.training.cycling import RECENT, settings
from trainers.encoders import Neural
from trainers.log import TrainingData
from trainers.training.curve import Curve
from trainers.training.loop import optimise

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
