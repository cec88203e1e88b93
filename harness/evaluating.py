"""Commands that judge: evaluate a configuration or a version, compare several, promote one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import evaluators
from evaluators import Evaluation, Method
from harness.errors import ConfigurationError
from harness.gate import decide
from harness.package import Package, Reader
from harness.progress import bar
from harness.registry import CHAMPION, Registry, names
from harness.settings import RunSettings, load
from harness.stage import ForeignScorer, Stage
from harness.workshop import Workshop
from trainers.model import Model


def evaluate_configuration(settings: RunSettings, stage: str, which: str | None) -> dict[str, Any]:
    """The JSON of `lethe evaluate`: of the model that the configuration describes, or of a registered version."""
    if stage not in ("val", "test"):
        raise ConfigurationError(f"`--stage` must be val or test, but got {stage!r}.")
    wanted = settings.evaluate
    if which is not None:
        if wanted.seeds:
            raise ConfigurationError(
                "`evaluate.seeds` fits a model anew with each seed, and cannot be asked of a registered version; "
                "leave `--model` out, or set evaluate.seeds=[]."
            )
        asked = _stage(Workshop.open(settings), stage)
        model = foreign(asked, _package(registry_of(settings), which, asked))
        with bar("evaluate"):
            return asked.report(
                asked.evaluate(model, wanted.metrics, wanted.k), wanted.level, wanted.interval
            )
    asked, evaluation = _described(settings, stage)
    report = asked.report(evaluation, wanted.level, wanted.interval)
    if wanted.seeds:
        others = [
            evaluation
            if seed == settings.seed
            else _described(settings.model_copy(update={"seed": seed}), stage)[1]
            for seed in wanted.seeds
        ]
        report["seeds"] = {"seeds": list(wanted.seeds), "metrics": _over_seeds(others, wanted.level)}
    return report


def _stage(workshop: Workshop, stage: str) -> Stage:
    return workshop.test if stage == "test" else workshop.val


def _described(settings: RunSettings, stage: str) -> tuple[Stage, Evaluation]:
    """What the configuration describes, fitted with its seed and asked the queries of a stage."""
    workshop = Workshop.open(settings)
    asked = _stage(workshop, stage)
    model = workshop.described("test" if stage == "test" else "val")
    with bar("evaluate"):
        return asked, asked.evaluate(model, settings.evaluate.metrics, settings.evaluate.k)


def _over_seeds(evaluations: list[Evaluation], level: float) -> dict[str, Any]:
    """Of metrics with a value per query: the mean over seeds, its interval, and each seed's figure."""
    found = {}
    for name in evaluations[0].values:
        values = np.stack([each.values[name] for each in evaluations])
        estimate = evaluators.over_seeds(values, evaluations[0].users, level)
        found[name] = {**estimate.to_dict(), "by_seed": values.mean(1).tolist()}
    return found


def compare_models(
    settings: RunSettings, others: list[str], changes: list[str] | None = None
) -> dict[str, Any]:
    """The model of the configuration against others, paired on the same test queries.

    Each of the others is a configuration file on the same data, changed by the same `changes`, or a version or alias
    of the registered model.
    """
    workshop = Workshop.open(settings)
    stage = workshop.test
    metrics, ks = settings.evaluate.metrics, settings.evaluate.k
    described = workshop.described("test")
    with bar("evaluate"):
        first = stage.evaluate(described, metrics, ks)
    level = settings.evaluate.level
    entries = []
    for other in others:
        theirs = _other(settings, stage, other, changes)
        with bar(f"evaluate {other}"):
            second = stage.evaluate(theirs, metrics, ks)
        entries.append({"against": other, **_paired(first, second, stage, level, settings.evaluate.interval)})
    _adjust(entries)
    figures = first.summary(level, method=settings.evaluate.interval)
    return {"metrics": figures, "queries": len(stage.queries), "comparisons": entries}


