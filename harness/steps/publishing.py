"""Register the model, write the report, log both: what a run leaves for people to read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import mlflow
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

import evaluators
from evaluators import Intervals
from harness import __version__, report, source_digest
from harness.cost import Meter
from harness.data import summarise
from harness.errors import ConfigurationError
from harness.experiments.replay import rehearsed
from harness.files import write_json
from harness.masking import masked
from harness.progress import bar, say
from harness.registry.description import brief, markdown
from harness.registry.nested import reads
from harness.registry.registry import STORY_FILE, Registry
from harness.report.parts import half_life_of
from harness.serving.expected import NAME as EXPECTS
from harness.serving.package import Package
from harness.settings import RunSettings
from harness.steps.calibration import calibration
from harness.steps.choosing import Chosen
from harness.steps.judging import Outcome
from harness.steps.rolling import rolled
from harness.steps.warm import RECORD_FILE
from harness.steps.workshop import Finetuned, Workshop
from harness.story.fading import fading
from harness.story.model import curve_of_terms, half_life_words, training_story
from harness.story.people import examples
from harness.story.search import search_story
from trainers.fitting.finetune import FinetuneSettings
from trainers.model import ModelSettings
from trainers.search.warm import Former

REPORT_FILE = "report.html"
PACKAGES = ("ray", "torch", "mlflow", "pandas", "numpy", "scipy", "optuna", "pyarrow")


def publish(
    workshop: Workshop,
    chosen: Chosen,
    outcome: Outcome,
    registry: Registry,
    token: str,
    run_id: str,
    config_path: Path,
    meter: Meter,
) -> dict[str, Any]:
    """Register the model, write the report, log both with the active run, open the gate or keep it shut."""
    settings, stage = workshop.settings, workshop.test
    metric, how = settings.gate_metric, settings.evaluate.how
    evaluation = stage.report(outcome.candidate, how)
    if settings.split.rolls:
        evaluation["rolling"] = rolled(
            workshop, "test", chosen.model, outcome.package.model, chosen.fits, chosen.finetuned
        )
    comparisons = _comparisons(outcome, metric, how)
    against, other = outcome.decision.against, outcome.evaluations[outcome.rival]
    ab = {
        "outcome": metric,
        "names": [against, "candidate"],
        **rehearsed(stage, other, outcome.candidate, metric, settings.ab, how.level),
    }
    verdict = _verdict(outcome, evaluation, metric)
    counts = workshop.store.counts
    created = datetime.now(UTC).isoformat(timespec="seconds")
    story: dict[str, Any] = {
        "name": registry.name,
        "created": created,
        "config_path": str(config_path),
        "configuration": settings.text(),
        "protocol": settings.split.protocol,
        "cuts": list(settings.split.cuts),
        "horizon": settings.split.horizon and settings.split.horizon.model_dump(exclude_none=True),
        "repeats": settings.data.repeats,
        "metric": metric,
        "intervals": settings.evaluate.told,
        "fingerprint": workshop.store.fingerprint,
        "seed": settings.seed,
        "code": source_digest(),
        "trained_until": datetime.fromtimestamp(stage.training.end, UTC).isoformat(),
        "versions": {"lethe": __version__, **{name: version_of(name) for name in PACKAGES}},
        "data": {
            "events": counts.events,
            "users": counts.users,
            "items": counts.items,
            "rejected": counts.rejected,
            "reasons": counts.by_reason,
            "profile": summarise(workshop.store),
        },
        "search": search_story(workshop, chosen.search, chosen.control_search, chosen.fits)
        if chosen.search
        else None,
        "terms": curve_of_terms(outcome.package.model, workshop),
        "fading": fading(workshop),
        "training": training_story(workshop, chosen),
        "finetune": _finetune_story(settings.finetune, chosen.finetuned),
        "evaluation": evaluation,
        "models": {name: found.summary(how) for name, found in outcome.evaluations.items()},
        "comparisons": comparisons,
        "calibration": calibration(workshop, chosen, outcome.package.model),
        "examples": examples(settings, stage, outcome.package.model),
        "ab": ab,
        "verdict": verdict,
    }
    cost = meter.read().to_dict()
    story |= {"seconds": cost["seconds"], "cost": cost}
    with bar("register") as line:
        story |= {
            "run_id": run_id,
            "experiment_id": registry.experiment(),
            "reproduce": _reproduce(config_path, registry),
        }
        registry.log(
            run_id,
            _params(chosen.model, settings, story),
            _metric_values(evaluation, comparisons) | _cost_values(cost),
            _tags(story),
        )
        reads(registry.name, story["fingerprint"][:24], settings.data.event_locations[0])
        line.update(note="nested runs")
        registry.nest(run_id, token, story)
        version = registry.register(run_id, token, _knowing(outcome.package, story), _tags(story))
        decision = registry.settle(version, outcome.decision, outcome.champion)
        if decision.promoted != outcome.decision.promoted:  # the champion changed meanwhile
            verdict = story["verdict"] = _verdict(replace(outcome, decision=decision), evaluation, metric)
            registry.retell(version, _tags(story))
        version = registry.find(str(version.version))
        story["model"] = {"name": version.name, "version": version.version, "aliases": list(version.aliases)}
        registry.describe(version, markdown(story))
        mlflow.set_tag(MLFLOW_RUN_NOTE, brief(story))
        line.update(note="report")
        path = workshop.told / REPORT_FILE
        report.write(story, story["configuration"], path)
        write_json(workshop.told / STORY_FILE, story)
        _log_files(workshop.told, story, workshop.trials if story["search"] else None)
    say(f"fading: {story['fading']['sentence']}")
    say(f"verdict: {verdict['sentence']}")
    say(f"report: {path}")
    search = story["search"]
    return {
        "evaluation": evaluation,
        "data": {name: story["data"][name] for name in ("events", "users", "items", "rejected")},
        "search": {name: search[name] for name in ("trials", "failed", "stopped", "best")}
        if search
        else None,
        "comparison": next(entry for entry in comparisons if entry["against"] == against),
        "ab": ab,
        "fading": {name: story["fading"][name] for name in ("sentence", "chosen", "pays", "half_life")},
        "model": story["model"],
        "verdict": verdict,
        "report": str(path),
        "run_id": run_id,
    }


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


def _comparisons(outcome: Outcome, metric: str, how: Intervals) -> list[dict[str, Any]]:
    """Candidate minus each other model, paired by query, for every metric that has a value a query."""
    names = {"champion": f"champion v{outcome.champion.version}"} if outcome.champion else {}
    entries = []
    for name, other in outcome.evaluations.items():
        if name == "candidate":
            continue
        entry: dict[str, Any] = {"against": names.get(name, name)}
        for which in dict.fromkeys([metric, *outcome.candidate.values]):
            a, b, users = outcome.candidate.shared(other, which)
            if len(users):
                entry[which] = evaluators.difference(a, b, users, how).to_dict()
        entries.append(entry)
    return entries


def _verdict(outcome: Outcome, evaluation: dict[str, Any], metric: str) -> dict[str, Any]:
    return {
        "promoted": outcome.decision.promoted,
        "sentence": _sentence(outcome, evaluation, metric),
        "reasons": list(outcome.decision.reasons),
    }


def _sentence(outcome: Outcome, evaluation: dict[str, Any], metric: str) -> str:
    decision = outcome.decision
    figure = evaluation["metrics"][metric]
    than = "the same model without forgetting" if decision.against == "none" else decision.against
    gain = f"{decision.difference:+.4f} [{decision.low:+.4f}, {decision.high:+.4f}]"
    head = "Promoted to champion" if decision.promoted else "Not promoted"
    text = (
        f"{head}: {metric} {figure['mean']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}] on "
        f"{evaluation['queries']:,} test queries, {gain} against {than}"
    )
    words = half_life_words(outcome.package.model)
    return f"{text}; {words}." if words else f"{text}."


def _finetune_story(settings: FinetuneSettings | None, finetuned: Finetuned | None) -> dict[str, Any] | None:
    if settings is None or finetuned is None:
        return None
    about = {"kept": finetuned.kept, "reason": finetuned.reason, "window_days": settings.window_days}
    return {**about, **finetuned.difference.to_dict()}


def _params(model: ModelSettings, settings: RunSettings, story: dict[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = {
        "fingerprint": story["fingerprint"],
        **{f"version.{name}": number for name, number in story["versions"].items()},
        "protocol": settings.split.protocol,
        "cuts": settings.split.cuts,
        "repeats": settings.data.repeats,
        "seed": settings.seed,
    }
    for term in model.terms:
        for name, value in term.model_dump(
            mode="json", exclude={"name", "training"}, exclude_none=True
        ).items():
            if isinstance(value, dict):
                params |= {f"{term.label}.{name}.{key}": inner for key, inner in value.items()}
            else:
                params[f"{term.label}.{name}"] = value
    return params


def _metric_values(evaluation: dict[str, Any], comparisons: list[dict[str, Any]]) -> dict[str, float]:
    """MLflow's names allow no @: `ndcg_10`, `ndcg_10_low`, `ndcg_10_over_none`."""
    values: dict[str, float | None] = {}
    for name, figure in evaluation["metrics"].items():
        plain = name.replace("@", "_")
        values |= {plain: figure["mean"], f"{plain}_low": figure["low"], f"{plain}_high": figure["high"]}
    for entry in comparisons:
        against = entry["against"].split()[0]
        for name, found in entry.items():
            if name != "against":
                plain = f"{name.replace('@', '_')}_over_{against}"
                values |= {
                    plain: found["difference"],
                    f"{plain}_low": found["low"],
                    f"{plain}_high": found["high"],
                }
    return {name: value for name, value in values.items() if value is not None}


