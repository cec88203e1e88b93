"""Real users in a report: by which rule, what is left of what they did, and when none is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.data import Store
from harness.serving.package import Package
from harness.settings import RunSettings, load
from harness.splits import SplitSettings
from harness.stage import Stage
from harness.story.people import chosen, examples, fading, left
from tests.harness.conftest import CLOSED


@pytest.fixture
def stage(store: Store) -> Stage:
    return Stage.of(store, SplitSettings(), "test", True)


def settings(folder: Path, more: str = "", registry: str = "{name: closed}") -> RunSettings:
    (folder / "events.csv").touch()
    file = folder / "asked.yaml"
    file.write_text(CLOSED.replace("{name: closed}", registry) + more)
    return load(file)


def test_users_are_spread_over_all_lengths_and_outcomes_do_not_matter() -> None:
    users = np.repeat(np.arange(100), 2)
    # A later moment has a longer history.
    lengths = np.repeat(np.arange(100)[::-1], 2) + np.tile([0, 1000], 100)
    found = chosen(users, lengths, 5)
    assert lengths[found].tolist() == [10, 30, 50, 70, 90]
    assert (found % 2 == 0).all()  # the first moment of each
    assert len(chosen(users[:6], lengths[:6], 5)) == 3


def test_what_is_told_is_what_happened(tmp_path: Path, stage: Stage, package: Package) -> None:
    told = examples(settings(tmp_path, "report: {users: 3, forgotten: 0.2}"), stage, package.model)
    assert told
    assert (told["term"], told["forgotten"], len(told["users"])) == ("own", 0.2, 3)
    store = stage.store
    for user in told["users"]:
        number = int(np.flatnonzero(store.users == user["user"])[0])
        rows = slice(store.offsets[number], store.offsets[number + 1])
        before = store.times[rows] < user["at"]
        assert user["events"] == before.sum()
        assert [moment["at"] for moment in user["moments"]] == sorted(set(store.times[rows][before].tolist()))
        for moment in user["moments"]:
            assert moment["left"] == pytest.approx(2 ** (-moment["age"] / 5.0))  # the half-life of the term
        gone = sum(moment["events"] for moment in user["moments"] if moment["left"] < 0.2)
        assert user["gone"] == gone
        now = {str(store.item_ids[item]) for item in store.items[rows][store.times[rows] == user["at"]]}
        assert {entry["item"] for entry in user["list"] if entry["hit"]} == now & {
            e["item"] for e in user["list"]
        }
        had = {str(store.item_ids[item]) for item in store.items[rows][before]}
        assert {entry["item"] for entry in user["list"] if entry["last"] is not None} <= had


def test_no_user_is_shown_where_histories_stay_at_home(
    tmp_path: Path, stage: Stage, package: Package
) -> None:
    assert examples(settings(tmp_path, "report: {users: 0}"), stage, package.model) is None
    private = settings(tmp_path, registry="{name: closed, users: false}")
    assert examples(private, stage, package.model) is None


def test_a_term_that_forgets_is_shown_before_a_heavier_one_that_does_not(
    stage: Stage, package: Package
) -> None:
    label, encoder = fading(package.model)
    assert label == "own"
    histories = stage.histories(slice(0, 4))
    assert np.allclose(left(encoder, histories), 2 ** (-histories.days / 5.0))
