"""What the test queries say of the chosen model, asked once a model, and what the gate says of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import evaluators
from evaluators import Evaluation
from harness import __version__
from harness.gate.decision import Decision, decide, guards
from harness.gate.segments import pairs
from harness.progress import bar
from harness.registry.registry import Registry, Version
from harness.serving.package import Package
from harness.settings import RunSettings
from harness.steps.choosing import Chosen
from harness.steps.registered import foreign, saw_test
from harness.steps.workshop import Workshop
from trainers.encoders.trend import TrendSettings
from trainers.model import ModelSettings


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
        [chosen.model, chosen.control, trend], chosen.fits, [chosen.finetuned, chosen.control_finetuned]
    )
    metrics, ks = gate_metrics(settings)
    audit = stage.audit()
    about = {
        "repeats": settings.data.repeats,
        "trained_until": stage.training.end,
        "fingerprint": workshop.store.fingerprint,
        "leaks": bool(audit.leaks),
        "lethe": __version__,
    }
    package = Package.of(model, workshop.store, stage.split.catalogue, about, users=settings.registry.users)
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
    gate = settings.registry.gate
    pair = evaluations["candidate"], evaluations["champion" if champion else "none"]
    decision = decide(
        gate,
        settings.gate_metric,
        *pair,
        against=against,
        audit=audit,
        trained_until=stage.training.end,
        segments=pairs(stage, gate.worst_segment, *pair),
        saw_test=problem,
    )
    return Outcome(package, evaluations, decision, champion)


def trend_alone(model: ModelSettings) -> ModelSettings:
    """The control that any gain must survive: popularity, decayed as in the model where that has a trend."""
    for term in model.terms:
        if isinstance(term, TrendSettings):
            return ModelSettings(terms=(term.model_copy(update={"weight": 1.0}),))
    return ModelSettings(terms=(TrendSettings(),))


def gate_metrics(settings: RunSettings) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The metrics asked for, and those that the gate and the guardrails of the A/B test need."""
    wanted = dict.fromkeys(settings.evaluate.metrics)
    ks = settings.evaluate.k
    named = {metric.name for metric in evaluators.resolve(tuple(wanted), ks)}
    for needed in (settings.gate_metric, *settings.ab.guardrails):
        if needed not in named:
            wanted[needed] = None
    for guard in settings.registry.gate.guardrails if settings.registry else ():
        if not any(guards(guard, name) for name in named):
            wanted |= {metric.name: None for metric in evaluators.resolve([guard], ks[:1])}
    return tuple(wanted), ks
