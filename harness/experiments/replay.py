"""The A/B test of the main job: the candidate against the other model on the test queries of a log."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

import evaluators
from evaluators.ab import Guardrail
from harness.experiments.settings import AbSettings
from harness.stage import Stage


def replay(
    stage: Stage,
    other: evaluators.Evaluation,
    candidate: evaluators.Evaluation,
    metric: str,
    settings: AbSettings,
    level: float,
) -> evaluators.Experiment:
    """Deal the users of the stage's queries to two arms by the log's own ids; the outcome is `metric`."""
    rails = {
        Guardrail(name, margin, level): (other.values[name], candidate.values[name])
        for name, margin in settings.guardrails.items()
    }
    return evaluators.simulate(
        other.values[metric],
        candidate.values[metric],
        stage.store.users[stage.users],
        shares=settings.shares,
        salt=settings.salt,
        level=level,
        power=settings.power,
        times=stage.split.queries.time,
        covariates=before_the_cut(stage) if settings.cuped else None,
        guardrails=rails,
        tightest=settings.tightest,
    )


def before_the_cut(stage: Stage) -> npt.NDArray[np.float64]:
    """What the log told of each query's user before anything was asked: [Q, 3].

    Whether there was an event, log(1 + events), and the share of events whose item the user had taken before. Nothing
    of the test period, and nothing of a model.
    """
    rows = np.flatnonzero(stage.split.train)
    offsets, items = np.asarray(stage.store.offsets), np.asarray(stage.store.items)
    user = np.searchsorted(offsets, rows, side="right") - 1
    users = len(offsets) - 1
    events = np.bincount(user, minlength=users)
    pairs = np.unique(user * (int(items.max()) + 1) + items[rows]) // (int(items.max()) + 1)
    different = np.bincount(pairs, minlength=users)
    repeats = np.where(events > 0, 1 - different / np.maximum(events, 1), 0.0)
    known = np.stack([(events > 0).astype(np.float64), np.log1p(events), repeats], axis=1)
    asked: npt.NDArray[np.float64] = known[stage.users]
    return asked
