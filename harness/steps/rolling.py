"""The rolling protocol: a model before each cut, asked about what follows, and what its age costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

import evaluators
from evaluators import Evaluation, Intervals
from harness.progress import bar
from harness.serving.package import Package, Reader
from harness.stage import ForeignScorer, Stage, StageName, translated
from harness.steps.workshop import Finetuned, Workshop
from trainers.fitting.finetune import neural_terms
from trainers.fitting.fits import Fits
from trainers.histories import Histories
from trainers.log import DAY
from trainers.model import Model, ModelSettings

PER_DAYS = 30
"""The trend is told for so many days of age."""


@dataclass(frozen=True)
class OlderScorer:
    """A model fitted before an earlier cut, asked about a later period in that period's catalogue.

    Items that are new since are never recommended by it.
    """

    stage: Stage
    origin: Stage
    model: Model

    def score(self, index: slice) -> npt.NDArray[np.float64]:
        own = self.origin.split
        histories = Histories.of(
            self.stage.log, self.stage.queries.take(index), own.column, len(own.catalogue)
        )
        return translated(self.model.score(histories), own.column, self.stage)


class _Aging(Protocol):
    """A fitted model that grows old."""

    @property
    def born(self) -> float:
        """The newest event that it was fitted on, unix seconds."""
        ...

    def asked(self, stage: Stage) -> evaluators.Scorer:
        """It answers the queries of a later stage."""
        ...


@dataclass(frozen=True)
class _Fitted:
    origin: Stage
    model: Model

    @property
    def born(self) -> float:
        return self.origin.training.end

    def asked(self, stage: Stage) -> OlderScorer:
        return OlderScorer(stage, self.origin, self.model)


@dataclass(frozen=True)
class _Registered:
    package: Package

    @property
    def born(self) -> float:
        return float(self.package.about["trained_until"])

    def asked(self, stage: Stage) -> ForeignScorer:
        return ForeignScorer(stage, Reader(self.package, stage.store))


@dataclass(frozen=True)
class _Answer:
    """What the model of cut `model` said to the queries of cut `period`."""

    period: int
    model: int
    evaluation: Evaluation
    ages: npt.NDArray[np.float64]


def rolled(
    workshop: Workshop,
    stage: StageName,
    model: ModelSettings,
    first: Model,
    fits: Fits | None = None,
    finetuned: Finetuned | None = None,
) -> dict[str, Any]:
    """A configuration's model rolled over the cuts of a stage.

    With `split.refit`, the model of each cut answers its own period and all later ones, so that each query is answered
    by models of several ages. No choice is made here: the settings, and the epochs of neural terms, are those given.

    Args:
        first: the model fitted before the first cut.
        fits: the fits of the validation stage, whose epochs later fits take.
        finetuned: what validation said of fine-tuning.

    Returns:
        `refit`, `metric`, `cuts` [{`start`, `stop`, `catalogue`, `queries`, `users`, `age_days`,
        `metrics`, `leaks`}] (each period by the freshest model; `age_days`: its mean age), `metrics` (over all
        periods), `trend` {`per_days`, `slope` {`mean`, `low`, `high`} or null, `same_queries`, `by_age` [{`periods`,
        `days`, `queries`, `difference`, `low`, `high`, `p`}] (older minus freshest on the same queries), `sentence`}.
    """
    stages = workshop.rolls(stage)
    models = [first]
    if workshop.settings.split.refit and len(stages) > 1:
        models += _refitted(workshop, stage, stages, model, fits, finetuned)
    fitted = [_Fitted(stages[number], each) for number, each in enumerate(models)]
    return _told(workshop, stages, fitted)


def rolled_version(workshop: Workshop, stage: StageName, package: Package) -> dict[str, Any]:
    """A registered version, which is fitted once, over the cuts of a stage: as `rolled` without `split.refit`."""
    return _told(workshop, workshop.rolls(stage), [_Registered(package)])


def _told(workshop: Workshop, stages: Sequence[Stage], models: Sequence[_Aging]) -> dict[str, Any]:
    settings = workshop.settings
    metrics = tuple(dict.fromkeys((*settings.evaluate.metrics, settings.metric)))
    answers = []
    with bar("rolling", sum(min(period + 1, len(models)) for period in range(len(stages)))) as line:
        for period, stage in enumerate(stages):
            for number, model in enumerate(models[: period + 1]):
                found = stage.evaluate(model.asked(stage), metrics, settings.evaluate.k)
                ages = (stage.split.queries.time - model.born) / DAY
                answers.append(_Answer(period, number, found, ages))
                line.update(done=len(answers))
    return _story(answers, stages, len(models) > 1, settings.metric, settings.evaluate.how)


def _refitted(
    workshop: Workshop,
    stage: StageName,
    stages: Sequence[Stage],
    model: ModelSettings,
    fits: Fits | None,
    finetuned: Finetuned | None,
) -> list[Model]:
    """The model fitted anew before each cut but the first, on one crew of workers."""
    if fits is None and neural_terms(model):
        fits = workshop.pretrain([model])
    later = list(enumerate(stages))[1:]
    requests = [workshop.fitting.request(stage, [model], fits, each) for each in later]
    tuning = []
    if finetuned and finetuned.kept:
        tuning = [workshop.fitting.tuning(request, model, finetuned.epochs) for request in requests]
    done = workshop.fitting.fit([*requests, *tuning], "refit before each cut")
    plain, tuned = done[: len(requests)], done[len(requests) :]
    return [
        workshop.fitting.assemble(place, model, fitted, tuned[number] if tuned else None)
        for number, ((_, place), fitted) in enumerate(zip(later, plain, strict=True))
    ]


def _story(
    answers: list[_Answer], stages: Sequence[Stage], refit: bool, metric: str, how: Intervals
) -> dict[str, Any]:
    freshest = {each.period: each for each in answers}  # the last of each period
    cuts = [
        {
            "start": stage.split.start,
            "stop": stage.split.stop if np.isfinite(stage.split.stop) else None,
            "catalogue": len(stage.split.catalogue),
            "queries": len(stage.queries),
            "users": len(np.unique(stage.users)),
            "age_days": float(freshest[period].ages.mean()),
            "metrics": freshest[period].evaluation.summary(how),
            "leaks": bool(stage.audit().leaks),
        }
        for period, stage in enumerate(stages)
    ]
    told = [freshest[period].evaluation for period in range(len(stages))]
    users = np.concatenate([each.users for each in told])
    pooled = {
        name: how.of(np.concatenate([each.values[name] for each in told]), users).to_dict()
        for name in told[0].values
    }
    return {
        "refit": refit,
        "metric": metric,
        "cuts": cuts,
        "metrics": pooled,
        "trend": _trend(answers, metric, how, refit),
    }


def _trend(answers: list[_Answer], metric: str, how: Intervals, same: bool) -> dict[str, Any]:
    """The slope of the metric with the model's age: within each query where several models answered it."""
    values = np.concatenate([each.evaluation.values[metric] for each in answers])
    ages = np.concatenate([each.ages for each in answers]) / PER_DAYS
    users = np.concatenate([each.evaluation.users for each in answers])
    width = max(len(each.ages) for each in answers)
    queries = np.concatenate([each.period * width + np.arange(len(each.ages)) for each in answers])
    slope, why = None, ""
    try:
        slope = evaluators.trend(values, ages, users, queries if same else None, how.level)
    except ValueError as error:
        why = str(error)
    return {
        "per_days": PER_DAYS,
        "slope": slope.to_dict() if slope else None,
        "same_queries": same,
        "by_age": _by_age(answers, metric, how),
        "sentence": _sentence(slope, metric, same) if slope else f"No trend can be told: {why}",
    }


