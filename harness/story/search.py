"""What a report tells of a search, as plain data."""

from __future__ import annotations

from typing import Any

import evaluators
from harness.registry.parts import trial_of
from harness.report.words import finite
from harness.steps.workshop import Workshop
from harness.story.schedules import schedule_story
from trainers.fitting.fits import Fits
from trainers.forgetting import Forgetting, ForgettingSettings, build
from trainers.search.outcome import Outcome, SearchResult

IMPORTANCE_NOTE = (
    "Share of each parameter in reaching the best trials (PED-ANOVA). Parameters that only some families have are "
    "judged on the trials that had them; with this many trials the order is a hint, not a measurement."
)


def search_story(
    workshop: Workshop, found: SearchResult, control: SearchResult | None, fits: Fits
) -> dict[str, Any]:
    """The search: its trials, the families side by side, how much each parameter mattered, how sure the choice is.

    Args:
        fits: those that serve the best trial's model.
    """
    users, how = workshop.val.users, workshop.settings.evaluate.how
    ranking = found.ranking
    best = ranking[0]
    values = best.per_query()

    def against(other: Outcome) -> dict[str, Any]:
        difference = evaluators.difference(values, other.per_query(), users, how)
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
                **_lives(curve),
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
                **trial_of(trial),
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
        "epochs": _epochs(workshop, found, control),
        "schedule": schedule_story(workshop, found, fits),
        "warm_start": _warm_start(found),
        "sure": sure,
    }


def _lives(curve: Forgetting) -> dict[str, Any]:
    """The half-life with its unit, and on both clocks that in later moments beside it."""
    lives: dict[str, Any] = {"half_life": finite(curve.halved), "unit": curve.unit}
    if curve.clock == "both":
        lives["moments"] = {"half_life": finite(curve.factors[-1].halved)}
    return lives


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


def _epochs(workshop: Workshop, found: SearchResult, control: SearchResult | None) -> float | None:
    """How many epochs all trials trained that did not fail, the control's among them; None where nobody counted."""
    settings = workshop.settings.search
    if not (settings and settings.scheduler and settings.scheduler.by == "epochs"):
        return None
    return sum(trial.at for each in (found, control) if each for trial in each.trials)


def _warm_start(found: SearchResult) -> dict[str, Any] | None:
    known = found.known
    return {"from": known.where, "known": len(known.trials), "skipped": known.skipped} if known else None
