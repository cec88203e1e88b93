"""`lethe evaluate`: what a configuration describes, or a registered version, asked the queries of a stage."""

from __future__ import annotations

from typing import Any

import numpy as np

import evaluators
from evaluators import Evaluation
from harness.errors import ConfigurationError
from harness.off_policy.value import value_of
from harness.progress import bar
from harness.settings import RunSettings
from harness.stage import ForeignScorer, Stage, StageName
from harness.steps.registered import foreign, opened, registry_of
from harness.steps.rolling import rolled, rolled_version
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
