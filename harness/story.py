"""What a report tells of a search, of curves and of trainings, as plain data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import evaluators
from harness.choosing import Chosen
from harness.report.words import durations
from harness.workshop import Workshop
from trainers.encoders import Encoder
from trainers.encoders.linear import Linear
from trainers.finetune import neural_terms
from trainers.forgetting import Forgetting, ForgettingSettings, build
from trainers.model import Model
from trainers.search import Outcome, SearchResult

CURVE_POINTS = 80
IMPORTANCE_NOTE = (
    "Share of each parameter in reaching the best trials (PED-ANOVA). Parameters that only some families have are "
    "judged on the trials that had them; with this many trials the order is a hint, not a measurement."
)


def search_story(workshop: Workshop, found: SearchResult, control: SearchResult | None) -> dict[str, Any]:
    """The search: its trials, the families side by side, how much each parameter mattered, how sure the choice is."""
    users = workshop.val.users
    ranking = found.ranking
    best = ranking[0]
    values = best.per_query()

    def against(other: Outcome) -> dict[str, Any]:
        difference = evaluators.paired(values, other.per_query(), users, workshop.settings.evaluate.level)
        return {"trial": other.name, **difference.to_dict()}

    sure = {"runner_up": against(ranking[1])} if len(ranking) > 1 else {}
    if control and control.ranking:
        sure["none"] = against(control.ranking[0])
    families = []
    for family, mine in _by_family(found, control).items():
        curve = build(ForgettingSettings()) if family == "none" else _searched_curve(found, mine[0])
        entry = against(mine[0])
        families.append(
            {
                "family": family,
                "clock": curve.clock if family != "none" else "",
                "half_life": _finite(curve.half_life),
                "unit": curve.unit,
                "trials": len(mine),
                "value": mine[0].value,
                "difference": -entry["difference"],
                "low": -entry["high"],
                "high": -entry["low"],
            }
        )
    families.sort(key=lambda entry: -entry["value"])
    trials = [(trial, False) for trial in found.trials] + [
        (t, True) for t in (control.trials if control else [])
    ]
    failed = found.failed + (control.failed if control else [])
    stopped = found.stopped + (control.stopped if control else [])
    return {
        "trials": len(found.trials),
        "control_trials": len(control.trials) if control else 0,
        "failed": len(failed),
        "stopped": len(stopped),
        "failures": [{"trial": trial.name, "error": trial.error} for trial in failed],
        "best": {"trial": best.name, "value": best.value, "params": best.params},
        "history": [
            {
                "trial": trial.name,
                "value": trial.value,
                "stopped": trial.stop._asdict() if trial.stop else None,
                "family": "none" if is_control else found.space.family_of(trial.params),
                "control": is_control,
            }
            for trial, is_control in trials
        ],
        "importance": found.importance,
        "importance_note": IMPORTANCE_NOTE,
        "families": families,
        "families_of": _searched_terms(found),
        "scheduler": _scheduler(workshop),
        "warm_start": _warm_start(found),
        "sure": sure,
    }


def curve_of_terms(model: Model, workshop: Workshop) -> list[dict[str, Any]]:
    """Each term's settings and its retention curves as they were learned, drawn as far as the log reaches."""
    times = workshop.store.times
    span = {"days": (float(times.max()) - float(times.min())) / 86_400.0, "moments": 100.0}
    return [
        {
            "name": term.label,
            "kind": term.kind,
            "weight": term.weight,
            "settings": term.model_dump(
                mode="json", exclude={"kind", "name", "weight", "forgetting"}, exclude_none=True
            ),
            "forgetting": _forgetting(encoder, span),
        }
        for term, encoder in zip(model.settings.terms, model.encoders, strict=True)
    ]


def _forgetting(encoder: Encoder, span: dict[str, float]) -> dict[str, Any] | None:
    """The one curve of a term, or under `parts` those of its heads or states; None where it does not forget."""
    curves = encoder.curves()
    about = {"family": encoder.forgetting.family, "clock": encoder.forgetting.clock}
    if all(curve.family == "none" for curve in curves.values()):
        return None
    if len(curves) == 1:
        return about | _drawn(next(iter(curves.values())), span)
    parts = [{"name": name, "clock": curve.clock, **_drawn(curve, span)} for name, curve in curves.items()]
    return about | {
        "params": {},
        "half_life": None,
        "unit": encoder.forgetting.unit,
        "curve": [],
        "parts": parts,
    }


def _drawn(curve: Forgetting, span: dict[str, float]) -> dict[str, Any]:
    ages = np.concatenate(([0.0], np.geomspace(span[curve.unit] / 1000, span[curve.unit], CURVE_POINTS)))
    return {
        "params": curve.values,
        "half_life": _finite(curve.half_life),
        "unit": curve.unit,
        "curve": [[float(age), float(left)] for age, left in zip(ages, curve.at(ages), strict=True)],
    }


def training_story(workshop: Workshop, chosen: Chosen) -> list[dict[str, Any]]:
    """The loss curves of the neural terms, pretraining and fine-tuning."""
    stages = {"pretrain": chosen.fits}
    if chosen.finetuned:
        stages["finetune"] = workshop.tuned(chosen.fits, chosen.model)
    entries = []
    for stage, fits in stages.items():
        for term in neural_terms(chosen.model):
            curve = fits.curve(term)
            if curve:
                entries.append({"term": term.label, "stage": stage, **curve.to_dict()})
    return entries


def half_life_words(model: Model) -> str:
    """“an interest is half gone after 21 days”, for the heaviest term that forgets; empty where none does."""
    terms, encoders = model.settings.terms, model.encoders
    curves = {term.label: encoder.curves() for term, encoder in zip(terms, encoders, strict=True)}
    forgetting = [term for term in terms if term.forgetting.family != "none" and term.weight > 0]
    personal = [term for term in forgetting if term.kind != "trend"] or forgetting
    if not personal:
        return ""
    term = max(personal, key=lambda term: (term.kind in ("own", Linear.kind), term.weight))
    lives = [(curve.half_life, curve.unit) for curve in curves[term.label].values()]
    if all(math.isinf(life) for life, _ in lives):
        return "an interest is never half gone"
    return f"an interest is half gone after {durations(lives)}"


def _by_family(found: SearchResult, control: SearchResult | None) -> dict[str, list[Outcome]]:
    """The finished trials of each family of the searched curve, best first. `none` is the control's, where there is
    one: there no term forgets, while a trial of the search may leave one curve out and keep others."""
    if not _searched_terms(found):
        return {}
    families: dict[str, list[Outcome]] = {}
    for trial in found.ranking:
        families.setdefault(found.space.family_of(trial.params), []).append(trial)
    if control and control.ranking:
        families["none"] = control.ranking
    return families


def _searched_curve(found: SearchResult, trial: Outcome) -> Forgetting:
    """The curve that a trial stands for: that of the first term whose forgetting the space varies."""
    label = _searched_terms(found).split("+")[0]
    terms = found.settings(trial).terms
    return build(next((term for term in terms if term.label == label), terms[0]).forgetting)


def _searched_terms(found: SearchResult) -> str:
    """The first terms whose forgetting the space varies, as the space names them; empty where it varies none."""
    return next((key for key, term in found.space.root.items() if term.forgetting), "")


def _scheduler(workshop: Workshop) -> dict[str, Any] | None:
    settings = workshop.settings.search
    return settings.scheduler.model_dump(mode="json") if settings and settings.scheduler else None


def _warm_start(found: SearchResult) -> dict[str, Any] | None:
    known = found.known
    return {"from": known.where, "known": len(known.trials), "skipped": known.skipped} if known else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
