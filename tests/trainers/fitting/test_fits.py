"""Fitted terms on disk, and models made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainers.encoders import ENCODERS, ClosedForm, Linear, TermSettings
from trainers.fitting.fits import Fits, fit_model, fit_term
from trainers.histories import Histories
from trainers.log import TrainingData
from trainers.model import ModelSettings
from trainers.training.curve import Curve

DAYS = {"family": "exponential", "half_life": 5}
MLP = {"kind": "mlp", "dim": 4, "hidden": 5, "training": {"epochs": 2, "batch": 16}}
TERMS: list[dict[str, Any]] = [
    {"kind": "trend", "weight": 0.3, "forgetting": DAYS},
    {"kind": "own", "weight": 0.0, "forgetting": DAYS},
    {"kind": "linear", "l2": 3.0, "forgetting": DAYS},
    {"kind": "linear", "name": "next", "variant": "next", "l2": 1.0},
    MLP,
]
CURVE = Curve([1.0, 0.5], [0.9], 1.5, 1)


def settings(*terms: dict[str, Any]) -> ModelSettings:
    return ModelSettings.model_validate({"terms": terms})


def term(values: dict[str, Any], **changes: Any) -> TermSettings:
    return settings({**values, "weight": 1.0, **changes}).terms[0]


MODEL = settings(*TERMS)


@pytest.fixture
def fits(data: TrainingData, tmp_path: Path) -> Fits:
    """The terms as a fit writes them: sums of the closed forms, the state of the network with its curve."""
    fitted: list[Any] = []
    for entry in MODEL.terms:
        torch.manual_seed(0)
        encoder = ENCODERS[entry.kind](entry, len(data.catalogue))
        if isinstance(encoder, ClosedForm):
            fitted.append((entry, encoder.statistics(data, slice(0, data.log.users)), None))
        else:
            fitted.append((entry, encoder, CURVE))
    folder = Fits(tmp_path / "fits")
    assert not folder.whole
    folder.write(fitted)
    return folder


def test_what_was_written_is_read(fits: Fits) -> None:
    assert fits.whole
    read = fits.entries()
    assert [entry.label for entry, _ in read] == ["trend", "own", "linear", "next", "mlp"]
    assert [curve for _, curve in read] == [None, None, None, None, CURVE]
    assert read[2][0].model_dump(exclude={"weight"}) == MODEL.terms[2].model_dump(exclude={"weight"})
    assert not list(fits.folder.glob("*.pkl"))


@pytest.mark.parametrize("index", range(4))
def test_sums_are_found_by_what_they_depend_on(fits: Fits, data: TrainingData, index: int) -> None:
    entry = MODEL.terms[index]
    encoder = ENCODERS[entry.kind](entry, len(data.catalogue))
    assert isinstance(encoder, ClosedForm)
    expected = encoder.statistics(data, slice(0, data.log.users))
    found = fits.statistics(entry)
    assert found is not None
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], array) for name, array in expected.items())


def test_sums_serve_other_settings_that_need_the_same(fits: Fits) -> None:
    ease, following = TERMS[2], TERMS[3]
    assert fits.statistics(term(ease, l2=99, weights=True, forgetting={"family": "none"})) is not None
    assert fits.statistics(term(following, l2=99)) is not None
    assert fits.statistics(term(following, weights=True)) is None
    assert fits.statistics(term(following, forgetting=DAYS)) is None
    assert fits.statistics(term(TERMS[0], forgetting={"family": "none"})) is None
    assert fits.statistics(term(TERMS[1])) == {}


def test_the_state_of_a_network_is_found_by_its_fit(fits: Fits) -> None:
    state = fits.state(term(MLP, weight=3.0, name="other"))
    assert state is not None
    torch.manual_seed(0)
    expected = ENCODERS["mlp"](MODEL.terms[4], state["bias"].shape[0]).state()
    assert state.keys() == expected.keys()
    assert all(np.array_equal(state[name], array) for name, array in expected.items())
    assert fits.state(term(MLP, dim=5)) is None
    assert fits.state(term(MLP, forgetting=DAYS)) is None


def test_the_curve_of_a_network_is_found_by_its_fit(fits: Fits) -> None:
    assert fits.curve(term(MLP, scale="raw")) == CURVE
    assert fits.curve(term(MLP, hidden=6)) is None
    assert fits.curve(term(TERMS[2])) is None


@pytest.mark.parametrize("index", range(4))
def test_a_solution_is_left_for_all_processes(
    fits: Fits, data: TrainingData, histories: Histories, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = MODEL.terms[index]
    expected = fit_term(entry, data, repeats=True).score(histories)
    assert not fits.solved(entry).exists()
    fits.solve(entry, len(data.catalogue))
    assert fits.solved(entry).is_dir()
    assert [file.name for file in fits.solved(entry).parent.iterdir()] == [fits.solved(entry).name]

    def solve_again(*anything: Any) -> None:
        raise AssertionError("it is solved already")

    monkeypatch.setattr(ENCODERS[entry.kind], "solve", solve_again)
    fits.solve(entry, len(data.catalogue))
    assert np.array_equal(fit_term(entry, data, fits, repeats=True).score(histories), expected)


def test_solutions_of_different_ridges_do_not_meet(fits: Fits, data: TrainingData) -> None:
    one, other = term(TERMS[2]), term(TERMS[2], l2=77.0)
    for entry in (one, other):
        fits.solve(entry, len(data.catalogue))
    assert fits.solved(one) != fits.solved(other)
    assert fits.solved(one) == fits.solved(term(TERMS[2], forgetting={"family": "none"}))
    fitted = fit_term(other, data, fits, repeats=True)
    again = fit_term(other, data, repeats=True)
    assert isinstance(fitted, Linear)
    assert isinstance(again, Linear)
    assert np.array_equal(fitted.matrix, again.matrix)


def test_what_has_no_sums_here_is_not_solved(fits: Fits, data: TrainingData) -> None:
    entry = term(TERMS[3], forgetting=DAYS)
    fits.solve(entry, len(data.catalogue))
    assert not fits.solved(entry).exists()


def test_a_fit_takes_what_is_there(
    fits: Fits, data: TrainingData, histories: Histories, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fit_model(settings(*TERMS[:4]), data, repeats=True).score(histories)

    def sum_again(*anything: Any) -> None:
        raise AssertionError("the sums are there already")

    for kind in ("trend", "own", "linear"):
        monkeypatch.setattr(ENCODERS[kind], "statistics", sum_again)
    monkeypatch.setattr("trainers.training.loop.optimise", sum_again)
    model = fit_model(MODEL, data, fits, repeats=True)
    assert np.array_equal(
        fit_model(settings(*TERMS[:4]), data, fits, repeats=True).score(histories), expected
    )
    torch.manual_seed(0)
    untrained = ENCODERS["mlp"](MODEL.terms[4], len(data.catalogue))
    assert np.array_equal(model.encoders[4].score(histories), untrained.score(histories))


def test_a_fit_takes_each_term_from_the_first_that_has_it(
    fits: Fits, data: TrainingData, histories: Histories, tmp_path: Path
) -> None:
    network = MODEL.terms[4]
    tuned = Fits(tmp_path / "tuned")
    torch.manual_seed(1)
    encoder = ENCODERS["mlp"](network, len(data.catalogue))
    tuned.write([(network, encoder, CURVE)])
    assert [tuned.serves(term) for term in MODEL.terms] == [False] * 4 + [True]
    both, alone = (
        fit_model(MODEL, data, tuned, fits, repeats=True),
        fit_model(MODEL, data, fits, repeats=True),
    )
    assert np.array_equal(both.encoders[4].score(histories), encoder.score(histories))
    for number in range(4):
        assert np.array_equal(both.encoders[number].score(histories), alone.encoders[number].score(histories))


def test_a_fit_makes_what_is_not_there(fits: Fits, data: TrainingData, histories: Histories) -> None:
    other = settings({**TERMS[3], "forgetting": DAYS}, {**TERMS[0], "forgetting": {"family": "none"}})
    assert np.array_equal(
        fit_model(other, data, fits, repeats=True).score(histories),
        fit_model(other, data, repeats=True).score(histories),
    )


def test_a_network_is_trained_where_nothing_is_there(data: TrainingData, histories: Histories) -> None:
    models = []
    for seed in (0, 0, 1):
        torch.manual_seed(0)
        models.append(fit_model(settings(MLP), data, repeats=True, seed=seed).score(histories))
    torch.manual_seed(0)
    untrained = ENCODERS["mlp"](MODEL.terms[4], len(data.catalogue)).score(histories)
    assert np.array_equal(models[0], models[1])
    assert not np.allclose(models[0], models[2])
    assert not np.allclose(models[0], untrained)
