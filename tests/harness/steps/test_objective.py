"""What a search maximises: validation alone, and the same figures whatever is kept from trial to trial."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data import Store
from harness.splits import SplitSettings
from harness.stage import Stage
from harness.steps.objective import ValidationObjective
from harness.steps.trials import Judge
from tests.harness.conftest import with_arrays
from tests.harness.steps.test_trials import SERIES, SPLIT
from trainers.fitting.fits import Fits
from trainers.search.halving import HalvingSettings


@pytest.fixture
def objective(store: Store, tmp_path: Path) -> ValidationObjective:
    Fits(tmp_path).write([])
    return ValidationObjective(str(store.path), str(tmp_path), SPLIT, True, "ndcg@10", 0)


def test_it_asks_validation_and_nothing_later(
    objective: ValidationObjective, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    genuine = Stage.evaluate

    def evaluate(stage: Stage, *arguments: Any) -> Any:
        asked.append(stage)
        return genuine(stage, *arguments)

    monkeypatch.setattr(Stage, "evaluate", evaluate)
    (reached,) = pickle.loads(pickle.dumps(objective)).open()(SERIES[0])
    values = reached.values
    times = np.sort(store.times)
    val, test = (times[int(len(times) * share)] for share in SPLIT.cuts)
    (stage,) = asked
    assert stage.split.stage == "val"
    assert len(values) == len(stage.queries) > 0
    assert stage.training.end < val <= stage.queries.time.min()
    assert stage.queries.time.max() < test
    histories = stage.histories(slice(0, len(stage.queries)))
    assert store.times[histories.rows].max() < test


def test_the_future_of_validation_changes_nothing(
    objective: ValidationObjective, store: Store, tmp_path: Path
) -> None:
    """The same log with other items after the test cut: not one value of validation moves."""
    test = np.sort(store.times)[int(len(store.times) * SPLIT.cuts[1])]
    items = np.array(store.items)
    later = store.times >= test
    items[later] = (items[later] + 7) % store.counts.items
    owner = np.repeat(np.arange(store.counts.users), np.diff(store.offsets))
    items = items[np.lexsort((items, store.times, owner))]  # as a store would have them
    stage = Stage.of(with_arrays(store, items=items), SPLIT, "val", True)
    judge = Judge(stage, Fits(Path(objective.fits)), 0)
    for model in SERIES[:3]:
        (reached,) = objective.open()(model)
        assert np.array_equal(judge.values(model, "ndcg@10"), reached.values)


def test_its_key_names_everything_that_its_values_depend_on(objective: ValidationObjective) -> None:
    others = [
        replace(objective, split=SplitSettings(cuts=(0.7, 0.9))),
        replace(objective, repeats=False),
        replace(objective, metric="mrr"),
        replace(objective, seed=1),
        replace(objective, store=objective.store + "x"),
        replace(objective, scheduler=HalvingSettings()),
        replace(objective, rising=("mlp",)),
    ]
    assert len({objective.key(), *(other.key() for other in others)}) == 8
    name = Path(objective.store).name
    for elsewhere in (f"/elsewhere/{name}", f"s3://bucket/stores/{name}?region=eu-central-1"):
        assert replace(objective, store=elsewhere).about() == objective.about()
        assert replace(objective, store=elsewhere).key() == objective.key()


def test_trials_map_the_store_and_copy_nothing_of_it(store: Store, tmp_path: Path) -> None:
    Fits(tmp_path).write([])
    objective = ValidationObjective(str(store.path), str(tmp_path), SPLIT, True, "ndcg@10", 0)
    judge = inspect.getclosurevars(objective.open()).nonlocals["judge"]
    stage: Stage = judge.stage
    log = stage.training.log
    for array in (log.items, log.times, log.weights, log.offsets, log.types, stage.store.items):
        assert isinstance(array, np.memmap)
        assert Path(str(array.filename)).parent == store.path
        assert not array.flags.writeable
    assert judge.data.log is log
