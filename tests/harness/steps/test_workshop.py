"""The steps of a run, each by itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import evaluators
from harness.settings import load
from harness.steps.workshop import Workshop
from trainers.fitting.fits import NOTES_FILE, Fits
from trainers.fitting.pretrain import Resources, fit
from trainers.fitting.request import Fit
from trainers.spent import Spent
from trainers.training.computing import CheckpointSettings


@pytest.mark.slow
def test_one_crew_of_workers_fits_what_this_process_fits(closed: Path, ray_session: str) -> None:
    """Two Ray Train workers sum the same Gram matrix, and so give the same model."""
    changes = ["model.terms.1={kind: linear, l2: 20}"]
    alone = Workshop.open(load("closed.yaml", changes))
    inside = alone.fitting.assemble(alone.val, alone.settings.model, alone.pretrain())
    shutil.rmtree(alone.folder)
    crew = Workshop.open(load("closed.yaml", [*changes, "train.workers=2"]))
    assert crew.folder == alone.folder
    outside = crew.fitting.assemble(crew.val, crew.settings.model, crew.pretrain())
    found, expected = (model.encoders[1].state()["matrix"] for model in (outside, inside))
    assert np.allclose(np.asarray(found), np.asarray(expected), atol=1e-5)


def test_a_fit_that_is_done_is_found(closed: Path, capfd: pytest.CaptureFixture[str]) -> None:
    workshop = Workshop.open(load("closed.yaml"))
    first = workshop.pretrain()
    assert "found in" not in capfd.readouterr().err
    assert workshop.pretrain().folder == first.folder
    assert "pretrain: found in" in capfd.readouterr().err


def test_how_a_fit_computes_reaches_it_and_what_happened_is_said(
    closed: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    changes = [
        "train.precision=bf16",
        "train.accumulate=2",
        "train.checkpoint.minutes=3",
        "train.max_failures=4",
    ]
    workshop = Workshop.open(load("closed.yaml", changes))
    asked: list[Resources] = []

    def noted(requests: list[Fit], resources: Resources, spent: Callable[[Spent], None]) -> list[Fits]:
        asked.append(resources)
        done = fit(requests, resources, spent)
        (done[0].folder / NOTES_FILE).write_text("`mlp`: went on after 3 epochs and 0 batches\n")
        return done

    monkeypatch.setattr("harness.steps.fitting.fit", noted)
    workshop.pretrain()
    [resources] = asked
    assert resources.max_failures == 4
    assert (resources.compute.precision, resources.compute.accumulate) == ("bf16", 2)
    assert resources.compute.checkpoint == CheckpointSettings(minutes=3)
    assert "pretrain: `mlp`: went on after 3 epochs and 0 batches" in capfd.readouterr().err


def test_fine_tuning_is_kept_only_where_validation_says_so(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its likelihood is better either way; what decides is the metric."""
    changes = ["finetune.rate=0.01", "finetune.epochs=3", "model.terms.3.weight=1"]
    workshop = Workshop.open(load("tiny.yaml", changes))
    model, fits = workshop.settings.model, workshop.pretrain()
    tuned = workshop.finetune(fits, model)
    assert tuned is not None
    assert tuned.kept is True
    assert tuned.difference.difference > 0
    assert tuned.epochs["mlp"] >= 1
    monkeypatch.setattr(
        evaluators, "difference", lambda *arguments: evaluators.Difference(-0.01, -0.02, 0.0, 0.1)
    )
    worse = workshop.finetune(fits, model)
    assert worse is not None
    assert worse.epochs == tuned.epochs
    assert worse.kept is False
    assert "did not rise" in worse.reason
    kept, control = workshop.final([model, model.without_forgetting()], fits, [tuned])
    block = workshop.test.histories(slice(0, 20))
    (left,) = workshop.final([model], fits, [worse])
    (untuned,) = workshop.final([model], fits)
    assert not np.allclose(kept.encoders[3].score(block), untuned.encoders[3].score(block))
    assert np.array_equal(kept.encoders[0].score(block), untuned.encoders[0].score(block))
    assert np.array_equal(left.score(block), untuned.score(block))
    assert control.settings == model.without_forgetting()


def test_closed_forms_are_fine_tuned_where_asked(closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window counted again changes what is solved from sums, and nothing else; the metric decides."""
    workshop = Workshop.open(load("closed.yaml", ["finetune={window_days: 10, passes: 4}"]))
    model, fits = workshop.settings.model, workshop.pretrain()
    for rise, kept in ((0.01, True), (-0.01, False)):
        verdict = evaluators.Difference(rise, rise - 0.005, rise + 0.005, 0.1)
        monkeypatch.setattr(evaluators, "difference", lambda *_, said=verdict: said)
        tuned = workshop.finetune(fits, model)
        assert tuned is not None
        assert (tuned.kept, tuned.epochs) == (kept, {})
        assert f"{rise:+.4f}" in tuned.reason
        block = workshop.test.histories(slice(0, 20))
        (found,) = workshop.final([model], fits, [tuned])
        (plain,) = workshop.final([model], fits)
        for term, one, other in zip(model.terms, found.encoders, plain.encoders, strict=True):
            same = np.array_equal(one.score(block), other.score(block))
            assert same == (not kept or term.kind == "own")
