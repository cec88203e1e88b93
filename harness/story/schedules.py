"""What is told of a schedule that a population found, as plain data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from harness.steps.workshop import Workshop
from trainers.fitting.finetune import neural_terms
from trainers.fitting.fits import Fits
from trainers.search.outcome import SearchResult


def schedule_story(workshop: Workshop, found: SearchResult, fits: Fits) -> dict[str, Any] | None:
    """How the best member came about, and what its schedule earns when it is trained from the start; None where no
    population trained.

    Args:
        fits: those that serve the best member's model: what counts from here on, in the run and in the registry.
    """
    best = found.ranking[0]
    if not best.steps:
        return None
    model = found.settings(best)
    metric = workshop.settings.metric
    again = workshop.val.evaluate(workshop.fitting.assemble(workshop.val, model, fits), (metric,), ()).values[
        metric
    ]
    curves = {term.label: curve for term in neural_terms(model) if (curve := fits.curve(term))}
    return {
        "trial": best.name,
        "steps": [{**asdict(step), "member": f"trial-{step.member:03d}"} for step in best.steps],
        "others": [
            {
                "trial": trial.name,
                "steps": [{"begin": step.begin, "params": step.params} for step in trial.steps],
            }
            for trial in found.ranking[1:]
        ],
        "best_epoch": {label: curve.best_epoch for label, curve in curves.items()},
        "replayed": {
            "value": float(again.mean()),
            "difference": float(again.mean()) - float(best.value or 0.0),
            "same": bool(np.array_equal(again, best.per_query())),
        },
    }
