"""The main job: what it answers and leaves behind, and that it may be killed, filled up or failed at any step."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

import evaluators
from harness import pipeline, report
from harness.registry import DECISION_TAG, RUN_TAG, Registry, Version
from harness.settings import load
from harness.workshop import Workshop
from tests.conftest import ROOT
from tests.harness.conftest import CLOSED, TINY, Command, Finished

FIGURE = {"mean", "low", "high"}
DIFFERENCE = {"difference", "low", "high", "p"}


def run(config: str, *changes: str, fresh: bool = False) -> dict[str, Any]:
    return pipeline.run(load(config, list(changes)), Path(config), fresh=fresh)


@pytest.fixture
def closed(work: Path, fading_log: Path) -> Path:
    """A folder with a configuration that needs no search."""
    shutil.copy(fading_log, work / "events.csv")
    (work / "closed.yaml").write_text(CLOSED)
    return work


@pytest.fixture
def tiny(work: Path, fading_log: Path, ray_session: str) -> Path:
    """A folder with the main job, nothing done."""
    shutil.copy(fading_log, work / "events.csv")
    (work / "tiny.yaml").write_text(TINY)
    return work


@pytest.fixture
def done(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> Finished:
    finished.there(monkeypatch)
    return finished


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No drawing: most of a small run's time goes into its figures."""
    monkeypatch.setattr(report, "figures", lambda story: {})
    monkeypatch.setattr(report, "write", lambda story, text, path: Path(path).write_text(text))


# What it answers


def test_the_answer_has_the_documented_shape(done: Finished) -> None:
    result = done.result
    assert set(result) == {
        "evaluation", "data", "search", "comparison", "ab", "model", "verdict", "report", "run_id",
    }  # fmt: skip
    evaluation = result["evaluation"]
    assert set(evaluation) == {
        "protocol", "stage", "queries", "users", "catalogue", "metrics", "segments", "audit",
    }  # fmt: skip
    assert (evaluation["protocol"], evaluation["stage"]) == ("successive", "test")
    assert {"ndcg@5", "ndcg@10", "recall@10", "mrr", "coverage@10"} <= set(evaluation["metrics"])
    assert all(set(figure) == FIGURE for figure in evaluation["metrics"].values())
    events = pd.read_csv(done.folder / "events.csv")
    assert result["data"] == {
        "events": len(events), "users": events.user_id.nunique(), "items": events.item_id.nunique(), "rejected": 0,
    }  # fmt: skip
    assert set(result["search"]) == {"trials", "failed", "best"}
    assert (result["search"]["trials"], result["search"]["failed"]) == (24, 0)
    assert set(result["comparison"]["ndcg@10"]) == DIFFERENCE
    assert result["comparison"]["against"] == "none"
    assert result["model"] == {"name": "tiny", "version": 1, "aliases": ["candidate", "champion"]}
    assert set(result["verdict"]) == {"promoted", "sentence", "reasons"}
    assert result["ab"]["names"] == ["none", "candidate"]
    assert sum(result["ab"]["ratio"]["users"]) == evaluation["users"]
    json.dumps(result, allow_nan=False)


def test_forgetting_is_found_where_it_made_the_log(done: Finished) -> None:
    result = done.result
    assert result["verdict"]["promoted"] is True
    assert result["comparison"]["ndcg@10"]["low"] > 0
    assert result["search"]["best"]["params"]["own+linear.family"] != "none"
    assert "Promoted to champion: ndcg@10 0." in result["verdict"]["sentence"]
    assert "against the same model without forgetting" in result["verdict"]["sentence"]
    half_life = result["search"]["best"]["params"]["own+linear.half_life_days"]
    assert 2 < half_life < 15  # the log was made with 5 days