def promote_version(settings: RunSettings, which: str) -> dict[str, Any]:
    """Let the gate decide anew, on the configuration's test queries; `none` is not searched again for that."""
    registry = registry_of(settings)
    assert settings.registry is not None
    version = registry.find(which)
    champion = registry.aliased(CHAMPION)
    if champion is None:
        raise ConfigurationError(
            f"`{registry.name}` has no champion to compare with; `lethe run` compares a first model with `none`."
        )
    if version.tags.get("leaks") == "true":
        raise ConfigurationError(
            f"version {version.version} was judged on a split that leaks; no decision is taken on it."
        )
    if champion.version == version.version:
        raise ConfigurationError(f"version {version.version} of `{registry.name}` is the champion already.")
    workshop = Workshop.open(settings)
    stage = workshop.test
    metric = settings.gate_metric
    metrics, ks = gate_metrics(settings)
    mine, live = _package(registry, str(version.version), stage), registry.package(champion)
    decision = decide(
        settings.registry.gate,
        metric,
        stage.evaluate(foreign(stage, mine), metrics, ks),
        stage.evaluate(foreign(stage, live), metrics, ks),
        stage.users,
        against=f"champion v{champion.version}",
        audit=stage.audit(),
        saw_test=saw_test(live, stage, f"champion v{champion.version}"),
    )
    if decision.promoted:
        registry.promote(version, decision.to_dict())
    else:
        registry.note(version, decision.to_dict())
    return {"name": registry.name, "version": version.version, **decision.to_dict()}


def list_models(name: str | None) -> dict[str, Any]:
    """All registered models with their versions, or those of one."""
    if name and Path(name).suffix in (".yaml", ".yml"):
        wanted = [registry_of(load(name)).name]
    else:
        wanted = [name] if name else names()
    return {
        "models": [
            {"name": each, "versions": [v.to_dict() for v in Registry(each).versions()]} for each in wanted
        ]
    }


def registry_of(settings: RunSettings) -> Registry:
    """The registered model of a configuration."""
    if settings.registry is None:
        raise ConfigurationError(
            "This command needs `registry.name`: what the model is called in the registry."
        )
    return Registry(settings.registry.name)


def foreign(stage: Stage, package: Package) -> ForeignScorer:
    """A registered model, asked about a stage's queries."""
    return ForeignScorer(stage, Reader(package, stage.store))


def gate_metrics(settings: RunSettings) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The metrics asked for, and those that the gate and the guardrails of the A/B test need."""
    wanted = dict.fromkeys(settings.evaluate.metrics)
    ks = settings.evaluate.k
    named = {metric.name for metric in evaluators.resolve(tuple(wanted), ks)}
    for needed in (settings.gate_metric, *settings.ab.guardrails):
        if needed not in named:
            wanted[needed] = None
    if not any(name.startswith("coverage") for name in named):
        wanted[f"coverage@{ks[0]}"] = None
    return tuple(wanted), ks


def saw_test(package: Package, stage: Stage, name: str) -> str | None:
    """Why a registered model's figures on a stage's queries cannot be trusted, if so."""
    if package.about["trained_until"] < stage.split.start:
        return None
    return f"{name} was trained on events of the {stage.split.stage} period and cannot be compared on it"


def _package(registry: Registry, which: str, stage: Stage) -> Package:
    version = registry.find(which)
    package = registry.package(version)
    if problem := saw_test(package, stage, f"version {version.version}"):
        raise ConfigurationError(f"{problem}; use queries later than its training.")
    return package


def _other(
    settings: RunSettings, stage: Stage, other: str, changes: list[str] | None
) -> Model | ForeignScorer:
    if Path(other).suffix not in (".yaml", ".yml"):
        return foreign(stage, _package(registry_of(settings), other, stage))
    theirs = load(other, changes)
    workshop = Workshop.open(theirs)
    same_data = workshop.store.fingerprint == stage.store.fingerprint and theirs.data.repeats == stage.repeats
    if not same_data or theirs.split != settings.split:
        raise ConfigurationError(f"Compared models must share data and split, but those of `{other}` differ.")
    return workshop.described("test")


def _paired(
    first: Evaluation, second: Evaluation, stage: Stage, level: float, method: Method
) -> dict[str, Any]:
    found = {}
    for name in first.values:
        both = first.values[name], second.values[name], stage.users
        found[name] = {
            **evaluators.paired(*both, level, method=method).to_dict(),
            "wilcoxon": evaluators.wilcoxon(*both),
            "detectable": evaluators.detectable(*both, level) if len(np.unique(stage.users)) > 1 else None,
        }
    return found


def _adjust(entries: list[dict[str, Any]]) -> None:
    """Beside each p-value those that answer for all models compared: `holm` and `benjamini_hochberg`."""
    for name in [name for name in entries[0] if name != "against"]:
        p = [entry[name]["p"] for entry in entries]
        adjusted = evaluators.holm(p), evaluators.benjamini_hochberg(p)
        for entry, holm, hochberg in zip(entries, *adjusted, strict=True):
            entry[name] |= {"holm": holm, "benjamini_hochberg": hochberg}