def _by_age(answers: list[_Answer], metric: str, how: Intervals) -> list[dict[str, Any]]:
    """Older minus freshest on the same queries, by how many periods older."""
    freshest = {each.period: each for each in answers}
    found = []
    for older in range(1, max(each.period - each.model for each in answers) + 1):
        pairs = [
            (each, freshest[each.period])
            for each in answers
            if freshest[each.period].model - each.model == older
        ]
        if not pairs:
            continue
        before, now = (
            np.concatenate([pair[side].evaluation.values[metric] for pair in pairs]) for side in (0, 1)
        )
        users = np.concatenate([each.evaluation.users for each, _ in pairs])
        days = np.concatenate([each.ages - now.ages for each, now in pairs])
        difference = evaluators.difference(before, now, users, how)
        found.append(
            {"periods": older, "days": float(days.mean()), "queries": len(users), **difference.to_dict()}
        )
    return found


def _sentence(slope: evaluators.Estimate, metric: str, same: bool) -> str:
    clear = "falls" if slope.high < 0 else "rises" if slope.low > 0 else "does not clearly change"
    figure = f"{slope.mean:+.4f} [{slope.low:+.4f}, {slope.high:+.4f}] for every {PER_DAYS} days of age"
    how = (
        "the same queries, answered by models of several ages"
        if same
        else "one model on ever later queries, so what changed in the world meanwhile counts too"
    )
    return f"As the model ages, {metric} {clear}: {figure} ({how})."