def test_the_figures_agree_with_one_another(done: Finished) -> None:
    story = json.loads((Path(done.result["report"]).parent / "story.json").read_text())
    models = story["models"]
    assert set(models) == {"candidate", "none", "trend"}
    gain = models["candidate"]["ndcg@10"]["mean"] - models["none"]["ndcg@10"]["mean"]
    assert done.result["comparison"]["ndcg@10"]["difference"] == pytest.approx(gain, abs=1e-9)
    assert [entry["against"] for entry in story["comparisons"]] == ["none", "trend"]
    assert models["candidate"]["ndcg@10"] == done.result["evaluation"]["metrics"]["ndcg@10"]


def test_the_control_was_searched_with_the_same_effort(done: Finished) -> None:
    story = json.loads((Path(done.result["report"]).parent / "story.json").read_text())
    assert (story["search"]["trials"], story["search"]["control_trials"]) == (24, 24)
    families = [trial["family"] for trial in story["search"]["history"] if not trial["control"]]
    assert families[0] == "none"
    assert {"none", "exponential", "power", "hyperbolic", "geometric"} == set(families)


# What it leaves in MLflow


def test_the_run_in_mlflow(done: Finished) -> None:
    registry = Registry("tiny")
    logged = registry.client.get_run(done.result["run_id"])
    assert logged.info.status == "FINISHED"
    assert logged.data.params["protocol"] == "successive"
    assert logged.data.params["repeats"] == "True"
    assert logged.data.params["trend.weight"] == "0.1"
    family = done.result["search"]["best"]["params"]["own+linear.family"]
    assert logged.data.params["own.forgetting.family"] == family
    assert logged.data.params["linear.l2"] == str(float(done.result["search"]["best"]["params"]["linear.l2"]))
    for name, figure in done.result["evaluation"]["metrics"].items():
        plain = name.replace("@", "_")
        found = [logged.data.metrics[plain + end] for end in ("", "_low", "_high")]
        assert found == pytest.approx([figure["mean"], figure["low"], figure["high"]])
    gain = done.result["comparison"]["ndcg@10"]
    assert logged.data.metrics["ndcg_10_over_none"] == pytest.approx(gain["difference"])
    assert logged.data.metrics["ndcg_10_over_none_low"] == pytest.approx(gain["low"])
    assert "ndcg_10_over_trend" in logged.data.metrics


def test_the_files_of_the_run_in_mlflow(done: Finished, tmp_path: Path) -> None:
    folder = Path(mlflow.artifacts.download_artifacts(run_id=done.result["run_id"], dst_path=str(tmp_path)))
    assert {"report.html", "configuration.yaml", "story.json"} <= {file.name for file in folder.iterdir()}
    assert (folder / "report.html").read_text() == Path(done.result["report"]).read_text()
    assert yaml.safe_load((folder / "configuration.yaml").read_text())["search"]["trials"] == 24
    figures = list((folder / "figures").glob("*.png"))
    assert {file.stem for file in figures} == set(
        report.figures(json.loads((folder / "story.json").read_text()))
    )
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in figures)


def test_the_version_in_the_registry(done: Finished) -> None:
    (version,) = Registry("tiny").versions()
    assert version.aliases == ("candidate", "champion")
    assert version.run_id == done.result["run_id"]
    assert done.result["verdict"]["sentence"] in version.description.splitlines()[0]
    for reason in done.result["verdict"]["reasons"]:
        assert f"- {reason}" in version.description
    figure = done.result["evaluation"]["metrics"]["ndcg@10"]
    assert (
        version.tags["metrics"] == f"ndcg@10 {figure['mean']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]"
    )
    assert version.tags["family"] == done.result["search"]["best"]["params"]["own+linear.family"]
    assert version.tags["leaks"] == "false"
    decision = json.loads(version.tags[DECISION_TAG])
    assert decision["promoted"] is True
    assert decision["reasons"] == done.result["verdict"]["reasons"]
    assert decision["difference"] == pytest.approx(done.result["comparison"]["ndcg@10"]["difference"])


