"""The main job with a population: the schedule that it registers is the one found, and a kill changes nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.registry.registry import Registry
from tests.harness.conftest import Command, run_main
from tests.harness.drivers import kill_at
from trainers.encoders import NeuralSettings

pytestmark = pytest.mark.slow

CONFIG = """
data: {events: events.csv, repeats: true}
model:
  terms:
    - {kind: own, weight: 0.1, forgetting: {family: exponential, half_life: 5}}
    - kind: recurrent
      dim: 8
      hidden: 16
      training: {epochs: 4, batch: 64, forgetting: {family: exponential, half_life: 20}}
search:
  trials: 4
  scheduler: {kind: pbt, interval: 1}
  space:
    recurrent:
      dropout: {low: 0.0, high: 0.5}
      training.rate: {low: 0.002, high: 0.1, log: true}
      training.decay_rate: {low: 0.1, high: 10.0, log: true}
      training.forgetting.half_life: {low: 5.0, high: 80.0, log: true}
registry: {name: tiny}
"""


@pytest.fixture
def folder(work: Path, fading_log: Path, ray_session: str) -> Path:
    shutil.copy(fading_log, work / "events.csv")
    (work / "tiny.yaml").write_text(CONFIG)
    return work


def story(folder: Path) -> dict[str, Any]:
    (file,) = folder.glob(".lethe/runs/*/told-*/story.json")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def test_the_schedule_that_was_found_is_registered_and_told(folder: Path, lethe: Command) -> None:
    result = run_main("tiny.yaml")
    told = story(folder)
    schedule = told["search"]["schedule"]
    assert result["search"]["trials"] == 4
    assert [(step["begin"], step["until"]) for step in schedule["steps"]] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert schedule["trial"] == result["search"]["best"]["trial"]
    assert schedule["replayed"]["same"] is True
    assert schedule["replayed"]["value"] == result["search"]["best"]["value"]
    assert told["search"]["epochs"] == 4 * 4 * 2  # and the control's
    for step in schedule["steps"][:-1]:
        assert any(name.startswith("recurrent, state") for name in step["told"])
    (term,) = [
        term
        for term in Registry("tiny").package(Registry("tiny").find("1")).model.settings.terms
        if isinstance(term, NeuralSettings)
    ]
    rates = [term.training.after(step["begin"]).rate for step in schedule["steps"]]
    assert rates == [step["params"]["recurrent.training.rate"] for step in schedule["steps"]]
    curves = [term.training.after(step["begin"]).forgetting.half_life for step in schedule["steps"]]
    assert curves == [step["params"]["recurrent.training.forgetting.half_life"] for step in schedule["steps"]]
    page = next(folder.glob(".lethe/runs/*/told-*/*.html")).read_text()
    assert "The schedule of the best member" in page
    assert "the very same figures" in page
    said = lethe("search", "tiny.yaml")  # all of it is found done
    assert said.code == 0
    assert "the very same figures" in said.out
    shown = lethe("search", "tiny.yaml", "--json").json
    assert next(each for each in shown["model"]["terms"] if each["kind"] == "recurrent")["training"][
        "changes"
    ]


@pytest.mark.parametrize("rounds", [1, 7, 20])
def test_killed_in_a_round_it_goes_on_and_ends_the_same(folder: Path, quick: None, rounds: int) -> None:
    kill_at(folder, ".lethe/runs/*/trials/rounds/*.json", rounds)
    assert not list(folder.glob(".lethe/runs/*/told-*/result.json"))
    written = {file: file.stat().st_mtime_ns for file in folder.glob(".lethe/runs/*/trials/rounds/*.json")}
    assert len(written) >= rounds
    run_main("tiny.yaml")
    again = story(folder)["search"]
    assert {file: file.stat().st_mtime_ns for file in written} == written  # none was done twice
    shutil.rmtree(folder / ".lethe" / "runs")
    run_main("tiny.yaml")
    whole = story(folder)["search"]
    assert again["schedule"]["steps"] == whole["schedule"]["steps"]
    assert again["history"] == whole["history"]
