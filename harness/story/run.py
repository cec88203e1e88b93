"""Everything that a run tells, as plain data: its report, its version and its JSON are made of this."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from harness import __version__, source_digest
from harness.data import Store, summarise
from harness.experiments.replay import replay
from harness.settings import RunSettings
from harness.steps.calibration import calibration
from harness.steps.choosing import Chosen
from harness.steps.judging import Outcome
from harness.steps.rolling import rolled
from harness.steps.workshop import Finetuned, Workshop
from harness.story.fading import fading
from harness.story.model import curve_of_terms, training_story
from harness.story.people import examples
from harness.story.search import search_story
from harness.story.verdict import comparisons, verdict
from trainers.fitting.finetune import FinetuneSettings

PACKAGES = ("ray", "torch", "mlflow", "pandas", "numpy", "scipy", "optuna", "pyarrow")


def run_story(workshop: Workshop, chosen: Chosen, outcome: Outcome, config_path: Path) -> dict[str, Any]:
    """What was asked for, what was chosen, and what the test queries and the gate said of it.

    What a run costs and where it stands in the registry is added as it becomes known.
    """
    settings, stage, model = workshop.settings, workshop.test, outcome.package.model
    metric, how = settings.gate_metric, settings.evaluate.how
    evaluation = stage.report(outcome.candidate, how)
    if settings.split.rolls:
        evaluation["rolling"] = rolled(workshop, "test", chosen.model, model, chosen.fits, chosen.finetuned)
    search = chosen.search
    return {
        **_asked_for(settings, workshop.store.fingerprint, stage.training.end, config_path),
        "data": _data(workshop.store),
        "search": search_story(workshop, search, chosen.control_search, chosen.fits) if search else None,
        "terms": curve_of_terms(model, workshop),
        "fading": fading(workshop),
        "training": training_story(workshop, chosen),
        "finetune": _finetune(settings.finetune, chosen.finetuned),
        "evaluation": evaluation,
        "models": {name: found.summary(how) for name, found in outcome.evaluations.items()},
        "comparisons": comparisons(outcome, metric, how),
        "calibration": calibration(workshop, chosen, model),
        "examples": examples(settings, stage, model),
        "ab": _ab(workshop, outcome),
        "verdict": verdict(outcome, evaluation, metric),
    }


def _asked_for(
    settings: RunSettings, fingerprint: str, trained_until: float, config_path: Path
) -> dict[str, Any]:
    """The configuration, the data and the code: with the same of each a run gives the same."""
    assert settings.registry is not None
    horizon = settings.split.horizon
    return {
        "name": settings.registry.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "config_path": str(config_path),
        "configuration": settings.text(),
        "protocol": settings.split.protocol,
        "cuts": list(settings.split.cuts),
        "horizon": horizon and horizon.model_dump(exclude_none=True),
        "repeats": settings.data.repeats,
        "metric": settings.gate_metric,
        "intervals": settings.evaluate.told,
        "fingerprint": fingerprint,
        "seed": settings.seed,
        "code": source_digest(),
        "trained_until": datetime.fromtimestamp(trained_until, UTC).isoformat(),
        "versions": {"lethe": __version__, **{name: version_of(name) for name in PACKAGES}},
    }


def _data(store: Store) -> dict[str, Any]:
    counts = store.counts
    return {
        "events": counts.events,
        "users": counts.users,
        "items": counts.items,
        "rejected": counts.rejected,
        "reasons": counts.by_reason,
        "profile": summarise(store),
    }


def _finetune(settings: FinetuneSettings | None, finetuned: Finetuned | None) -> dict[str, Any] | None:
    if settings is None or finetuned is None:
        return None
    about = {"kept": finetuned.kept, "reason": finetuned.reason, "window_days": settings.window_days}
    return {**about, **finetuned.difference.to_dict()}


def _ab(workshop: Workshop, outcome: Outcome) -> dict[str, Any]:
    """The simulated A/B test of the candidate against what the gate compared it with; `sentence` in its place where an
    arm has too few users: a model may be judged all the same."""
    settings = workshop.settings
    metric, level = settings.gate_metric, settings.evaluate.how.level
    names = {"outcome": metric, "names": [outcome.decision.against, "candidate"]}
    other = outcome.evaluations[outcome.rival]
    try:
        experiment = replay(workshop.test, other, outcome.candidate, metric, settings.ab, level)
    except ValueError as error:
        return {**names, "sentence": f"No A/B test can be simulated on these queries: {error}"}
    return {**names, **experiment.to_dict()}
