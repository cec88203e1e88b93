"""Runs below a run: which there are, that they are found again after a kill, and what data they say they read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from harness.registry import nested
from harness.registry.parts import parts
from harness.registry.registry import Registry
from tests.harness.conftest import Finished

STORY: dict[str, Any] = {
    "metric": "ndcg@10",
    "search": {
        "trials": 2,
        "control_trials": 1,
        "history": [
            {"trial": "trial-000", "value": 0.25, "control": False, "params": {"own+linear.tau": 7.5}},
            {"trial": "trial-001", "value": None, "control": False, "params": {"own.tau": 0.0}},
            {"trial": "trial-000", "value": 0.125, "control": True, "params": {"linear.l2": 500}},
        ],
    },
    "training": [
        {"term": "mlp", "stage": "pretrain", "loss": [3.0, 2.0], "validation": [2.5, 2.25], "best_epoch": 2},
        {"term": "mlp", "stage": "finetune", "loss": [1.5], "validation": [], "best_epoch": 1},
    ],
    "models": {
        "candidate": {"ndcg@10": {"mean": 0.5}, "coverage": {"mean": None}},
        "none": {"ndcg@10": {"mean": 0.25}},
    },
}
NAMES = [
    "search",
    "search/trial-000",
    "search/trial-001",
    "search under none",
    "search under none/trial-000",
    "pretrain",
    "finetune",
    "evaluation",
]


@pytest.fixture
def registry(work: Path) -> Registry:
    return Registry("shop")


def below(registry: Registry) -> dict[str, Run]:
    experiment = registry.client.get_experiment_by_name("shop")
    runs = registry.client.search_runs([experiment.experiment_id], "tags.`lethe.part` != ''")
    found = {run.data.tags[nested.PART_TAG]: run for run in runs}
    assert len(found) == len(runs)
    return found


def test_the_parts_of_a_story_lie_where_they_belong(registry: Registry) -> None:
    with registry.run("token", "a run") as top:
        registry.nest(top, "token", STORY)
    found = below(registry)
    assert set(found) == set(NAMES)
    ids = {name: run.info.run_id for name, run in found.items()} | {"": top}
    for name, run in found.items():
        above = name.rpartition("/")[0]
        assert run.data.tags["mlflow.parentRunId"] == ids[above]
        assert run.info.run_name == name.rpartition("/")[2]
    assert found["search"].data.metrics == {"ndcg_10": 0.25}
    assert found["search/trial-000"].data.params == {"own and linear.tau": "7.5"}
    assert found["search under none/trial-000"].data.metrics == {"ndcg_10": 0.125}
    assert found["search/trial-001"].info.status == "FAILED"
    assert {run.info.status for name, run in found.items() if name != "search/trial-001"} == {"FINISHED"}
    assert found["evaluation"].data.metrics == {"candidate.ndcg_10": 0.5, "none.ndcg_10": 0.25}
    curve = registry.client.get_metric_history(ids["pretrain"], "mlp.validation")
    assert [(point.step, point.value) for point in curve] == [(0, 2.5), (1, 2.25)]


@pytest.mark.parametrize("call", ["create_run", "log_batch", "set_terminated"])
@pytest.mark.parametrize("kill", [1, 4])
def test_a_run_that_was_killed_goes_on_and_counts_nothing_twice(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, call: str, kill: int
) -> None:
    genuine, calls = getattr(MlflowClient, call), []

    def killed(self: MlflowClient, *arguments: Any, **more: Any) -> Any:
        calls.append(call)
        made = genuine(self, *arguments, **more)
        if len(calls) == kill:
            raise KeyboardInterrupt
        return made

    with registry.run("token", "a run") as top, monkeypatch.context() as patch:
        patch.setattr(MlflowClient, call, killed)
        with pytest.raises(KeyboardInterrupt):
            registry.nest(top, "token", STORY)
    with registry.run("token", "a run") as again:
        assert again == top
        registry.nest(again, "token", STORY)
        registry.nest(again, "token", STORY)
    found = below(registry)
    assert set(found) == set(NAMES)
    assert {run.info.status for name, run in found.items() if name != "search/trial-001"} == {"FINISHED"}
    curve = registry.client.get_metric_history(found["pretrain"].info.run_id, "mlp.loss")
    assert [(point.step, point.value) for point in curve] == [(0, 3.0), (1, 2.0)]


def test_a_trial_that_was_stopped_did_not_fail() -> None:
    trial = {
        "trial": "trial-007",
        "value": None,
        "stopped": {"at": 3, "value": 0.2},
        "control": False,
        "params": {},
    }
    search = {"trials": 1, "control_trials": 0, "history": [trial]}
    told = {part.name: part for part in parts(STORY | {"search": search})}
    assert told["search/trial-007"].ended == "KILLED"
    assert told["search/trial-007"].series == {"ndcg_10 when stopped": [0.2], "stopped at": [3]}
    assert told["search"].series == {}


def test_a_member_of_a_population_tells_its_rounds() -> None:
    trial = {"trial": "trial-001", "value": 0.5, "control": False, "params": {}, "rounds": [0.25, 0.375]}
    search = {"trials": 1, "control_trials": 0, "history": [trial]}
    told = {part.name: part for part in parts(STORY | {"search": search})}
    assert told["search/trial-001"].series == {"ndcg_10": [0.5], "ndcg_10 after each round": [0.25, 0.375]}


def test_the_data_are_told_once_and_without_a_password(registry: Registry) -> None:
    with registry.run("token", "a run") as top:
        for _ in range(2):
            nested.reads("shop", "abc123", "https://me:secret@data.example/events.csv?sig=secret")
    (held,) = registry.client.get_run(top).inputs.dataset_inputs
    assert (held.dataset.name, held.dataset.digest) == ("shop", "abc123")
    assert "data.example/events.csv" in held.dataset.source
    assert "secret" not in held.dataset.source
    assert [(tag.key, tag.value) for tag in held.tags] == [("mlflow.data.context", "training")]


def test_the_main_job_is_nested(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    finished.there(monkeypatch)
    client = MlflowClient(finished.uri)
    top = client.get_run(finished.result["run_id"])
    runs = client.search_runs(
        [top.info.experiment_id], f"tags.`lethe.of` = '{top.data.tags['lethe.run']}'", max_results=500
    )
    found = {run.data.tags["lethe.part"] for run in runs}
    assert {"search", "search/trial-023", "search under none/trial-023", "pretrain", "evaluation"} <= found
    assert len(runs) == len(found)
    assert top.inputs.dataset_inputs[0].dataset.digest == top.data.tags["data"]
