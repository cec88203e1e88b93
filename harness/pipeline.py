"""The main job: from an event log to a registered, gated, explained model."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import evaluators
from evaluators import Evaluation
from harness import __version__, report
from harness.data import summarise
from harness.description import markdown
from harness.errors import ConfigurationError
from harness.evaluating import foreign, saw_test
from harness.gate import Decision, decide
from harness.package import Package
from harness.progress import bar, say
from harness.registry import RUN_TAG, Registry, Version
from harness.settings import RunSettings
from harness.story import curve_of_terms, half_life_words, search_story, training_story
from harness.workshop import Finetuned, Workshop
from trainers.encoders.trend import TrendSettings
from trainers.fits import Fits
from trainers.model import ModelSettings
from trainers.search import SearchResult

RESULT_FILE = "result.json"
RUN_FILE = "run.json"
REPORT_FILE = "report.html"
STORY_FILE = "story.json"
PACKAGES = ("ray", "torch", "mlflow", "pandas", "numpy", "scipy", "optuna", "pyarrow")


@dataclass(frozen=True)
class Chosen:
    """What validation decided: the model, its control under `none`, and the fits that serve both."""

    model: ModelSettings
    control: ModelSettings
    fits: Fits
    search: SearchResult | None = None
    control_search: SearchResult | None = None
    finetuned: Finetuned | None = None


def run(settings: RunSettings, config_path: Path, *, fresh: bool = False) -> dict[str, Any]:
    """Prepare, pretrain, search, fine-tune, evaluate, simulate the A/B test, register, report.

    A run that was killed goes on where it was; one that is done is found and returned as it is, unless `fresh`.

    Returns:
        The JSON of `lethe run`.

    Raises:
        ConfigurationError, DataError: wrong input. IncompleteError: a trial or a step did not finish.
    """
    if settings.registry is None:
        raise ConfigurationError(
            "`lethe run` needs `registry.name`: what the model is called in the registry."
        )
    started = time.monotonic()
    workshop = Workshop.open(settings)
    if fresh:
        shutil.rmtree(workshop.folder, ignore_errors=True)
    registry = Registry(settings.registry.name)
    token = _token(workshop.folder, settings)
    done = _done(workshop.folder, registry, token)
    if done is not None:
        say(f"run: found done in {workshop.folder}; `--fresh` does it again")
        return done
    chosen = choose(workshop)
    outcome = judge(workshop, chosen, registry, token)
    result = publish(workshop, chosen, outcome, registry, token, config_path, time.monotonic() - started)
    _write(workshop.folder / RESULT_FILE, result)
    return result


def choose(workshop: Workshop) -> Chosen:
    """Everything that is decided on validation: the curve, the weights, λ, epochs, fine-tuning or not."""
    settings = workshop.settings
    model, control = settings.model, settings.model.without_forgetting()
    fits = workshop.pretrain([model, control])
    searched = control_searched = None
    if settings.search:
        searched = workshop.search(fits)
        model = searched.settings(searched.ranking[0])
        control_searched = workshop.search(fits, control=True)
        control = control_searched.settings(control_searched.ranking[0])
    fits = workshop.serving([model, control], fits)
    return Chosen(model, control, fits, searched, control_searched, workshop.finetune(fits, model))


@dataclass(frozen=True)
class Outcome:
    """What the test queries said, asked once a model."""

    package: Package
    evaluations: dict[str, Evaluation]
    decision: Decision
    champion: Version | None

    @property
    def candidate(self) -> Evaluation:
        return self.evaluations["candidate"]

    @property
    def rival(self) -> str:
        """What the gate compared with."""
        return "champion" if self.champion else "none"


def judge(workshop: Workshop, chosen: Chosen, registry: Registry, token: str) -> Outcome:
    """Fit the chosen models for test, ask each of them all test queries, and let the gate decide."""
    settings = workshop.settings
    assert settings.registry is not None
    stage = workshop.test
    trend = trend_alone(chosen.model)
    model, control, popular = workshop.final(
        [chosen.model, chosen.control, trend], chosen.fits, chosen.finetuned
    )
    metrics, ks = _metrics(settings)
    audit = stage.audit()
    about = {
        "repeats": settings.data.repeats,
        "trained_until": stage.training.end,
        "fingerprint": workshop.store.fingerprint,
        "leaks": audit.leaks,
        "lethe": __version__,
    }
    package = Package.of(model, workshop.store, stage.split.catalogue, about)
    asked: dict[str, Any] = {"candidate": model, "none": control, "trend": popular}
    champion = registry.rival(token)
    problem = None
    if champion is not None:
        live = registry.package(champion)
        asked["champion"] = foreign(stage, live)
        problem = saw_test(live, stage, f"champion v{champion.version}")
    evaluations = {}
    with bar("evaluate", len(asked)) as line:
        for number, (name, scorer) in enumerate(asked.items(), 1):
            evaluations[name] = stage.evaluate(scorer, metrics, ks)
            line.update(done=number, note=name)
    against = f"champion v{champion.version}" if champion else "none"
    decision = decide(
        settings.registry.gate,
        settings.gate_metric,
        evaluations["candidate"],
        evaluations["champion" if champion else "none"],
        stage.users,
        against=against,
        audit=audit,
        saw_test=problem,
    )
    return Outcome(package, evaluations, decision, champion)


def trend_alone(model: ModelSettings) -> ModelSettings:
    """The control that any gain must survive: popularity, decayed as in the model where that has a trend."""
    for term in model.terms:
        if isinstance(term, TrendSettings):
            return ModelSettings(terms=(term.model_copy(update={"weight": 1.0}),))
    return ModelSettings(terms=(TrendSettings(),))


def publish(
    workshop: Workshop,
    chosen: Chosen,
    outcome: Outcome,
    registry: Registry,
    token: str,
    config_path: Path,
    seconds: float,
) -> dict[str, Any]:
    """Register the model, write the report, log both, open the gate or keep it shut."""
    settings, stage = workshop.settings, workshop.test
    metric, level = settings.gate_metric, settings.evaluate.level
    evaluation = stage.report(outcome.candidate, level)
    comparisons = _comparisons(outcome, metric, stage.users, level)
    experiment = evaluators.simulate(
        outcome.evaluations[outcome.rival].values[metric],
        outcome.candidate.values[metric],
        workshop.store.users[stage.users],
        shares=settings.ab.shares,
        salt=settings.ab.salt,
        level=level,
    )
    against = outcome.decision.against
    ab = {"outcome": metric, "names": [against, "candidate"], **experiment.to_dict()}
    verdict = {
        "promoted": outcome.decision.promoted,
        "sentence": _sentence(outcome, chosen.model, evaluation, metric),
        "reasons": list(outcome.decision.reasons),
    }
    counts = workshop.store.counts
    created = datetime.now(UTC).isoformat(timespec="seconds")
    story = {
        "name": registry.name,
        "created": created,
        "seconds": seconds,
        "config_path": str(config_path),
        "protocol": settings.split.protocol,
        "cuts": list(settings.split.cuts),
        "repeats": settings.data.repeats,
        "metric": metric,
        "fingerprint": workshop.store.fingerprint,
        "versions": {"lethe": __version__, **{name: version_of(name) for name in PACKAGES}},
        "data": {
            "events": counts.events,
            "users": counts.users,
            "items": counts.items,
            "rejected": counts.rejected,
            "reasons": counts.by_reason,
            "profile": summarise(workshop.store),
        },
        "search": search_story(workshop, chosen.search, chosen.control_search) if chosen.search else None,
        "terms": curve_of_terms(chosen.model, workshop),
        "training": training_story(chosen),
        "finetune": _finetune_story(chosen.finetuned),
        "evaluation": evaluation,
        "models": {name: found.summary(level) for name, found in outcome.evaluations.items()},
        "comparisons": comparisons,
        "ab": ab,
        "verdict": verdict,
    }
    with bar("register") as line, registry.run(token, f"{registry.name} {created[:16]}") as run_id:
        story |= {"run_id": run_id, "reproduce": _reproduce(config_path, registry)}
        registry.log(
            run_id,
            _params(chosen.model, settings, story),
            _metric_values(evaluation, comparisons),
            _tags(story),
        )
        version = registry.register(run_id, token, outcome.package, _tags(story))
        if outcome.decision.promoted:
            registry.promote(version, outcome.decision.to_dict())
        else:
            registry.note(version, outcome.decision.to_dict())
        version = registry.find(str(version.version))
        story["model"] = {"name": version.name, "version": version.version, "aliases": list(version.aliases)}
        registry.describe(version, markdown(story))
        line.update(note="report")
        path = workshop.folder / REPORT_FILE
        report.write(story, settings.text(), path)
        _write(workshop.folder / STORY_FILE, story)
        _log_files(workshop.folder, story, settings)
    say(f"verdict: {verdict['sentence']}")
    say(f"report: {path}")
    search = story["search"]
    return {
        "evaluation": evaluation,
        "data": {name: story["data"][name] for name in ("events", "users", "items", "rejected")},  # type: ignore[index]
        "search": {name: search[name] for name in ("trials", "failed", "best")} if search else None,  # type: ignore[index]
        "comparison": next(entry for entry in comparisons if entry["against"] == against),
        "ab": ab,
        "model": story["model"],
        "verdict": verdict,
        "report": str(path),
        "run_id": run_id,
    }


def _log_files(folder: Path, story: dict[str, Any], settings: RunSettings) -> None:
    import mlflow

    mlflow.log_artifact(str(folder / REPORT_FILE))
    mlflow.log_text(settings.text(), "configuration.yaml")
    mlflow.log_dict(story, "story.json")
    for name, figure in report.figures(story).items():
        mlflow.log_figure(figure, f"figures/{name}.png")


def _metrics(settings: RunSettings) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The metrics asked for, and those that the gate needs."""
    wanted = dict.fromkeys(settings.evaluate.metrics)
    ks = settings.evaluate.k
    named = {metric.name for metric in evaluators.resolve(tuple(wanted), ks)}
    if settings.gate_metric not in named:
        wanted[settings.gate_metric] = None
    if not any(name.startswith("coverage") for name in named):
        wanted[f"coverage@{ks[0]}"] = None
    return tuple(wanted), ks


