"""What a report tells of curves and of trainings, as plain data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from harness.report.words import durations, finite
from harness.steps.choosing import Chosen
from harness.steps.workshop import Workshop
from trainers.encoders import Encoder
from trainers.encoders.linear import Linear
from trainers.factors import Factor
from trainers.fitting.finetune import neural_terms
from trainers.forgetting import Forgetting, by_clock
from trainers.model import Model

CURVE_POINTS = 80


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
            "factors": [_factor(factor) for factor in encoder.factors()],
        }
        for term, encoder in zip(model.settings.terms, model.encoders, strict=True)
    ]


def _forgetting(encoder: Encoder, span: dict[str, float]) -> dict[str, Any] | None:
    """The one curve of a term, or under `parts` those of its heads or states; None where it does not forget."""
    curves = by_clock(encoder.curves())
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


def _factor(factor: Factor) -> dict[str, Any]:
    return {
        "name": factor.name,
        "unit": factor.unit,
        "half_life": finite(factor.half_life) if factor.unit in ("days", "moments") else None,
        "curve": [[float(at), float(share)] for at, share in zip(factor.at, factor.share, strict=True)],
    }


def _drawn(curve: Forgetting, span: dict[str, float]) -> dict[str, Any]:
    ages = np.concatenate(([0.0], np.geomspace(span[curve.unit] / 1000, span[curve.unit], CURVE_POINTS)))
    return {
        "params": curve.values,
        "half_life": finite(curve.halved),
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
    curves = {term.label: by_clock(encoder.curves()) for term, encoder in zip(terms, encoders, strict=True)}
    forgetting = [term for term in terms if term.forgetting.family != "none" and term.weight > 0]
    personal = [term for term in forgetting if term.kind != "trend"] or forgetting
    if not personal:
        return ""
    term = max(personal, key=lambda term: (term.kind in ("own", Linear.kind), term.weight))
    lives = [(curve.halved, curve.unit) for curve in curves[term.label].values()]
    if all(math.isinf(life) for life, _ in lives):
        return "an interest is never half gone"
    return f"an interest is half gone after {durations(lives)}"
