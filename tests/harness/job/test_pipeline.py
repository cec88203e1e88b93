"""The main job: what it answers and leaves behind, and that it may be killed, filled up or failed at any step."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

from harness import report
from harness.job import pipeline
from harness.job.publishing import write_report
from harness.registry.registry import DECISION_TAG, Registry
from harness.settings import load
from harness.steps.judging import judge
from tests.harness.conftest import Command, Finished, run_main

FIGURE = {"mean", "low", "high"}
DIFFERENCE = {"difference", "low", "high", "p"}


@pytest.fixture
def done(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> Finished:
    finished.there(monkeypatch)
    return finished


# What it answers


def test_the_answer_has_the_documented_shape(done: Finished) -> None:
    result = done.result
    assert set(result) == {
        "evaluation", "data", "search", "comparison", "ab", "fading", "model", "verdict", "report", "run_id",
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
    assert set(result["search"]) == {"trials", "failed", "stopped", "best"}
    assert [result["search"][name] for name in ("trials", "failed", "stopped")] == [24, 0, 0]
    assert set(result["comparison"]["ndcg@10"]) == DIFFERENCE
    assert result["comparison"]["against"] == "none"
    assert result["model"] == {"name": "tiny", "version": 1, "aliases": ["candidate", "champion"]}
    assert set(result["verdict"]) == {"promoted", "sentence", "reasons"}
    assert result["ab"]["names"] == ["none", "candidate"]
    assert sum(result["ab"]["ratio"]["users"]) == evaluation["users"]
    assert set(result["ab"]) == {
        "outcome", "names", "mean", "absolute", "relative", "p", "ratio", "needed", "detectable", "level", "power",
        "cuped", "ratio_sequential", "always", "guardrails",
    }  # fmt: skip
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
    fading = result["fading"]
    assert set(fading) == {"sentence", "chosen", "pays", "half_life"}
    assert fading["pays"] is True
    assert fading["half_life"]["low"] < 5 < fading["half_life"]["high"]
    assert fading["sentence"] in Path(result["report"]).read_text()


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


def test_a_folder_of_work_that_cannot_be_written_is_named(closed: Path, lethe: Command) -> None:
    said = lethe("run", "closed.yaml", "--set", "work=events.csv", "--json")
    assert (said.code, said.out) == (2, "")
    assert "`work` must be a directory that can be written, but `" in said.last


# Done once, done again


def test_a_run_that_is_done_is_found(
    done: Finished, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "choose", lambda workshop: pytest.fail("it chose again"))
    assert run_main("tiny.yaml") == json.loads(json.dumps(done.result))
    assert "found done" in capfd.readouterr().err
    assert len(Registry("tiny").versions()) == 1


def test_a_fresh_run_meets_the_champion_and_is_no_better(closed: Path, quick: None) -> None:
    first = run_main("closed.yaml")
    assert first["verdict"]["promoted"] is True
    second = run_main("closed.yaml", fresh=True)
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
    first = run_main("closed.yaml")
    assert first["verdict"]["promoted"] is True
    stricter = run_main("closed.yaml", "registry.gate.margin=0.5")
    assert stricter["model"]["version"] == 2
    assert stricter["verdict"]["promoted"] is False
    again = run_main("closed.yaml")
    assert again["model"] == {"name": "closed", "version": 1, "aliases": ["champion"]}  # as they are now
    assert {**again, "model": None} == {**json.loads(json.dumps(first)), "model": None}
    assert run_main("closed.yaml", "registry.gate.margin=0.5")["model"]["version"] == 2
    assert len(Registry("closed").versions()) == 2


def test_a_fresh_run_leaves_what_is_told_of_others(closed: Path, quick: None) -> None:
    """They share its steps, and are done: their reports are there, and nothing of them is registered twice."""
    stricter = run_main("closed.yaml", "registry.gate.margin=0.5")
    (folder,) = closed.glob(".lethe/runs/*")
    (folder / "old.txt").touch()
    before = run_main("closed.yaml")
    after = run_main("closed.yaml", fresh=True)
    assert not (folder / "old.txt").exists()
    assert (before["model"]["version"], after["model"]["version"]) == (2, 3)
    again = run_main("closed.yaml", "registry.gate.margin=0.5")
    assert (again["model"]["version"], again["run_id"]) == (stricter["model"]["version"], stricter["run_id"])
    assert write_report(load("closed.yaml", ["registry.gate.margin=0.5"])).exists()


def test_a_better_model_replaces_the_champion_and_can_be_taken_back(closed: Path, quick: None) -> None:
    run_main("closed.yaml", "model.terms=[{kind: trend, forgetting: {family: exponential, half_life: 500}}]")
    registry = Registry("closed")
    registry.promote(registry.find("1"), {"promoted": True})
    second = run_main("closed.yaml")
    assert second["comparison"]["against"] == "champion v1"
    assert second["model"]["aliases"] == ["candidate", "champion"]
    was, now = registry.rollback()
    assert (was.version, now.version) == (2, 1)


@pytest.mark.slow
def test_a_champion_that_came_while_it_was_compared_stays(
    closed: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_main("closed.yaml", "model.terms=[{kind: trend, forgetting: {family: exponential, half_life: 500}}]")
    registry = Registry("closed")
    registry.promote(registry.find("1"), {"promoted": True})

    def slow(*arguments: Any) -> Any:
        outcome = judge(*arguments)
        registry.client.create_model_version("closed", str(closed))
        registry.promote(registry.find("2"), {"promoted": True})
        return outcome

    monkeypatch.setattr(pipeline, "judge", slow)
    result = run_main("closed.yaml")
    assert result["verdict"]["promoted"] is False
    assert "was v1 when the gate compared and is v2 now" in result["verdict"]["reasons"][-1]
    mine = registry.find("3")
    assert mine.aliases == ("candidate",)
    assert mine.description.startswith("Not promoted")
    assert mine.tags["verdict"] == registry.client.get_run(result["run_id"]).data.tags["verdict"]
    assert mine.tags["verdict"].startswith("Not promoted")
    assert json.loads(mine.tags[DECISION_TAG])["promoted"] is False
    assert registry.find("champion").version == 2


def test_a_split_that_leaks_is_named_wherever_it_is_told_and_promotes_nothing(
    closed: Path, quick: None, lethe: Command
) -> None:
    run_main("closed.yaml")
    leaky = run_main("closed.yaml", "split.protocol=loo", "model.terms.0.weight=2")
    names = [each["name"] for each in leaky["evaluation"]["audit"]["findings"]]
    assert names == ["leave_one_out", "validation_in_test"]
    assert leaky["verdict"]["promoted"] is False
    assert leaky["verdict"]["reasons"][-2].startswith(
        "no decision is taken on a split that leaks: Leaks (leave"
    )
    version = Registry("closed").find(str(leaky["model"]["version"]))
    assert (version.tags["leaks"], version.tags["leaks_found"]) == (
        "true",
        "leave_one_out, validation_in_test",
    )
    assert (
        "Leaks (leave_one_out, validation_in_test): " in version.description.split("What it was made from")[1]
    )
    said = lethe("promote", "closed.yaml", str(version.version))
    assert said.code == 2
    assert "was judged on a split that leaks (leave_one_out, validation_in_test)" in said.last


def test_a_registry_that_was_lost_is_filled_again(closed: Path, quick: None, empty_registry: Path) -> None:
    first = run_main("closed.yaml")
    other = f"sqlite:///{closed}/other.db"
    shutil.copy(empty_registry, closed / "other.db")
    os.environ["MLFLOW_TRACKING_URI"] = other  # the fixture `work` sets it back
    again = run_main("closed.yaml")
    assert again["run_id"] != first["run_id"]
    assert again["model"] == first["model"]
    assert len(Registry("closed").versions()) == 1


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "evaluate.k=[3]": lambda result: sorted(result["evaluation"]["metrics"]),
    "evaluate.level=0.5": lambda result: result["evaluation"]["metrics"]["mrr"],
    "ab.salt=other": lambda result: result["ab"]["mean"],
    "ab.guardrails={recall@3: 0.01}": lambda result: result["ab"]["guardrails"],
    "ab.shares=[0.2, 0.8]": lambda result: result["ab"]["ratio"]["expected"],
    "registry.gate.metric=mrr": lambda result: result["ab"]["outcome"],
    "registry.name=other": lambda result: result["model"]["name"],
    "split.cuts=[0.7, 0.8]": lambda result: result["evaluation"]["queries"],
    "data.repeats=false": lambda result: result["evaluation"]["metrics"]["mrr"],
}


@pytest.mark.slow
def test_a_setting_that_changed_is_another_run(closed: Path, quick: None) -> None:
    """Nothing that is told of a run may be told of another configuration."""
    first = run_main("closed.yaml")
    for change, where in CHANGES.items():
        second = run_main("closed.yaml", change)
        assert where(first) != where(second), change
        assert first["run_id"] != second["run_id"], change


@pytest.mark.slow
def test_more_workers_are_the_same_run(closed: Path, quick: None) -> None:
    first = run_main("closed.yaml")
    again = run_main("closed.yaml", "train.max_failures=2", "train.workers=1", "data.store=.lethe/store/")
    assert again == json.loads(json.dumps(first))
