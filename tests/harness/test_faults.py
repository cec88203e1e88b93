"""Killed, failed, filled up: the main job loses nothing, doubles nothing, and says what happened."""

from __future__ import annotations

import importlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.entities import Run

from harness import report
from harness.registry.nested import PART_TAG
from harness.registry.registry import RUN_TAG, Registry, Version
from tests.harness.conftest import Command, Finished, run_main
from tests.harness.drivers import kill_at


@pytest.mark.slow
@pytest.mark.parametrize("trials", [1, 5, 40])
def test_killed_in_the_search_it_goes_on_and_ends_the_same(
    tiny: Path, finished: Finished, capfd: pytest.CaptureFixture[str], trials: int
) -> None:
    kill_at(tiny, ".lethe/runs/*/trials/*.json", trials)
    assert not list(tiny.glob(".lethe/runs/*/told-*/result.json"))
    assert_it_goes_on(tiny, finished, capfd)


def test_what_a_kill_leaves_of_a_search_is_taken_up(
    left: Path, finished: Finished, capfd: pytest.CaptureFixture[str], quick: None
) -> None:
    """The same without the kill: some trials are written down, two are half written, the others are not there. And
    the database is away as long as the search takes."""
    trials = sorted(left.glob(".lethe/runs/*/trials/*.json"), key=lambda file: file.stat().st_mtime_ns)
    forgetting = [
        file for file in trials if 'half_life_days"' in file.read_text()
    ]  # the first of all has none, and stays
    for file in forgetting[6:]:
        file.unlink()
    half = set(forgetting[4:6])
    forgetting[4].write_text('{"value": 0.9')
    values = forgetting[5].with_suffix(".npy")
    values.write_bytes(values.read_bytes()[:50])
    with away(left / "mlflow.db", "harness.steps.searching.search"):
        assert_it_goes_on(left, finished, capfd, half=half)


def assert_it_goes_on(
    folder: Path,
    finished: Finished,
    capfd: pytest.CaptureFixture[str],
    half: Set[Path] = frozenset(),
) -> None:
    """Run what was interrupted: nothing finished is done again, and the end is that of a run that nothing befell."""
    there = set(folder.glob(".lethe/runs/*/trials/*.json")) - half
    before = {file: file.stat().st_mtime_ns for file in there}
    capfd.readouterr()
    result = run_main("tiny.yaml")
    assert re.search(r"[1-9]\d* found finished", capfd.readouterr().err)
    assert {file: file.stat().st_mtime_ns for file in before} == before  # not judged anew
    best, whole = result["search"]["best"], finished.result["search"]["best"]
    assert (best["trial"], best["params"]) == (whole["trial"], whole["params"])
    assert best["value"] == pytest.approx(whole["value"], abs=1e-12)
    registry = Registry("tiny")
    (version,) = registry.versions()
    assert version.aliases == ("candidate", "champion")
    assert len(runs_of(registry)) == 1


@pytest.fixture
def left(work: Path, finished: Finished) -> Path:
    """What a run leaves that ended after its search and before anything was told."""
    for name in ("events.csv", "tiny.yaml"):
        shutil.copy(finished.folder / name, work / name)
    shutil.copytree(finished.folder / ".lethe", work / ".lethe")
    for told in work.glob(".lethe/runs/*/told-*"):
        shutil.rmtree(told)
    return work


@contextmanager
def away(database: Path, during: str, *, back: bool = True) -> Iterator[None]:
    """The database is not where it was while a function runs, and, where it does not come `back`, until the end."""
    module, _, name = during.rpartition(".")
    genuine = getattr(importlib.import_module(module), name)
    aside = database.with_suffix(".away")

    def without(*arguments: Any, **others: Any) -> Any:
        database.rename(aside)
        try:
            return genuine(*arguments, **others)
        finally:
            if back:
                aside.rename(database)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(during, without)
        yield
    if not back:
        aside.replace(database)


def test_a_database_that_is_lost_after_the_search_loses_no_trial(
    left: Path, finished: Finished, lethe: Command, quick: None
) -> None:
    before = {file: file.stat().st_mtime_ns for file in left.glob(".lethe/runs/*/trials/*.json")}
    with away(left / "mlflow.db", "harness.job.pipeline.publish", back=False):
        said = lethe("run", "tiny.yaml", "--json")
    assert (said.code, said.out) == (1, "")
    assert said.last.startswith("lethe: the registry: ")
    again = lethe("run", "tiny.yaml", "--json")
    assert again.code == 0
    assert again.json["search"] == finished.result["search"]
    assert {file: file.stat().st_mtime_ns for file in before} == before
    (version,) = Registry("tiny").versions()
    assert_one_whole_run(Registry("tiny"), version, again.json)


SINGULAR = """
data: {events: twins.csv, repeats: true}
model:
  terms:
    - {kind: own, forgetting: {family: exponential, half_life: 5}}
    - {kind: linear, l2: 50, weight: 0.3}
search:
  trials: 8
  space:
    linear: {l2: [1.0e-30, 50], weight: {low: 0.1, high: 1}}
    own: {forgetting: {family: [exponential], clock: [time], half_life: {time: [1, 50]}}}
evaluate: {k: [5]}
registry: {name: twins}
"""
"""With two items that the same 64 people took, XᵀX is singular: λ = 10⁻³⁰ cannot be solved, λ = 50 can."""


@pytest.fixture
def twins(work: Path, fading_log: Path, ray_session: str) -> Path:
    log = pd.read_csv(fading_log)
    log = log[log.user_id.isin([f"u{user}" for user in range(64)])]
    first = log.groupby("user_id").timestamp.min() - 86_400
    both = pd.concat(
        [
            pd.DataFrame({"user_id": first.index, "item_id": item, "timestamp": first.values})
            for item in ("a0", "a1")
        ]
    )
    pd.concat([both, log]).to_csv(work / "twins.csv", index=False)
    (work / "twins.yaml").write_text(SINGULAR)
    return work


