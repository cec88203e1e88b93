"""What a search maximises: validation alone, and the same figures whatever is kept from trial to trial."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from harness import objective as module
from harness.data import Store
from harness.objective import Judge, ValidationObjective
from harness.splits import SplitSettings
from harness.stage import Stage
from tests.harness.conftest import with_arrays
from trainers.fits import Fits, fit_model
from trainers.halving import HalvingSettings
from trainers.model import ModelSettings
from trainers.pretrain import fit
from trainers.request import Fit

SPLIT = SplitSettings()


def settings(*terms: dict[str, Any]) -> ModelSettings:
    return ModelSettings.model_validate({"terms": list(terms)})


def exponential(half_life: float) -> dict[str, Any]:
    return {"family": "exponential", "half_life": half_life}


SERIES = [
    settings({"kind": "own"}, {"kind": "linear", "l2": 20.0}),
    settings({"kind": "own", "forgetting": exponential(3)}, {"kind": "linear", "l2": 20.0}),
    settings(
        {"kind": "own", "forgetting": exponential(3)},
        {"kind": "linear", "l2": 20.0, "forgetting": exponential(9)},
    ),
    settings(
        {"kind": "own", "weight": 0.2, "forgetting": exponential(3)},
        {"kind": "linear", "l2": 100.0, "weight": 3.0},
    ),
    settings({"kind": "own", "weight": 0.0}, {"kind": "trend", "forgetting": exponential(2)}),
    settings({"kind": "own", "scale": "standard"}, {"kind": "trend", "forgetting": exponential(9)}),
    settings({"kind": "own"}, {"kind": "linear", "l2": 20.0}),
    settings({"kind": "linear", "variant": "next", "l2": 20.0, "forgetting": exponential(9)}),
]
"""Neighbours share a curve, a λ or a scale; the last but one is the first once more."""


def alone(store: Store, model: ModelSettings, *, repeats: bool = True) -> npt.NDArray[np.float64]:
    stage = Stage.of(store, SPLIT, "val", repeats)
    fitted = fit_model(model, stage.training, repeats=repeats)
    return stage.evaluate(fitted, ("ndcg@10",), ()).values["ndcg@10"]


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("kept", [160_000_000, 100_000, 0], ids=["all", "some", "nothing"])
def test_what_is_kept_changes_no_figure(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int, repeats: bool
) -> None:
    monkeypatch.setattr(module, "KEPT_SCORES", kept)
    stage = Stage.of(store, SPLIT, "val", repeats)
    fits = Fits(tmp_path)
    fits.write([])
    judge = Judge(stage, fits, 0)
    for model in SERIES:
        assert np.allclose(judge.values(model, "ndcg@10"), alone(store, model, repeats=repeats), atol=1e-12)
        assert sum(scores.nbytes for scores in judge.scores.values()) <= kept


def test_the_series_differ(store: Store) -> None:
    """Or the test above could not tell one model from another."""
    means = {round(float(alone(store, model).mean()), 9) for model in SERIES}
    assert len(means) == len(SERIES) - 1


def test_a_solution_that_was_shared_is_used(store: Store, tmp_path: Path) -> None:
    """The λ that was solved once for all gives what each trial would have solved for itself."""
    stage = Stage.of(store, SPLIT, "val", True)
    model = SERIES[0]
    term = model.terms[1]
    encoder = fit_model(model, stage.training, repeats=True).encoders[1]
    gram = encoder.statistics(stage.training, slice(0, store.counts.users))  # type: ignore[attr-defined]
    fits = Fits(tmp_path)
    fits.write([(term, gram, None)])
    fits.solve(term, len(stage.training.catalogue))
    assert fits.solved(term).exists()
    judge = Judge(stage, fits, 0)
    assert np.allclose(judge.values(model, "ndcg@10"), alone(store, model), atol=1e-12)
    matrix = judge.fit(term).state()["matrix"]
    assert np.allclose(np.asarray(matrix), np.asarray(encoder.state()["matrix"]), atol=1e-6)


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
    ]
    assert len({objective.key(), *(other.key() for other in others)}) == 7
    assert replace(objective, store="/elsewhere/" + Path(objective.store).name).key() == objective.key()


NETWORK: dict[str, Any] = {
    "kind": "mlp",
    "dim": 8,
    "hidden": 16,
    "training": {"epochs": 6, "patience": 1, "rate": 0.05, "batch": 64},
}


def test_a_trial_that_trains_a_network_is_the_fit_that_would_be_chosen(store: Store, tmp_path: Path) -> None:
    """It stops on validation as pretraining does, and depends on no trial before it."""
    stage = Stage.of(store, SPLIT, "val", True)
    fits = Fits(tmp_path / "fits")
    fits.write([])
    model, other = settings(NETWORK), settings({**NETWORK, "dim": 4})
    first = Judge(stage, fits, 0).values(model, "ndcg@10")
    judge = Judge(stage, fits, 0)
    judge.values(other, "ndcg@10")
    assert np.array_equal(judge.values(model, "ndcg@10"), first)

    folder = tmp_path / "data"
    stage.save_training(folder, stage.queries)
    request = Fit(
        log=str(store.path),
        vocabulary=store.counts.items,
        data=str(folder),
        out=str(tmp_path / "pretrained"),
        terms=[term.model_dump(mode="json") for term in model.terms],
        repeats=True,
    )
    (pretrained,) = fit([request])
    curve = pretrained.curve(model.terms[0])
    assert curve is not None
    assert curve.best_epoch < len(curve.loss) < 6  # it did stop, or the test could not tell
    chosen = Judge(stage, pretrained, 0).values(model, "ndcg@10")
    assert np.allclose(chosen, first, atol=1e-6)


def test_by_epochs_a_trial_is_the_same_training_looked_at_on_the_way(store: Store, tmp_path: Path) -> None:
    """Without dropout, which draws anew after each look, not one value differs from the trial that nobody looks at."""
    stage = Stage.of(store, SPLIT, "val", True)
    fits = Fits(tmp_path / "fits")
    fits.write([])
    network = {**NETWORK, "dropout": 0.0, "training": {**NETWORK["training"], "epochs": 4, "patience": 4}}
    model = settings(network, {"kind": "own", "weight": 0.01})
    whole = Judge(stage, fits, 0).values(model, "ndcg@10")
    judge = Judge(stage, fits, 0, HalvingSettings(factor=3))
    *looks, last = judge.steps(model, "ndcg@10")
    assert [(look.at, look.whole) for look in looks] == [(1, False), (3, False)]
    assert (last.at, last.whole) == (4, True)
    assert np.array_equal(last.values, whole)
    for look in looks:  # each is a training of just so many epochs
        term = {**network, "training": {**network["training"], "epochs": int(look.at)}}
        short = Judge(stage, fits, 0).values(settings(term, {"kind": "own", "weight": 0.01}), "ndcg@10")
        assert np.array_equal(look.values, short)
    again = [reached.values for reached in judge.steps(model, "ndcg@10")]  # and what is kept misleads nobody
    assert all(np.array_equal(a, b.values) for a, b in zip(again, [*looks, last], strict=True))


def test_what_needs_no_training_is_whole_at_once(store: Store, tmp_path: Path) -> None:
    fits = Fits(tmp_path / "fits")
    fits.write([])
    judge = Judge(Stage.of(store, SPLIT, "val", True), fits, 0, HalvingSettings())
    (reached,) = judge.steps(SERIES[0], "ndcg@10")
    assert reached.whole


@pytest.mark.parametrize("repeats", [True, False])
def test_by_users_a_trial_answers_the_same_queries_in_parts(
    store: Store, tmp_path: Path, repeats: bool
) -> None:
    stage = Stage.of(store, SPLIT, "val", repeats)
    fits = Fits(tmp_path / "fits")
    fits.write([])
    judge = Judge(stage, fits, 0, HalvingSettings(by="users", grace=0.2, factor=2))
    whole = Judge(stage, fits, 0)
    share, users = [], []
    for model in SERIES[:2]:
        expected = whole.values(model, "ndcg@10")
        *looks, last = judge.steps(model, "ndcg@10")
        assert np.array_equal(last.values, expected)
        for look in looks:
            part = judge._order[: len(look.values)]
            assert np.array_equal(look.values, expected[part])  # those before it among them
            share.append(look.at)
            users.append(len(set(stage.users[part])))
            assert not set(stage.users[part]) & set(stage.users[judge._order[len(part) :]])  # users are whole
    assert share == [0.2, 0.4, 0.8] * 2
    everybody = len(set(stage.users))
    assert users == [int(np.ceil(at * everybody)) for at in share]


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
