"""Commands that judge: evaluate a configuration or a version, promote one."""

from __future__ import annotations

from typing import Any

import numpy as np

import evaluators
from evaluators import Evaluation
from harness.errors import ConfigurationError
from harness.gate.decision import decide
from harness.gate.segments import pairs
from harness.off_policy.value import value_of
from harness.progress import bar
from harness.registry.answers import last_refused
from harness.registry.promotion import CHAMPION
from harness.registry.registry import Registry, names
from harness.settings import RunSettings
from harness.steps.judging import gate_metrics
from harness.steps.registered import foreign, opened, registered, registry_of, saw_test
from harness.steps.rolling import rolled, rolled_version
from harness.steps.stage import ForeignScorer, Stage, StageName
from harness.steps.workshop import Workshop
from trainers.model import Model


def evaluate_configuration(settings: RunSettings, stage: str, which: str | None) -> dict[str, Any]:
    """The JSON of `lethe evaluate`: of the model that the configuration describes, or of a registered version."""
    if stage not in ("val", "test"):
        raise ConfigurationError(f"`--stage` must be val or test, but got {stage!r}.")
    name: StageName = "val" if stage == "val" else "test"
    wanted = settings.evaluate
    if which is not None:
        if wanted.seeds:
            raise ConfigurationError(
                "`evaluate.seeds` fits a model anew with each seed, and cannot be asked of a registered version; "
                "leave `--model` out, or set evaluate.seeds=[]."
            )
        workshop = Workshop.open(settings)
        asked = _stage(workshop, name)
        package = opened(registry_of(settings), which, asked)
        with bar("evaluate"):
            model = foreign(asked, package)
            found = asked.evaluate(model, wanted.metrics, wanted.k)
        report = asked.report(found, wanted.how) | _off_policy(settings, asked, model)
        if settings.split.rolls:
            report["rolling"] = rolled_version(workshop, name, package)
        return report
    workshop, described, asked, evaluation = _described(settings, name)
    report = asked.report(evaluation, wanted.how)
    report |= _off_policy(settings, asked, described)
    if settings.split.rolls:
        report["rolling"] = rolled(workshop, name, settings.model, described)
    if wanted.seeds:
        others = [
            evaluation
            if seed == settings.seed
            else _described(settings.model_copy(update={"seed": seed}), name)[-1]
            for seed in wanted.seeds
        ]
        report["seeds"] = {"seeds": list(wanted.seeds), "metrics": _over_seeds(others, wanted.level)}
    return report


def _stage(workshop: Workshop, stage: StageName) -> Stage:
    return workshop.test if stage == "test" else workshop.val


def _off_policy(settings: RunSettings, stage: Stage, model: Model | ForeignScorer) -> dict[str, Any]:
    """What the model would have earned in the rounds of a stage, where the configuration says how they were logged."""
    if settings.off_policy is None:
        return {}
    with bar("off-policy"):
        return {"off_policy": value_of(model, stage, settings)}


def _described(settings: RunSettings, stage: StageName) -> tuple[Workshop, Model, Stage, Evaluation]:
    """What the configuration describes, fitted with its seed and asked the queries of a stage."""
    workshop = Workshop.open(settings)
    asked = _stage(workshop, stage)
    model = workshop.described(stage)
    with bar("evaluate"):
        return workshop, model, asked, asked.evaluate(model, settings.evaluate.metrics, settings.evaluate.k)


def _over_seeds(evaluations: list[Evaluation], level: float) -> dict[str, Any]:
    """Of metrics with a value per query: the mean over seeds, its interval, and each seed's figure.

    Queries of which a metric says nothing under some seed are left out of it, and a metric that speaks of less than two
    users is."""
    found = {}
    for name in evaluations[0].values:
        values = np.stack([each.values[name] for each in evaluations])
        known = ~np.isnan(values).any(0)
        values, users = values[:, known], evaluations[0].users[known]
        if len(np.unique(users)) < 2:
            continue
        estimate = evaluators.over_seeds(values, users, level)
        found[name] = {**estimate.to_dict(), "by_seed": values.mean(1).tolist()}
    return found


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
        found = version.tags.get("leaks_found", "the future")
        raise ConfigurationError(
            f"version {version.version} was judged on a split that leaks ({found}); no decision is taken on it."
        )
    if champion.version == version.version:
        raise ConfigurationError(f"version {version.version} of `{registry.name}` is the champion already.")
    workshop = Workshop.open(settings)
    stage = workshop.test
    metric = settings.gate_metric
    metrics, ks = gate_metrics(settings)
    mine, live = opened(registry, str(version.version), stage), registry.package(champion)
    gate = settings.registry.gate
    pair = (
        stage.evaluate(foreign(stage, mine), metrics, ks),
        stage.evaluate(foreign(stage, live), metrics, ks),
    )
    decision = decide(
        gate,
        metric,
        *pair,
        against=f"champion v{champion.version}",
        audit=stage.audit(),
        trained_until=mine.about["trained_until"],
        segments=pairs(stage, gate.worst_segment, *pair),
        saw_test=saw_test(live, stage, f"champion v{champion.version}"),
    )
    decision = registry.settle(version, decision, champion)
    return {"name": registry.name, "version": version.version, **decision.to_dict()}


def list_models(name: str | None) -> dict[str, Any]:
    """All registered models with their versions, or those of one."""
    wanted = [registered(name)] if name else names()
    found = []
    for each in wanted:
        versions = [(version.to_dict(), version.decision) for version in Registry(each).versions()]
        told = {"name": each, "versions": [version for version, _ in versions]}
        found.append(told | {"last_refused": last_refused(versions)})
    return {"models": found}