def test_a_trial_that_fails_fails_the_run_after_the_others(
    twins: Path, lethe: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "figures", lambda story: {})
    said = lethe("run", "twins.yaml", "--json")
    assert (said.code, said.out) == (1, "")
    failed = set(re.findall(r"^search: (trial-\d+) failed: .*not positive definite", said.err, re.MULTILINE))
    control = set(
        re.findall(
            r"^search under `none`: (trial-\d+) failed: .*not positive definite", said.err, re.MULTILINE
        )
    )
    assert 0 < len(failed) < 8
    assert 0 < len(control) < 8
    assert re.match(
        rf"lethe: search: {len(failed)} of 8 trials failed, and `search.max_failed` allows 0: trial-",
        said.last,
    )
    assert "`linear`: the Gram matrix plus l2 is not positive definite" in said.last
    finished = {file: file.stat().st_mtime_ns for file in twins.glob(".lethe/runs/*/trials/*.json")}
    assert 8 - len(failed) < len(finished) <= 16 - len(failed) - len(control)  # two may be of one content
    assert Registry("twins").versions() == []
    # Where failures are allowed the run goes on from there, and tells of them.
    allowed = lethe("run", "twins.yaml", "--json", "--set", "search.max_failed=8")
    assert allowed.code == 0
    assert "found finished" in allowed.err
    assert {file: file.stat().st_mtime_ns for file in finished} == finished
    assert allowed.json["search"]["failed"] == len(failed) + len(control)
    assert allowed.json["search"]["best"]["params"]["linear.l2"] == 50
    page = Path(allowed.json["report"]).read_text()
    assert "not positive definite" in page
    assert re.search(rf"\b{allowed.json['search']['failed']}\b[^.<]*failed", page)


@pytest.mark.parametrize(
    ("step", "after"),
    [
        ("log", False),
        *((step, True) for step in ("log", "register", "promote", "describe")),
        # As after the step before, but for what is done between the two.
        *(pytest.param(step, False, marks=pytest.mark.slow) for step in ("register", "promote", "describe")),
    ],
)
def test_interrupted_while_it_registers_nothing_is_doubled(
    closed: Path, quick: None, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    genuine: Callable[..., Any] = getattr(Registry, step)

    def interrupted(registry: Registry, *arguments: Any) -> Any:
        if after:
            genuine(registry, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Registry, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_main("closed.yaml")
    result = run_main("closed.yaml")
    registry = Registry("closed")
    (version,) = registry.versions()
    assert version.aliases == ("candidate", "champion")
    assert result["verdict"]["sentence"] in version.description.splitlines()[0]
    assert result["verdict"]["promoted"] is True
    assert result["comparison"]["against"] == "none"
    assert_one_whole_run(registry, version, result)


def runs_of(registry: Registry) -> list[Run]:
    """The runs that lie below no other; of those below them every one is there once."""
    experiment = registry.client.get_experiment_by_name(registry.name)
    runs = registry.client.search_runs([experiment.experiment_id])
    nested = [run.data.tags[PART_TAG] for run in runs if PART_TAG in run.data.tags]
    assert len(nested) == len(set(nested)) >= 1
    return [run for run in runs if PART_TAG not in run.data.tags]


def assert_one_whole_run(registry: Registry, version: Version, result: dict[str, Any]) -> None:
    (logged,) = runs_of(registry)
    assert logged.info.run_id == version.run_id == result["run_id"]
    assert logged.info.status == "FINISHED"
    assert logged.data.tags[RUN_TAG] == version.tags[RUN_TAG]
    assert len(registry.client.get_metric_history(logged.info.run_id, "ndcg_10")) == 1
    assert Path(result["report"]).exists()


def test_interrupted_after_it_replaced_a_champion_it_still_meets_that_one(
    closed: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The champion that it finds the second time is itself: what counts is the one that it replaced."""
    run_main("closed.yaml", "model.terms=[{kind: trend, forgetting: {family: exponential, half_life: 500}}]")
    registry = Registry("closed")
    registry.promote(registry.find("1"), {"promoted": True})

    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "describe", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_main("closed.yaml")
    assert registry.find("champion").version == 2
    result = run_main("closed.yaml")
    assert result["comparison"]["against"] == "champion v1"
    assert result["verdict"]["promoted"] is True
    assert registry.rollback()[1].version == 1


def test_a_disk_that_fills_up_at_the_report(
    closed: Path, lethe: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device", "report.html")

    with monkeypatch.context() as patch:
        patch.setattr(report, "write", full)
        said = lethe("run", "closed.yaml", "--json")
    assert (said.code, said.out) == (1, "")
    assert said.last == "lethe: [Errno 28] No space left on device: 'report.html'"
    assert not list(closed.glob(".lethe/runs/*/told-*/report.html"))
    assert not list(closed.glob(".lethe/runs/*/told-*/result.json"))
    again = lethe("run", "closed.yaml", "--json")
    assert again.code == 0
    registry = Registry("closed")
    (version,) = registry.versions()
    assert_one_whole_run(registry, version, again.json)


def test_a_disk_that_fills_up_in_the_last_file(
    closed: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = os.replace

    def full(source: Any, target: Any) -> None:
        if str(target).endswith("result.json"):
            raise OSError(28, "No space left on device")
        genuine(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            run_main("closed.yaml")
    result = run_main("closed.yaml")
    assert result["model"]["version"] == 1
    assert result["verdict"]["promoted"] is True