def test_the_registered_model_is_the_one_that_was_evaluated(done: Finished, lethe: Command) -> None:
    said = lethe("evaluate", "tiny.yaml", "--model", "champion", "--json")
    assert said.code == 0
    for name, figure in said.json["metrics"].items():
        assert figure == pytest.approx(done.result["evaluation"]["metrics"][name], abs=1e-9)


def test_the_registered_model_is_served(done: Finished) -> None:
    served = mlflow.pyfunc.load_model("models:/tiny@champion")
    log = pd.read_csv(done.folder / "events.csv")
    mine = log[log.user_id == "u7"]
    moment = float(mine.timestamp.max() + 60)
    times = mine.timestamp.astype(float).tolist()
    row = pd.DataFrame({"items": [mine.item_id.tolist()], "times": [times], "at": [moment]})
    answer = served.predict(row, params={"k": 5})
    assert len(answer["items"][0]) == 5
    assert set(answer["items"][0]) <= set(log.item_id)
    assert (np.diff(answer["scores"][0]) <= 0).all()


def test_the_report_stands_alone(done: Finished) -> None:
    page = Path(done.result["report"]).read_text()
    assert page.lower().startswith("<!doctype html>")
    assert "Promoted to champion" in page
    assert "lethe run tiny.yaml" in page
    assert done.result["run_id"] in page
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)[^"']+""", page)
    assert not re.findall(r"@import|url\((?!['\"]?(?:data:|#))", page)


# Done once, done again


def test_a_run_that_is_done_is_found(
    done: Finished, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "choose", lambda workshop: pytest.fail("it chose again"))
    assert run("tiny.yaml") == json.loads(json.dumps(done.result))
    assert "found done" in capfd.readouterr().err
    assert len(Registry("tiny").versions()) == 1


def test_a_fresh_run_meets_the_champion_and_is_no_better(closed: Path, quick: None) -> None:
    first = run("closed.yaml")
    assert first["verdict"]["promoted"] is True
    second = run("closed.yaml", fresh=True)
    assert second["model"] == {"name": "closed", "version": 2, "aliases": ["candidate"]}
    assert second["comparison"]["against"] == "champion v1"
    assert second["comparison"]["ndcg@10"]["difference"] == 0.0
    assert second["verdict"]["promoted"] is False
    assert "over champion v1, +0.0000 [+0.0000, +0.0000], is not above 0" in second["verdict"]["reasons"][0]
    assert "Not promoted" in second["verdict"]["sentence"]
    assert second["ab"]["names"] == ["champion v1", "candidate"]
    registry = Registry("closed")
    assert registry.find("champion").version == 1
    assert json.loads(registry.find("2").tags[DECISION_TAG])["against"] == "champion v1"


def test_runs_that_are_told_differently_are_kept_apart(closed: Path, quick: None) -> None:
    first = run("closed.yaml")
    assert first["verdict"]["promoted"] is True
    stricter = run("closed.yaml", "registry.gate.margin=0.5")
    assert stricter["model"]["version"] == 2
    assert stricter["verdict"]["promoted"] is False
    again = run("closed.yaml")
    assert again["model"] == {"name": "closed", "version": 1, "aliases": ["champion"]}  # as they are now
    assert {**again, "model": None} == {**json.loads(json.dumps(first)), "model": None}
    assert run("closed.yaml", "registry.gate.margin=0.5")["model"]["version"] == 2
    assert len(Registry("closed").versions()) == 2


def test_a_better_model_replaces_the_champion_and_can_be_taken_back(closed: Path, quick: None) -> None:
    run("closed.yaml", "model.terms=[{kind: trend, forgetting: {family: exponential, half_life: 500}}]")
    registry = Registry("closed")
    registry.promote(registry.find("1"), {"promoted": True})
    second = run("closed.yaml")
    assert second["comparison"]["against"] == "champion v1"
    assert second["model"]["aliases"] == ["candidate", "champion"]
    was, now = registry.rollback()
    assert (was.version, now.version) == (2, 1)


