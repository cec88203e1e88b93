"""A former search on the same data: what is known of it, what is not, and what that saves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainers import fakes
from tests.trainers.search.searching import MODEL, propose_all, settings, subject
from trainers.model import ModelSettings
from trainers.search.curve_space import Params
from trainers.search.ledger import Ledger
from trainers.search.objective import Subject
from trainers.search.proposals import Proposals
from trainers.search.warm import Former, Unlike

ABOUT = {"data": "c7", "split": {"cuts": [0.8, 0.9]}, "metric": "ndcg@10"}


def written(folder: Path, points: list[Params], about: dict[str, Any] = ABOUT) -> Former:
    """A former search that judged these points."""
    ledger = Ledger(folder, "then")
    ledger.sign(about)
    for params in points:
        model = subject().at(params)
        ledger.enter(model, np.array([fakes.known(model)]), 1.0, params=params)
    return Former.of_folder(folder, "the former")


@pytest.fixture
def points() -> list[Params]:
    chosen = settings(60)
    return propose_all(Proposals(chosen, chosen.space))


def test_what_is_known_of_a_space_is_known_exactly(tmp_path: Path, points: list[Params]) -> None:
    known = written(tmp_path, points).known(subject())
    assert (len(known.trials), known.skipped, known.where) == (60, 0, "the former")
    for trial in known.trials:
        assert trial.params in points
        assert trial.value == pytest.approx(fakes.known(subject().at(trial.params)), rel=1e-12)


def test_a_warm_search_needs_fewer_trials_to_the_former_best(tmp_path: Path, points: list[Params]) -> None:
    known = written(tmp_path, points).known(subject()).trials
    best = max(fakes.known(subject().at(params)) for params in points)
    first = {}
    for name, held in (("cold", []), ("warm", known)):
        chosen = settings(60, seed=5)
        values = [fakes.known(subject().at(p)) for p in propose_all(Proposals(chosen, chosen.space, held))]
        first[name] = next((n for n, value in enumerate(values) if value >= best - 1e-12), 60)
        if name == "warm":
            assert max(values) > best  # and goes on from there
    assert first["warm"] == 0
    assert first["cold"] > 15


def test_what_the_space_does_not_contain_is_skipped(tmp_path: Path, points: list[Params]) -> None:
    former = written(tmp_path, points[:20])
    narrow = subject().space.model_copy(deep=True)
    families = ["exponential", "geometric"]
    raw = json.loads(narrow.model_dump_json())
    raw["own"]["forgetting"]["family"] = families
    raw["linear"] = {"l2": {"low": 1.0, "high": 30.0, "log": True}}
    smaller = Subject(MODEL, type(narrow).model_validate(raw))
    known = former.known(smaller)
    inside = [p for p in points[:20] if p["own.family"] in ("none", *families) and p["linear.l2"] <= 30]
    assert 0 < len(inside) < 20
    assert sorted(json.dumps(t.params, sort_keys=True) for t in known.trials) == sorted(
        json.dumps(p, sort_keys=True) for p in inside
    )
    assert known.skipped == 20 - len(inside)
    # One more parameter, one less, and another model around the same parameters: nothing is known.
    raw["own"]["weight"] = {"low": 0.1, "high": 1.0}
    assert not former.known(Subject(MODEL, type(narrow).model_validate(raw))).trials
    assert not former.known(subject().without_forgetting()).trials
    other = ModelSettings.model_validate(
        {"terms": [{"kind": "own", "weight": 2.0}, {"kind": "linear", "l2": 10.0}]}
    )
    assert not former.known(Subject(other, subject().space)).trials


def test_what_was_stopped_or_cannot_be_read_is_skipped(tmp_path: Path, points: list[Params]) -> None:
    former = written(tmp_path, points[:4])
    ledger = Ledger(tmp_path, "then")
    stopped = subject().at(points[5])
    ledger.enter(stopped, None, 1.0, params=points[5], readings=[(1.0, 0.2)])
    (tmp_path / "f00.json").write_text('{"value": 0.')
    again = Former.of_folder(tmp_path, "the former")
    assert len(again.trials) == 5
    known = again.known(subject())
    assert (len(known.trials), known.skipped) == (4, 1)
    recorded = Former.of_record(json.loads(json.dumps(former.record())), "x").known(subject())
    assert [(one.params, one.value) for one in recorded.trials] == [
        (one.params, one.value) for one in former.known(subject()).trials
    ]


@pytest.mark.parametrize("name", ["data", "split", "metric"])
def test_values_of_something_else_are_refused(tmp_path: Path, points: list[Params], name: str) -> None:
    former = written(tmp_path, points[:2])
    former.check(ABOUT)
    with pytest.raises(
        Unlike, match=rf"must be a search with the same {name}, but 'the former' had .* leave it"
    ):
        former.check(ABOUT | {name: "another"})


def test_where_there_was_no_search_nothing_is_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`search.warm_start` must be a former search"):
        Former.of_folder(tmp_path, "nowhere")