def _cost_values(cost: dict[str, Any]) -> dict[str, float]:
    """`cost_seconds`, `cost_cpu_seconds`, …: what was counted, without what is assumed."""
    counted = ("starts", "seconds", "cpu_seconds", "gpu_seconds", "peak_memory")
    return {f"cost_{name}": cost[name] for name in counted if cost[name] is not None}


def _tags(story: dict[str, Any]) -> dict[str, str]:
    metric = story["metric"]
    figure = story["evaluation"]["metrics"][metric]
    families = [term["forgetting"]["family"] for term in story["terms"] if term["forgetting"]]
    audit = story["evaluation"]["audit"]
    return {
        "metrics": f"{metric} {figure['mean']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]",
        "family": families[0] if families else "none",
        "half_life": next((half_life_of(term) for term in story["terms"] if term["forgetting"]), "none"),
        "trained_until": story["trained_until"],
        "data": story["fingerprint"][:24],
        "verdict": story["verdict"]["sentence"],
        "leaks": str(audit["leaks"]).lower(),
        **({"leaks_found": ", ".join(each["name"] for each in audit["findings"])} if audit["leaks"] else {}),
    }


def _reproduce(config_path: Path, registry: Registry) -> list[str]:
    return [
        f"lethe run {config_path} --fresh  # with the same --set, if there was any",
        "lethe run configuration.yaml --fresh  # or with the resolved file, which is logged with the run",
        f"MLFLOW_TRACKING_URI={masked(registry.uri)} lethe models {registry.name}",
    ]


def write_report(settings: RunSettings) -> Path:
    """Write the report of a run that is done once more; ConfigurationError where it is not done."""
    folder = Workshop.open(settings).told
    if not (folder / STORY_FILE).exists():
        raise ConfigurationError(
            f"A report needs a run that is done, but {folder} holds none; `lethe run` makes one."
        )
    path = folder / REPORT_FILE
    story = json.loads((folder / STORY_FILE).read_text())
    report.write(story, story["configuration"], path)
    return path