def test_a_registry_that_was_lost_is_filled_again(closed: Path, quick: None, empty_registry: Path) -> None:
    first = run("closed.yaml")
    other = f"sqlite:///{closed}/other.db"
    shutil.copy(empty_registry, closed / "other.db")
    os.environ["MLFLOW_TRACKING_URI"] = other  # the fixture `work` sets it back
    again = run("closed.yaml")
    assert again["run_id"] != first["run_id"]
    assert again["model"] == first["model"]
    assert len(Registry("closed").versions()) == 1


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "evaluate.k=[3]": lambda result: sorted(result["evaluation"]["metrics"]),
    "evaluate.level=0.5": lambda result: result["evaluation"]["metrics"]["mrr"],
    "ab.salt=other": lambda result: result["ab"]["mean"],
    "ab.shares=[0.2, 0.8]": lambda result: result["ab"]["ratio"]["expected"],
    "registry.gate.metric=mrr": lambda result: result["ab"]["outcome"],
    "registry.name=other": lambda result: result["model"]["name"],
    "split.cuts=[0.7, 0.8]": lambda result: result["evaluation"]["queries"],
    "data.repeats=false": lambda result: result["evaluation"]["metrics"]["mrr"],
}


def test_a_setting_that_changed_is_another_run(closed: Path, quick: None) -> None:
    """Nothing that is told of a run may be told of another configuration."""
    first = run("closed.yaml")
    for change, where in CHANGES.items():
        second = run("closed.yaml", change)
        assert where(first) != where(second), change
        assert first["run_id"] != second["run_id"], change


def test_more_workers_are_the_same_run(closed: Path, quick: None) -> None:
    first = run("closed.yaml")
    again = run("closed.yaml", "train.max_failures=2", "train.workers=1", "data.store=.lethe/store/")
    assert again == json.loads(json.dumps(first))


# Killed, failed, filled up


def driver(folder: Path) -> subprocess.Popen[bytes]:
    code = "from harness.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "run", "tiny.yaml", "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def test_killed_in_the_search_it_goes_on_and_ends_the_same(
    tiny: Path, finished: Finished, capfd: pytest.CaptureFixture[str]
) -> None:
    process = driver(tiny)
    try:
        until = time.monotonic() + 100
        while len(list(tiny.glob(".lethe/runs/*/trials/*.json"))) < 5:
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < until, "no trial finished"
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    left = {file: file.stat().st_mtime_ns for file in tiny.glob(".lethe/runs/*/trials/*.json")}
    assert not list(tiny.glob(".lethe/runs/*/told-*/result.json"))
    capfd.readouterr()
    result = run("tiny.yaml")
    assert re.search(r"[1-9]\d* found finished", capfd.readouterr().err)
    assert {file: file.stat().st_mtime_ns for file in left} == left  # not judged anew
    best, whole = result["search"]["best"], finished.result["search"]["best"]
    assert (best["trial"], best["params"]) == (whole["trial"], whole["params"])
    assert best["value"] == pytest.approx(whole["value"], abs=1e-12)
    (version,) = Registry("tiny").versions()
    assert version.aliases == ("candidate", "champion")
    registry = Registry("tiny")
    experiment = registry.client.get_experiment_by_name("tiny")
    assert len(registry.client.search_runs([experiment.experiment_id])) == 1


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


