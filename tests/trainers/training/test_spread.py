"""How a step is computed, and by whom, changes nothing of what it does: in parts, by two workers, sharded, by rows."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from tests.trainers import helpers
from tests.trainers.neural import NEURAL, OWN, neural
from tests.trainers.search.crews import crew
from trainers.encoders import Neural
from trainers.log import TrainingData
from trainers.training.computing import ComputeSettings
from trainers.training.curve import Curve
from trainers.training.loop import Training, optimise, spread
from trainers.training.optimise import OptimiseSettings
from trainers.training.workers import ALONE, Workers

BASE: dict[str, Any] = {"rate": 0.02, "batch": 24, "epochs": 2, "warmup": 3}
SAMPLED: dict[str, Any] = {"kind": "sampled", "negatives": 3}
SPARSE: dict[str, Any] = {**SAMPLED, "sparse": True}


def made() -> TrainingData:
    return helpers.training(helpers.crowded(3, users=14), 15, validate=True)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return made()


def train(
    kind: str,
    data: TrainingData,
    compute: dict[str, Any] | None = None,
    workers: Workers = ALONE,
    resume: Training | None = None,
    **values: Any,
) -> tuple[Neural, Curve, list[Training]]:
    """Without dropout, whose draws depend on how a batch is cut."""
    model = neural(kind, len(data.catalogue), stirred=False, own=OWN)
    kept: list[Training] = []
    curve = optimise(
        model, data, data.moments(), OptimiseSettings.model_validate({**BASE, **values}), repeats=True,
        compute=ComputeSettings.model_validate(compute or {}), workers=workers, resume=resume,
        keep=lambda training: kept.append(copy.deepcopy(training)),
    )  # fmt: skip
    return model, curve, kept


def close(one: Neural, other: Neural, atol: float = 1e-4) -> None:
    expected: dict[str, Any] = one.state()
    for name, array in expected.items():
        if not name.endswith("read.bias"):  # a shift of all keys changes nothing: rounding alone moves it
            found: Any = other.state()[name]
            np.testing.assert_allclose(found, array, atol=atol, rtol=1e-3, err_msg=name)


@pytest.mark.parametrize(
    ("kind", "loss"), [*((kind, {}) for kind in NEURAL), ("mlp", SPARSE), ("gru", SPARSE)], ids=str
)
def test_parts_of_a_batch_add_up_to_it(kind: str, loss: dict[str, Any], data: TrainingData) -> None:
    if kind == "vae":
        pytest.skip("what it draws depends on how a batch is cut")
    # Plain descent: Adam makes much of the rounding of a gradient that is next to nothing.
    values: dict[str, Any] = {"loss": loss} if loss else {"optimiser": "sgd"}
    one, expected, _ = train(kind, data, **values)
    other, curve, _ = train(kind, data, {"accumulate": 3}, **values)
    assert curve.loss == pytest.approx(expected.loss, rel=1e-5)
    assert curve.validation == pytest.approx(expected.validation, rel=1e-5)
    close(one, other)


def test_parts_are_computed_one_after_the_other(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    model = neural("mlp", len(data.catalogue), stirred=False)
    forward = model.module.forward

    def noted(batch: Any) -> Any:
        sizes.append(len(batch.items))
        return forward(batch)

    monkeypatch.setattr(model.module, "forward", noted)
    blind = replace(data, validation=None)
    counts = {}
    for parts in (1, 4):
        sizes.clear()
        settings = OptimiseSettings.model_validate({**BASE, "epochs": 1, "batch": 10_000})
        compute = ComputeSettings.model_validate({"accumulate": parts})
        optimise(model, blind, blind.moments(), settings, repeats=True, compute=compute)
        counts[parts] = list(sizes)
    assert len(counts[1]) == 1
    assert len(counts[4]) == 4
    assert sum(counts[4]) == counts[1][0]
    assert max(counts[4]) - min(counts[4]) <= 1


@pytest.mark.parametrize(
    ("kind", "loss"), [*((kind, {}) for kind in NEURAL), ("mlp", SAMPLED), ("transformer", SPARSE)], ids=str
)
def test_bf16_learns_the_same_and_keeps_its_parameters_whole(
    kind: str, loss: dict[str, Any], data: TrainingData
) -> None:
    _, expected, _ = train(kind, data, loss=loss)
    model, curve, _ = train(kind, data, {"precision": "bf16"}, loss=loss)
    rel = 0.05 if kind == "vae" else 0.02  # it draws other numbers
    assert curve.loss == pytest.approx(expected.loss, rel=rel)
    assert curve.validation == pytest.approx(expected.validation, rel=rel)
    assert curve.loss != expected.loss
    assert {array.dtype for name, array in model.state().items()} == {np.dtype(np.float32)}


class Slope(NamedTuple):
    value: float
    arrays: dict[str, Any]


def first_step(kind: str, data: TrainingData, loss: dict[str, Any]) -> Slope:
    """The parameters after one step from stirred ones, without decay."""
    model = neural(kind, len(data.catalogue), own=OWN)
    values = {**BASE, "epochs": 1, "batch": 10_000, "weight_decay": 0.0, "clip": 0.5, "loss": loss}
    settings = OptimiseSettings.model_validate(values)
    moments = data.moments().take(slice(0, 5))
    curve = optimise(model, replace(data, validation=None), moments, settings, repeats=True)
    return Slope(curve.loss[0], model.state())


@pytest.mark.parametrize(
    ("kind", "loss"), [*((kind, "sampled") for kind in NEURAL), ("mlp", "gbce"), ("gru", "bpr")]
)
def test_the_first_step_by_rows_is_the_step_of_all_rows(kind: str, loss: str, data: TrainingData) -> None:
    """A gradient that was none leaves a row alone in both, as long as nothing has momentum."""
    torch.manual_seed(0)
    dense, rows = (
        first_step(kind, data, {"kind": loss, "negatives": 2, "sparse": sparse}) for sparse in (False, True)
    )
    assert rows.value == pytest.approx(dense.value, rel=1e-5)
    for name, array in dense.arrays.items():
        if not name.endswith("read.bias"):
            np.testing.assert_allclose(rows.arrays[name], array, atol=2e-4, err_msg=name)


def test_rows_that_no_step_touches_stay_where_they_are() -> None:
    """Two users of twenty know the same three items; nobody draws the others."""
    log = helpers.packed([[(day, (day + user) % 3) for day in range(6)] for user in range(2)], 20)
    data = replace(helpers.training(log), catalogue=np.arange(20), column=np.arange(20, dtype=np.int32))
    model = neural("mlp", 20, own=OWN)
    before = model.state()
    before = {name: array.copy() for name, array in before.items()}
    settings = OptimiseSettings.model_validate({**BASE, "loss": SPARSE, "weight_decay": 0.5})
    optimise(model, data, data.moments(), settings, repeats=True)
    tables = ("bias", "interest.embedding.weight", "output.weight")
    for name in tables:
        changed = np.flatnonzero((model.state()[name] != before[name]).reshape(20, -1).any(1))
        assert changed.tolist() == [0, 1, 2]
    assert not np.array_equal(model.state()["hidden.weight"], before["hidden.weight"])


def test_rows_decay_when_they_move(data: TrainingData) -> None:
    lengths = []
    for decay in (0.0, 2.0):
        model, _, _ = train("mlp", data, loss=SPARSE, weight_decay=decay, rate=0.05)
        lengths.append(np.linalg.norm(model.state()["output.weight"]))
    assert lengths[1] < 0.9 * lengths[0]


def test_what_cannot_be_had_together_is_refused(data: TrainingData) -> None:
    settings = OptimiseSettings.model_validate({"loss": SPARSE})
    for sharding in ("model", "optimiser"):
        compute = ComputeSettings.model_validate({"sharding": sharding})
        with pytest.raises(ValueError, match=r"`loss\.sparse` of `mlp` needs `train\.sharding: none`"):
            spread(neural("mlp", 4), settings, compute, ALONE)
    for wrong in ({"optimiser": "sgd"}, {"average": 0.9}):
        with pytest.raises(ValueError, match=r"`loss\.sparse` needs `optimiser: adamw` and `average: 0`"):
            OptimiseSettings.model_validate({"loss": SPARSE, **wrong})
    with pytest.raises(ValueError, match="`sparse: true` needs a loss that reads some items only"):
        OptimiseSettings.model_validate({"loss": {"sparse": True}})


class Case(NamedTuple):
    kind: str
    compute: dict[str, Any]
    values: dict[str, Any]


CASES = {
    "none": Case("recurrent", {}, {"average": 0.5}),
    "none, parts": Case("transformer", {"accumulate": 2}, {"loss": SAMPLED}),
    "optimiser": Case("recurrent", {"sharding": "optimiser"}, {"average": 0.5}),
    "model": Case("recurrent", {"sharding": "model"}, {"average": 0.5}),
    "model, parts": Case("transformer", {"sharding": "model", "accumulate": 2}, {"loss": SAMPLED}),
    "rows": Case("gru", {}, {"loss": SPARSE}),
    "lstm": Case("lstm", {}, {}),
    "model, bf16": Case("mlp", {"sharding": "model", "precision": "bf16"}, {}),
}


class Found(NamedTuple):
    curve: Curve
    state: dict[str, Any]
    kept: list[Training]
    resumed: Curve | None


MIDDLE = {"checkpoint": {"minutes": 1e-9}}


def every_case(workers: Workers, resumes: dict[str, Training]) -> dict[str, Found]:
    data = made()
    found = {}
    for name, (kind, compute, values) in CASES.items():
        model, curve, kept = train(kind, data, {**compute, **MIDDLE}, workers, **values)
        resumed = None
        if name in resumes:
            _, resumed, _ = train(kind, data, compute, workers, copy.deepcopy(resumes[name]), **values)
        found[name] = Found(curve, model.state(), kept[:4], resumed)
    return found


def middle(found: Found) -> Training:
    """The last checkpoint in the middle of an epoch."""
    return [each for each in found.kept if each.batch][-1]


@pytest.fixture(scope="module")
def alone() -> dict[str, Found]:
    return every_case(ALONE, {})


@pytest.fixture(scope="module")
def two(alone: dict[str, Found], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Found]]:
    """Two workers; each case is also taken up where one worker was in the middle of an epoch."""
    resumes = {name: middle(found) for name, found in alone.items()}
    return crew(every_case, 2, tmp_path_factory.mktemp("crew") / "two", resumes)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_workers_do_what_one_does(
    name: str, alone: dict[str, Found], two: list[dict[str, Found]]
) -> None:
    expected, (found, other) = alone[name], (each[name] for each in two)
    assert found.curve == other.curve
    rel = 0.02 if "bf16" in name else 1e-4
    assert found.curve.loss == pytest.approx(expected.curve.loss, rel=rel)
    assert found.curve.validation == pytest.approx(expected.curve.validation, rel=rel)
    for key, array in found.state.items():
        assert np.array_equal(array, other.state[key])
        assert array.shape == expected.state[key].shape


@pytest.mark.slow
def test_sharding_changes_nothing(two: list[dict[str, Found]]) -> None:
    """The optimiser's state dealt out, or all of the model, against DDP."""
    ddp = two[0]["none"].curve
    for name in ("optimiser", "model"):
        assert two[0][name].curve.loss == pytest.approx(ddp.loss, rel=1e-5)
        assert two[0][name].curve.validation == pytest.approx(ddp.validation, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_what_one_worker_kept_two_go_on_from(
    name: str, alone: dict[str, Found], two: list[dict[str, Found]]
) -> None:
    resumed = two[0][name].resumed
    assert resumed is not None
    rel = 0.02 if "bf16" in name else 1e-4
    assert resumed.loss == pytest.approx(alone[name].curve.loss, rel=rel)
    assert resumed.validation == pytest.approx(alone[name].curve.validation, rel=rel)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_what_two_workers_kept_one_goes_on_from(
    name: str, two: list[dict[str, Found]], alone: dict[str, Found], data: TrainingData
) -> None:
    """Whole, however it was sharded."""
    kind, compute, values = CASES[name]
    training = copy.deepcopy(middle(two[0][name]))
    assert len(training.sums) == len(training.random) == 2
    _, curve, _ = train(kind, data, compute, ALONE, training, **values)
    rel = 0.02 if "bf16" in name else 1e-4
    assert curve.loss == pytest.approx(alone[name].curve.loss, rel=rel)
    assert curve.validation == pytest.approx(alone[name].curve.validation, rel=rel)