def _comparisons(outcome: Outcome, metric: str, users: Any, level: float) -> list[dict[str, Any]]:
    """Candidate minus each other model, paired by query, for every metric that has a value a query."""
    names = {"champion": f"champion v{outcome.champion.version}"} if outcome.champion else {}
    entries = []
    for name, other in outcome.evaluations.items():
        if name == "candidate":
            continue
        entry: dict[str, Any] = {"against": names.get(name, name)}
        for which in dict.fromkeys([metric, *outcome.candidate.values]):
            found = evaluators.paired(outcome.candidate.values[which], other.values[which], users, level)
            entry[which] = found.to_dict()
        entries.append(entry)
    return entries


def _sentence(outcome: Outcome, model: ModelSettings, evaluation: dict[str, Any], metric: str) -> str:
    decision = outcome.decision
    figure = evaluation["metrics"][metric]
    than = "the same model without forgetting" if decision.against == "none" else decision.against
    gain = f"{decision.difference:+.4f} [{decision.low:+.4f}, {decision.high:+.4f}]"
    head = "Promoted to champion" if decision.promoted else "Not promoted"
    text = (
        f"{head}: {metric} {figure['mean']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}] on "
        f"{evaluation['queries']:,} test queries, {gain} against {than}"
    )
    words = half_life_words(model)
    return f"{text}; {words}." if words else f"{text}."


