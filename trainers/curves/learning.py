"""What `forgetting.learn`, `scope` and `stretch` of a closed-form term ask for: a curve and stretches from a log."""

from __future__ import annotations

import numpy as np

from trainers.curves.choices import Choices, Crowd, Floats
from trainers.curves.likelihood import fit
from trainers.curves.stretches import fit_groups
from trainers.forgetting import Forgetting, ForgettingSettings, build
from trainers.log import PackedLog, TrainingData

SAMPLE, EVENTS = 8000, 400_000
"""Targets that a term's curve is learned from, and events of their histories: a second or two, and half-lives to a few
percent."""


def of_history(
    settings: ForgettingSettings, data: TrainingData, *, repeats: bool, seed: int
) -> tuple[Forgetting, Floats | None]:
    """The common curve, and by group of the scope how many times longer its ages are (None: all alike), for what fades
    with a user's own history. Deterministic by the seed; training events alone are read."""
    if not settings.learned:
        return build(settings), named(settings, data.log)
    crowd = Crowd.of(data, seed=seed)
    choices = Choices.of(
        data, data.moments(), crowd, repeats=repeats, sample=SAMPLE, events=EVENTS, seed=seed
    )
    found = fit(choices, settings)
    if settings.scope == "all":
        return found.forgetting, None
    stretches = fit_groups(choices, found, settings.scope)
    return stretches.common, stretches.factors(size(settings.scope, data.log))


def of_crowd(
    settings: ForgettingSettings, data: TrainingData, *, seed: int
) -> tuple[Forgetting, Floats | None]:
    """The same for a popularity that decays: the curve under which what everybody took lately says best what comes."""
    if not settings.learned:
        return build(settings), named(settings, data.log)
    return fit(Choices.of_crowd(data, sample=SAMPLE, seed=seed), settings).forgetting, None


def named(settings: ForgettingSettings, log: PackedLog) -> Floats | None:
    """[G] the stretches that the settings give by name.

    Raises:
        ValueError: the log has no group of a name.
    """
    if not settings.stretch:
        return None
    names = list(log.names.get(settings.scope, ()))
    factors = np.ones(size(settings.scope, log))
    for name, factor in settings.stretch.items():
        if name not in names:
            known = ", ".join(names[:10]) or "none"
            raise ValueError(
                f"`stretch.{name}`: the log has no {settings.scope.replace('_', ' ')} of that name, but {known}."
            )
        factors[names.index(name)] = factor
    return factors


def size(scope: str, log: PackedLog) -> int:
    """How many groups of a scope a log has."""
    if scope == "user":
        return log.users
    numbers = log.types if scope == "event_type" else log.category
    known = -1 if numbers is None else int(np.max(numbers, initial=-1))
    return max(known + 1, len(log.names.get(scope, ())))