def test_a_trial_that_fails_fails_the_run_after_the_others(twins: Path, lethe: Command) -> None:
    said = lethe("run", "twins.yaml", "--json")
    assert (said.code, said.out) == (1, "")
    failed = set(re.findall(r"^search: (trial-\d+) failed: .*not positive definite", said.err, re.MULTILINE))
    assert 0 < len(failed) < 8
    assert re.match(
        rf"lethe: search: {len(failed)} of 8 trials failed, and `search.max_failed` allows 0: trial-",
        said.last,
    )
    assert "`linear`: the Gram matrix plus l2 is not positive definite" in said.last
    assert len(list(twins.glob(".lethe/runs/*/trials/*.json"))) == 8 - len(failed)
    assert Registry("twins").versions() == []
    # Where failures are allowed the run goes on from there, and tells of them.
    allowed = lethe("run", "twins.yaml", "--json", "--set", "search.max_failed=8")
    assert allowed.code == 0
    assert "found finished" in allowed.err
    assert allowed.json["search"]["failed"] >= len(failed)
    assert allowed.json["search"]["best"]["params"]["linear.l2"] == 50
    page = Path(allowed.json["report"]).read_text()
    assert "not positive definite" in page
    assert re.search(rf"\b{allowed.json['search']['failed']}\b[^.<]*failed", page)


@pytest.mark.parametrize("step", ["log", "register", "promote", "describe"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
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
            run("closed.yaml")
    result = run("closed.yaml")
    registry = Registry("closed")
    (version,) = registry.versions()
    assert version.aliases == ("candidate", "champion")
    assert result["verdict"]["sentence"] in version.description.splitlines()[0]
    assert result["verdict"]["promoted"] is True
    assert result["comparison"]["against"] == "none"
    assert_one_whole_run(registry, version, result)


def assert_one_whole_run(registry: Registry, version: Version, result: dict[str, Any]) -> None:
    experiment = registry.client.get_experiment_by_name(registry.name)
    (logged,) = registry.client.search_runs([experiment.experiment_id])
    assert logged.info.run_id == version.run_id == result["run_id"]
    assert logged.info.status == "FINISHED"
    assert logged.data.tags[RUN_TAG] == version.tags[RUN_TAG]
    assert len(registry.client.get_metric_history(logged.info.run_id, "ndcg_10")) == 1
    assert Path(result["report"]).exists()


def test_interrupted_after_it_replaced_a_champion_it_still_meets_that_one(
    closed: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The champion that it finds the second time is itself: what counts is the one that it replaced."""
    run("closed.yaml", "model.terms=[{kind: trend, forgetting: {family: exponential, half_life: 500}}]")
    registry = Registry("closed")
    registry.promote(registry.find("1"), {"promoted": True})

    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "describe", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("closed.yaml")
    assert registry.find("champion").version == 2
    result = run("closed.yaml")
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
            run("closed.yaml")
    result = run("closed.yaml")
    assert result["model"]["version"] == 1
    assert result["verdict"]["promoted"] is True


# Steps


@pytest.mark.slow
def test_one_crew_of_workers_fits_what_this_process_fits(closed: Path, ray_session: str) -> None:
    """Two Ray Train workers sum the same Gram matrix, and so give the same model."""
    changes = ["model.terms.1={kind: linear, l2: 20}"]
    alone = Workshop.open(load("closed.yaml", changes))
    inside = alone.assemble(alone.val, alone.settings.model, alone.pretrain())
    shutil.rmtree(alone.folder)
    crew = Workshop.open(load("closed.yaml", [*changes, "train.workers=2"]))
    assert crew.folder == alone.folder
    outside = crew.assemble(crew.val, crew.settings.model, crew.pretrain())
    found, expected = (model.encoders[1].state()["matrix"] for model in (outside, inside))
    assert np.allclose(np.asarray(found), np.asarray(expected), atol=1e-5)


def test_a_fit_that_is_done_is_found(closed: Path, capfd: pytest.CaptureFixture[str]) -> None:
    workshop = Workshop.open(load("closed.yaml"))
    first = workshop.pretrain()
    assert "found in" not in capfd.readouterr().err
    assert workshop.pretrain().folder == first.folder
    assert "pretrain: found in" in capfd.readouterr().err


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
        evaluators, "paired", lambda *arguments: evaluators.Difference(-0.01, -0.02, 0.0, 0.1)
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