def _finetune_story(finetuned: Finetuned | None) -> dict[str, Any] | None:
    if finetuned is None:
        return None
    return {"kept": finetuned.kept, "reason": finetuned.reason, **finetuned.difference.to_dict()}


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
    values: dict[str, float] = {}
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
    return values


def _tags(story: dict[str, Any]) -> dict[str, str]:
    metric = story["metric"]
    figure = story["evaluation"]["metrics"][metric]
    families = [term["forgetting"]["family"] for term in story["terms"] if term["forgetting"]]
    return {
        "metrics": f"{metric} {figure['mean']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]",
        "family": families[0] if families else "none",
        "data": story["fingerprint"][:24],
        "verdict": story["verdict"]["sentence"],
        "leaks": str(story["evaluation"]["audit"]["leaks"]).lower(),
    }


def _reproduce(config_path: Path, registry: Registry) -> list[str]:
    return [
        f"lethe run {config_path} --fresh",
        f"MLFLOW_TRACKING_URI={registry.uri} lethe models {registry.name}",
    ]


def _token(folder: Path, settings: RunSettings) -> str:
    """What this run is called in MLflow: made once, kept with the run's work, gone with it.

    The work is shared by configurations that differ in what is told of it (metrics, the gate, the A/B test); each of
    those is another run."""
    told = settings.model_dump(mode="json", include={"evaluate", "ab", "registry"})
    file = folder / RUN_FILE
    found = json.loads(file.read_text()) if file.exists() else {}
    if found.get("told") != told:
        folder.mkdir(parents=True, exist_ok=True)
        found = {"token": uuid.uuid4().hex, "told": told}
        _write(file, found)
    return str(found["token"])


def _done(folder: Path, registry: Registry, token: str) -> dict[str, Any] | None:
    """The result of this run, if it is done and its version is still in the registry."""
    file = folder / RESULT_FILE
    if not file.exists():
        return None
    if not any(version.tags.get(RUN_TAG) == token for version in registry.versions()):
        return None
    result: dict[str, Any] = json.loads(file.read_text())
    return result


def _write(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(content, indent=2, allow_nan=False))
    os.replace(partial, path)


def write_report(settings: RunSettings) -> Path:
    """Write the report of a run that is done once more; ConfigurationError where it is not done."""
    folder = Workshop.open(settings).folder
    if not (folder / STORY_FILE).exists():
        raise ConfigurationError(
            f"A report needs a run that is done, but {folder} holds none; `lethe run` makes one."
        )
    path = folder / REPORT_FILE
    report.write(json.loads((folder / STORY_FILE).read_text()), settings.text(), path)
    return path
