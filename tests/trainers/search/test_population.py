"""The settings of a population: what may change inside a training, and how far."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from trainers.encoders import NeuralSettings
from trainers.model import ModelSettings
from trainers.search.course import scheduled, until
from trainers.search.population import PopulationSettings
from trainers.search.settings import SearchSettings
from trainers.search.space import Space
from trainers.training.changes import CHANGEABLE
from trainers.training.optimise import OptimiseSettings

RANGE = {"low": 0.001, "high": 0.1, "log": True}
CURVE = {"family": "exponential", "half_life": 20.0}


def model(**training: Any) -> ModelSettings:
    network = {"kind": "mlp", "training": {"epochs": 12, "forgetting": CURVE, **training}}
    return ModelSettings.model_validate({"terms": [network, {"kind": "own"}, {"kind": "vae", "weight": 0.0}]})


def training(of: ModelSettings, place: int = 0) -> OptimiseSettings:
    term = of.terms[place]
    assert isinstance(term, NeuralSettings)
    return term.training


def check(space: dict[str, Any], of: ModelSettings | None = None, **scheduler: Any) -> None:
    chosen = SearchSettings.model_validate({"space": space, "scheduler": {"kind": "pbt", **scheduler}})
    chosen.check(of or model())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"interval": 0}, "greater than or equal to 1"),
        ({"quantile": 0.6}, "less than or equal to 0.5"),
        ({"quantile": 0}, "greater than 0"),
        ({"resample": 1.5}, "less than or equal to 1"),
        ({"factors": [1.1, 1.25]}, r"one below 1 and one above, but got \[1.1, 1.25\]"),
        ({"factors": [0.0, 1.25]}, "one below 1 and one above"),
        ({"grace": 1}, "Extra inputs"),
        ({"kind": "hyperband"}, "`kind` must be asha .* or pbt"),
    ],
)
def test_wrong_settings_fail(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SearchSettings.model_validate({"scheduler": {"kind": "pbt", **values}})


def test_without_a_kind_it_is_the_scheduler_that_stops() -> None:
    chosen = SearchSettings.model_validate({"scheduler": {"by": "users"}})
    assert chosen.halving is not None
    assert chosen.population is None
    assert SearchSettings.model_validate(chosen.model_dump()) == chosen
    other = SearchSettings.model_validate({"scheduler": {"kind": "pbt"}, "trials": 6})
    assert other.halving is None
    assert other.side_by_side == 6
    assert SearchSettings.model_validate(other.model_dump()) == other


@pytest.mark.parametrize(
    "name",
    ["dropout", *(f"training.{name}" for name in CHANGEABLE if name not in ("dropout", "forgetting"))],
)
def test_what_may_change_inside_a_training(name: str) -> None:
    check({"mlp": {name: {"low": 0.1, "high": 0.5}}})


def test_the_curve_of_the_loss_may_change() -> None:
    check({"mlp": {"training.forgetting.half_life": {"low": 5.0, "high": 50.0}}})


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"mlp": {"dim": [8, 16]}}, r"`mlp.dim` cannot change; search some of \(training.rate, .*`kind: asha`"),
        ({"mlp": {"training.batch": [64, 256]}}, "`mlp.training.batch` cannot change"),
        ({"mlp": {"training.epochs": [6, 12]}}, "`mlp.training.epochs` cannot change"),
        ({"mlp": {"training.dropout": [0.1]}}, "no setting 'training.dropout'"),
        ({"mlp": {"weight": {"low": 0.1, "high": 1.0}}}, "`mlp.weight` cannot change"),
        ({"mlp": {"forgetting": {"clock": ["time"]}}}, "`mlp.forgetting` cannot change"),
        ({"own": {"weight": [1.0, 2.0]}}, "`own.weight` cannot change"),
        ({"vae": {"dropout": [0.1, 0.2]}}, "`vae` has the weight 0"),
        ({}, "needs settings to change"),
    ],
)  # fmt: skip
def test_what_may_not(space: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(space)


def test_a_population_needs_rounds_and_no_schedule_before_it() -> None:
    with pytest.raises(
        ValueError, match=r"more than `interval` \(12\) epochs .* `mlp` has 12 epochs and 0 changes"
    ):
        check({"mlp": {"training.rate": RANGE}}, interval=12)
    with pytest.raises(ValueError, match="has 12 epochs and 1 changes"):
        check({"mlp": {"training.rate": RANGE}}, model(changes=[{"after": 2, "rate": 0.1}]))


def test_its_members_train_all_their_epochs() -> None:
    space = Space.model_validate({"mlp": {"training.rate": RANGE}})
    patient = PopulationSettings().patient(model(), space)
    assert [training(patient, place).patience for place in (0, 2)] == [12, 3]
    assert patient.terms[1] == model().terms[1]


def test_settings_move_by_the_factors_within_their_ranges() -> None:
    space = Space.model_validate({
        "mlp": {"training.rate": RANGE, "dropout": [0.0, 0.2, 0.4], "training.weight_decay": {"low": 0.0, "high": 0.5}}
    })  # fmt: skip
    name, rng = "mlp.training.rate", np.random.default_rng(0)
    at = {name: 0.01, "mlp.dropout": 0.2, "mlp.training.weight_decay": 0.45}
    found = [PopulationSettings(resample=0.0).perturbed(at, space, rng) for _ in range(60)]
    assert {round(params[name], 6) for params in found} == {0.008, 0.0125}
    assert {params["mlp.dropout"] for params in found} == {0.0, 0.4}
    assert {params["mlp.training.weight_decay"] for params in found} == {
        0.36,
        0.5,
    }  # no further than its range
    edge = [
        PopulationSettings(resample=0.0).perturbed({**at, "mlp.dropout": 0.4}, space, rng) for _ in range(30)
    ]
    assert {params["mlp.dropout"] for params in edge} == {0.2, 0.4}
    anew = [PopulationSettings(resample=1.0).perturbed(at, space, rng)[name] for _ in range(400)]
    assert len(set(anew)) == 400
    assert min(anew) >= 0.001
    assert max(anew) <= 0.1
    assert np.mean(np.log(anew)) == pytest.approx(np.log(0.01), abs=0.25)  # evenly on the logarithm
    assert {type(value) for params in found for value in params.values()} == {float}


def test_a_course_becomes_one_description() -> None:
    """By hand: what stays is not named again, and what begins after the end is left out."""
    stages = [
        (0, model(rate=0.01)),
        (3, model(rate=0.02)),
        (6, model(rate=0.02, weight_decay=0.3, forgetting={**CURVE, "half_life": 9.0})),
        (9, model(rate=0.02, weight_decay=0.3, forgetting={**CURVE, "half_life": 9.0})),
        (12, model(rate=0.5)),
    ]
    found = scheduled(stages)
    changes = [change.model_dump(exclude_none=True, mode="json") for change in training(found).changes]
    later = training(stages[2][1]).forgetting.model_dump(mode="json")
    assert changes == [{"after": 3, "rate": 0.02}, {"after": 6, "weight_decay": 0.3, "forgetting": later}]
    assert ModelSettings.model_validate(found.model_dump(mode="json")) == found
    assert found.terms[1:] == model().terms[1:]
    assert until(found, 6) == scheduled(stages[:2])
    assert until(found, 3) == stages[0][1]
    assert until(found, 12) == found


def test_the_control_has_no_curve_of_the_loss_to_search() -> None:
    space = Space.model_validate({"mlp": {"training.rate": RANGE, "training.forgetting.half_life": RANGE}})
    bare = space.without_forgetting(model())
    assert list(bare.root["mlp"].domains) == ["training.rate"]
    bare.check(model().without_forgetting())
