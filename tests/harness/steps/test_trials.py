"""Trials: the same figures whatever is kept from one to the next, and wherever a scheduler looks at them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from harness.data import Store
from harness.splits import SplitSettings
from harness.stage import Stage
from harness.steps import answering
from harness.steps.trials import Judge
from trainers.fitting.fits import Fits, fit_model, fit_neural, fit_term
from trainers.fitting.pretrain import fit
from trainers.fitting.request import Fit
from trainers.fitting.shares import of_users
from trainers.model import Model, ModelSettings
from trainers.search.course import scheduled
from trainers.search.halving import HalvingSettings
from trainers.search.population import PopulationSettings

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
    monkeypatch.setattr(answering, "KEPT_SCORES", kept)
    stage = Stage.of(store, SPLIT, "val", repeats)
    fits = Fits(tmp_path)
    fits.write([])
    judge = Judge(stage, fits, 0)
    for model in SERIES:
        assert np.allclose(judge.values(model, "ndcg@10"), alone(store, model, repeats=repeats), atol=1e-12)
        assert judge.kept.nbytes <= kept


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
    """Not one value differs from the trial that nobody looks at."""
    stage = Stage.of(store, SPLIT, "val", True)
    fits = Fits(tmp_path / "fits")
    fits.write([])
    network = {**NETWORK, "dropout": 0.3, "training": {**NETWORK["training"], "epochs": 4, "patience": 4}}
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


POPULATION = PopulationSettings(interval=2)


def test_the_rounds_of_a_lineage_are_one_training(store: Store, tmp_path: Path) -> None:
    """Each round by another worker, from what is on disk: dropout, the optimiser, the average and the best epoch go on
    as if nothing had been. So the same schedule from the start gives the very same figures, and so does the fit that
    pretraining would make of it."""
    stage = Stage.of(store, SPLIT, "val", True)
    fits = Fits(tmp_path / "fits")
    fits.write([])
    training = {
        **NETWORK["training"],
        "patience": 6,
        "average": 0.9,
        "schedule": "linear",
        "weight_decay": 0.1,
    }
    network = {**NETWORK, "dropout": 0.3, "training": training}
    course = [(0, 0.05, 0.3), (2, 0.02, 0.5), (4, 0.08, 0.1)]
    stages = [
        (
            after,
            settings(
                {**network, "dropout": dropout, "training": {**training, "rate": rate}},
                {"kind": "own", "weight": 0.01},
            ),
        )
        for after, rate, dropout in course
    ]
    model = scheduled(stages)
    *looks, last = Judge(stage, fits, 0, POPULATION, ["mlp"]).steps(model, "ndcg@10")
    assert [look.at for look in looks] == [2, 4]
    state = None
    for number in range(3):  # each a worker of its own
        judge = Judge(stage, fits, 0, POPULATION, ["mlp"])
        reached = next(judge.steps(scheduled(stages[: number + 1]), "ndcg@10", state))
        expected = [*looks, last][number]
        assert (reached.at, reached.whole) == (expected.at, expected.whole)
        assert np.array_equal(reached.values, expected.values)
        if not reached.whole:
            torch.save(reached.state, tmp_path / "state")
            state = torch.load(tmp_path / "state", weights_only=True)
    assert not np.array_equal(looks[1].values, last.values)
    plain = Judge(stage, fits, 0).values(model, "ndcg@10")
    assert np.array_equal(last.values, plain)
    assert not np.array_equal(plain, Judge(stage, fits, 0).values(stages[0][1], "ndcg@10"))


def test_a_population_trains_what_pretraining_could_serve(store: Store, tmp_path: Path) -> None:
    """Members go on from one another, and so from states that a fit does not leave."""
    stage = Stage.of(store, SPLIT, "val", True)
    model = settings({**NETWORK, "training": {**NETWORK["training"], "epochs": 4, "patience": 4}})
    encoder, curve = fit_neural(
        model.terms[0], replace(stage.training, validation=stage.queries), repeats=True
    )
    fits = Fits(tmp_path)
    fits.write([(model.terms[0], encoder, curve)])
    looks = [reached.at for reached in Judge(stage, fits, 0, POPULATION, ["mlp"]).steps(model, "ndcg@10")]
    assert looks == [2, 4]
    assert [reached.at for reached in Judge(stage, fits, 0, POPULATION).steps(model, "ndcg@10")] == [0.0]


def test_a_look_tells_the_half_lives_that_were_learned(store: Store, tmp_path: Path) -> None:
    Fits(tmp_path).write([])
    stage = Stage.of(store, SPLIT, "val", True)
    curve = {"family": "mixture", "half_lives": [1.0, 20.0], "shares": [0.5, 0.5], "learn": True}
    training = {"epochs": 3, "patience": 3, "rate": 0.05, "batch": 64}
    network = {"kind": "recurrent", "dim": 4, "hidden": 8, "forgetting": curve, "training": training}
    look, _ = Judge(stage, Fits(tmp_path), 0, POPULATION, ["recurrent"]).steps(settings(network), "ndcg@10")
    assert set(look.told) == {"recurrent, state 1 (days)", "recurrent, state 2 (days)"}
    begin = {"recurrent, state 1 (days)": 1.0, "recurrent, state 2 (days)": 20.0}
    for name, half_life in look.told.items():
        assert half_life != pytest.approx(begin[name], rel=1e-3)
        assert half_life == pytest.approx(begin[name], rel=0.9)


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
            part = judge.portions.order[: len(look.values)]
            assert np.array_equal(look.values, expected[part])  # those before it among them
            share.append(look.at)
            users.append(len(set(stage.users[part])))
            # Users are whole.
            assert not set(stage.users[part]) & set(stage.users[judge.portions.order[len(part) :]])
    assert share == [0.2, 0.4, 0.8] * 2
    everybody = len(set(stage.users))
    assert users == [int(np.ceil(at * everybody)) for at in share]


def test_by_users_a_network_is_trained_on_nested_shares_of_the_training_users(
    store: Store, tmp_path: Path
) -> None:
    """A look is the fit on those users alone, asked all queries; the last is the trial without a scheduler."""
    stage = Stage.of(store, SPLIT, "val", True)
    fits = Fits(tmp_path / "fits")
    fits.write([])
    model = settings(
        {**NETWORK, "training": {**NETWORK["training"], "epochs": 2}}, {"kind": "own", "weight": 0.01}
    )
    *looks, last = Judge(stage, fits, 0, HalvingSettings(by="users", grace=0.2, factor=2)).steps(
        model, "ndcg@10"
    )
    assert [(look.at, look.whole) for look in looks] == [(0.2, False), (0.4, False), (0.8, False)]
    assert np.array_equal(last.values, Judge(stage, fits, 0).values(model, "ndcg@10"))
    data = replace(stage.training, validation=stage.queries)
    for look in looks:
        few = of_users(data, look.at, 0)
        encoders = [
            fit_neural(model.terms[0], few, repeats=True)[0],
            fit_term(model.terms[1], data, repeats=True),
        ]
        asked = Model(model, encoders, len(data.catalogue))
        assert np.allclose(look.values, stage.evaluate(asked, ("ndcg@10",), ()).values["ndcg@10"])
    assert len({float(reached.values.mean()) for reached in [*looks, last]}) == 4
