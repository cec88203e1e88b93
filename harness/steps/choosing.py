"""What a run decides on validation, before it asks the test queries anything."""

from __future__ import annotations

from dataclasses import dataclass

from harness.steps.searching import TrialOver, unheard
from harness.steps.workshop import Finetuned, Workshop
from trainers.fitting.fits import Fits
from trainers.model import ModelSettings
from trainers.search.outcome import SearchResult


@dataclass(frozen=True)
class Chosen:
    """What validation decided: the model, its control under `none`, and the fits that serve both."""

    model: ModelSettings
    control: ModelSettings
    fits: Fits
    search: SearchResult | None = None
    control_search: SearchResult | None = None
    finetuned: Finetuned | None = None
    control_finetuned: Finetuned | None = None


def choose(workshop: Workshop, over: TrialOver = unheard) -> Chosen:
    """Everything that is decided on validation: the curve, the weights, λ, epochs, fine-tuning or not.

    Args:
        over: told of each trial that is over.
    """
    settings = workshop.settings
    model, control = settings.model, settings.model.without_forgetting()
    fits = workshop.pretrain([model, control], tune=True)
    searched = control_searched = None
    if settings.search:
        searched, control_searched = workshop.search(fits, over)
        model = searched.settings(searched.ranking[0])
        control = control_searched.settings(control_searched.ranking[0])
    fits = workshop.serving([model, control], fits)
    tuned, control_tuned = workshop.finetune(fits, model), workshop.finetune(fits, control)
    return Chosen(model, control, fits, searched, control_searched, tuned, control_tuned)
