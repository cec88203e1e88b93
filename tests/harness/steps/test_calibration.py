"""Calibration in a run: a temperature from validation, shown items of test, and no word where scores say nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluators import Csr
from harness.data import Store
from harness.settings import load
from harness.splits import SplitSettings
from harness.stage import Stage
from harness.steps import calibration as looked
from harness.steps.registered import registry_of
from tests.harness.conftest import Finished


@dataclass(frozen=True)
class Flat:
    """A model that gives every item the same score."""

    items: int

    def score(self, histories: Any) -> np.ndarray:
        return np.zeros((len(histories), self.items))


def test_shown_items_stand_beside_what_they_were() -> None:
    expected = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    predicted, observed, owner = looked._shown(expected, Csr(np.array([0, 2, 3]), np.array([0, 2, 1])), 2)
    assert predicted.tolist() == [0.5, 0.3, 0.7, 0.2]
    assert observed.tolist() == [0.5, 0.0, 0.0, 1.0]
    assert owner.tolist() == [0, 0, 1, 1]


def test_few_queries_are_taken_evenly_and_none_that_was_seen_is_shown_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage.of(store, SplitSettings(), "test", False)
    items = len(stage.split.catalogue)
    monkeypatch.setattr(looked, "CELLS", 7 * items)
    scores, relevant, users = looked._asked(stage, Flat(items))  # type: ignore[arg-type]
    assert scores.shape == (7, items)
    assert users.tolist() == stage.users[np.linspace(0, len(stage.queries) - 1, 7).astype(int)].tolist()
    assert np.isneginf(scores).any()
    assert np.isfinite(scores[relevant.owners(), relevant.columns]).all()


def test_a_run_tells_what_its_scores_mean(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    story = json.loads((finished.folder / finished.result["report"]).with_name("story.json").read_text())
    told = story["calibration"]
    evaluation = finished.result["evaluation"]
    assert (told["k"], told["queries"]) == (10, evaluation["queries"])
    assert sum(each["count"] for each in told["bins"]) == told["k"] * told["queries"]
    shares = [each["predicted"] for each in told["bins"]]
    assert shares == sorted(shares)
    # What the shown items were, in all, is what a list of ten holds of the relevant ones: recall, if all count alike.
    held = sum(each["observed"] * each["count"] for each in told["bins"]) / told["queries"]
    assert held == pytest.approx(evaluation["metrics"]["recall@10"]["mean"], abs=0.02)
    assert 0 < told["error"] < told["before"]["error"] < 0.2
    assert [each["observed"] for each in told["before"]["bins"]] == [
        each["observed"] for each in told["bins"]
    ]
    finished.there(monkeypatch)
    registry = registry_of(load("tiny.yaml"))
    assert registry.package(registry.find("1")).about["expects"] == told["expects"]
    assert len(story["examples"]["users"]) == 5
    page = Path(finished.folder / finished.result["report"]).read_text()
    assert "What its scores mean" in page
    assert "Some users" in page
