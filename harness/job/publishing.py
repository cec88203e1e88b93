"""Register the model, write the report, log both: what a run leaves for people to read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from harness import report
from harness.errors import ConfigurationError
from harness.files import write_json
from harness.masking import masked
from harness.progress import bar, say
from harness.registry.description import brief, markdown
from harness.registry.logged import metrics, params, tags
from harness.registry.nested import reads
from harness.registry.registry import STORY_FILE, Registry
from harness.serving.expected import NAME as EXPECTS
from harness.serving.package import Package
from harness.settings import RunSettings
from harness.steps.judging import Outcome
from harness.steps.warm import RECORD_FILE
from harness.steps.workshop import Workshop
from harness.story.verdict import verdict
from trainers.search.warm import Former

REPORT_FILE = "report.html"


def publish(
    workshop: Workshop, outcome: Outcome, told: Mapping[str, Any], registry: Registry, token: str, run_id: str
) -> dict[str, Any]:
    """Register the model, write the report, log both with the active run, open the gate or keep it shut.

    Args:
        told: the story of the run, with its cost.
    """
    with bar("register") as line:
        story = {
            **told,
            "run_id": run_id,
            "experiment_id": registry.experiment(),
            "reproduce": _reproduce(told["config_path"], registry),
        }
        registry.log(run_id, params(outcome.package.model.settings, story), metrics(story), tags(story))
        reads(registry.name, story["fingerprint"][:24], workshop.settings.data.event_locations[0])
        line.update(note="nested runs")
        registry.nest(run_id, token, story)
        _register(outcome, story, registry, token, run_id)
        line.update(note="report")
        path = _write(story, workshop.told)
        write_json(workshop.told / STORY_FILE, story)
        _log_files(workshop.told, story, workshop.trials if story["search"] else None)
    say(f"fading: {story['fading']['sentence']}")
    say(f"verdict: {story['verdict']['sentence']}")
    say(f"report: {path}")
    return _result(story, outcome.decision.against, path)


def _register(outcome: Outcome, story: dict[str, Any], registry: Registry, token: str, run_id: str) -> None:
    """The version, the gate's word on it, and its description; the story is told under which aliases it stands."""
    version = registry.register(run_id, token, _knowing(outcome.package, story), tags(story))
    decision = registry.settle(version, outcome.decision, outcome.champion)
    if decision.promoted != outcome.decision.promoted:  # the champion changed meanwhile
        story["verdict"] = verdict(replace(outcome, decision=decision), story["evaluation"], story["metric"])
        registry.retell(version, tags(story))
    version = registry.find(str(version.version))
    story["model"] = {"name": version.name, "version": version.version, "aliases": list(version.aliases)}
    registry.describe(version, markdown(story))
    mlflow.set_tag(MLFLOW_RUN_NOTE, brief(story))


def _knowing(package: Package, story: dict[str, Any]) -> Package:
    """The package with what its scores are expected to mean, where they mean anything."""
    expects = story["calibration"].get(EXPECTS)
    return replace(package, about={**package.about, EXPECTS: expects}) if expects else package


def _log_files(folder: Path, story: dict[str, Any], trials: Path | None) -> None:
    """The report with its parts, and the trials, which a later search may start from."""
    mlflow.log_artifact(str(folder / REPORT_FILE))
    mlflow.log_text(story["configuration"], "configuration.yaml")
    mlflow.log_dict(story, STORY_FILE)
    if trials is not None:
        mlflow.log_dict(Former.of_folder(trials, str(trials)).record(), RECORD_FILE)
    for name, figure in report.figures(story).items():
        mlflow.log_figure(figure, f"figures/{name}.png")


def _result(story: dict[str, Any], against: str, path: Path) -> dict[str, Any]:
    """The JSON of `lethe run`."""
    search = story["search"]
    return {
        "evaluation": story["evaluation"],
        "data": {name: story["data"][name] for name in ("events", "users", "items", "rejected")},
        "search": {name: search[name] for name in ("trials", "failed", "stopped", "best")}
        if search
        else None,
        "comparison": next(entry for entry in story["comparisons"] if entry["against"] == against),
        "ab": story["ab"],
        "fading": {name: story["fading"][name] for name in ("sentence", "chosen", "pays", "half_life")},
        "model": story["model"],
        "verdict": story["verdict"],
        "report": str(path),
        "run_id": story["run_id"],
    }


def _reproduce(config_path: str, registry: Registry) -> list[str]:
    return [
        f"lethe run {config_path} --fresh  # with the same --set, if there was any",
        "lethe run configuration.yaml --fresh  # or with the resolved file, which is logged with the run",
        f"MLFLOW_TRACKING_URI={masked(registry.uri)} lethe models {registry.name}",
    ]


def _write(story: Mapping[str, Any], folder: Path) -> Path:
    """Write the report of a story into a folder."""
    path = folder / REPORT_FILE
    report.write(story, story["configuration"], path)
    return path


def write_report(settings: RunSettings) -> Path:
    """Write the report of a run that is done once more; ConfigurationError where it is not done."""
    folder = Workshop.open(settings).told
    if not (folder / STORY_FILE).exists():
        raise ConfigurationError(
            f"A report needs a run that is done, but {folder} holds none; `lethe run` makes one."
        )
    return _write(json.loads((folder / STORY_FILE).read_text()), folder)
