"""A cell's figures: its curve chosen on validation, its test queries asked once."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna

import evaluators
from benchmarks.forgetting_table.plan import NONE, Cell, Plan, closed, curve_name
from harness.data import prepare
from harness.stage import Stage, StageName
from trainers.curves.choices import Choices, Crowd
from trainers.curves.comparison import compare, learnable
from trainers.curves.likelihood import CurveFit, fit
from trainers.encoders import ENCODERS, Encoder, TermSettings
from trainers.fitting.fits import fit_neural, fit_term
from trainers.model import Model, ModelSettings
from trainers.storage.files import whole

METRIC = "ndcg@10"
Values = npt.NDArray[np.float64]


class Bench:
    """One data set with both stages open, and closed forms that are fitted once for all curves of their profile."""

    def __init__(self, plan: Plan, name: str) -> None:
        settings = plan.run_settings(name)
        store = prepare(settings.data, lambda message: None)
        self.plan, self.repeats = plan, settings.data.repeats
        self.stages: dict[StageName, Stage] = {
            stage: Stage.of(store, settings.split, stage, self.repeats) for stage in ("val", "test")
        }
        self.states: dict[str, Any] = {}

    def measure(self, cell: Cell) -> tuple[dict[str, Any], Values]:
        """(what was chosen, [Q] NDCG@10 of every test query)."""
        term = self.plan.term(cell.term).model_copy(update={"weight": 1.0})
        return self._searched(term, cell) if closed(term) else self._learned(term, cell)

    def _searched(self, term: TermSettings, cell: Cell) -> tuple[dict[str, Any], Values]:
        space = self.plan.space.model_copy(update={"family": (cell.family,), "clock": (cell.clock,)})
        sampler = optuna.samplers.PartialFixedSampler(
            {"curve.family": cell.family, "curve.clock": cell.clock},
            optuna.samplers.TPESampler(seed=cell.seed, n_startup_trials=max(self.plan.trials // 3, 1)),
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.enqueue_trial(space.start("curve", cell.family))

        def value(trial: optuna.Trial) -> float:
            curve = space.settings("curve", space.suggest(trial, "curve"))
            trial.set_user_attr("curve", curve)
            return float(self._values("val", _with(term, curve)).mean())

        study.optimize(value, n_trials=1 if cell.family == NONE else self.plan.trials)
        curve = study.best_trial.user_attrs["curve"]
        about = {"curve": curve, "validation": study.best_value, "trials": len(study.trials)}
        return about, self._values("test", _with(term, curve))

    def _values(self, stage: StageName, term: TermSettings) -> Values:
        """A closed form's figure on every query."""
        asked = self.stages[stage]
        kind = ENCODERS[term.kind]
        key = json.dumps([stage, kind.fit_key(term)], sort_keys=True)
        if key not in self.states:
            self.states[key] = fit_term(term, asked.training, repeats=self.repeats).state()
        encoder = kind(term, len(asked.training.catalogue))
        encoder.load(self.states[key])
        return self._asked(asked, term, encoder)

    def _learned(self, term: TermSettings, cell: Cell) -> tuple[dict[str, Any], Values]:
        """A neural term learns its curve by gradient, from where likelihood puts it, for as many epochs as validation
        finds best: from elsewhere a few epochs do not come far enough."""
        if cell.family == NONE:
            curve: dict[str, Any] = {"family": NONE}
            term = term.without_forgetting()
        else:
            curve = self._by_likelihood(cell.family, cell.clock).forgetting.to_dict()
            term = _with(term, {**curve, "learn": True, "scope": term.forgetting.scope})
        val, test = self.stages["val"], self.stages["test"]
        data = replace(val.training, validation=val.queries)
        encoder, trained = fit_neural(term, data, repeats=self.repeats, seed=cell.seed)
        validation = float(self._asked(val, term, encoder).mean())
        again, _ = fit_neural(
            term, test.training, repeats=self.repeats, seed=cell.seed, epochs=trained.best_epoch
        )
        about = {"curve": curve, "validation": validation, "trials": 1, "epochs": trained.best_epoch}
        return about, self._asked(test, term, again)

    def _by_likelihood(self, family: str, clock: str) -> CurveFit:
        """The curve fitted to the choices of training moments."""
        training, _ = self._choices
        return fit(training, learnable(family, clock, training))

    @cached_property
    def _choices(self) -> tuple[Choices, Choices]:
        """Those of training moments, and those of validation queries."""
        val = self.stages["val"]
        crowd = Crowd.of(val.training)
        training, held_out = (
            Choices.of(val.training, queries, crowd, repeats=self.repeats, sample=self.plan.sample)
            for queries in (val.training.moments(), val.queries)
        )
        return training, held_out

    def _asked(self, stage: Stage, term: TermSettings, encoder: Encoder) -> Values:
        model = Model(ModelSettings(terms=(term,)), [encoder], encoder.items)
        return stage.evaluate(model, (METRIC,), ()).values[METRIC]

    def curves(self) -> dict[str, Any]:
        """The curves fitted to the choices of training moments by likelihood and judged on those of validation queries:
        {"chosen", "pays", "standings": {`family/clock`, the best first: {"log_likelihood", "behind", "gain", "apart",
        "half_life", "curve"}}}."""
        fitted = {
            curve_name(family, clock): self._by_likelihood(family, clock)
            for family, clock in self.plan.curves.pairs()
        }
        _, held_out = self._choices
        found = compare(fitted, held_out, evaluators.paired)
        standings = {
            each.name: {
                "log_likelihood": each.mean,
                "behind": [each.behind.difference, each.behind.low, each.behind.high],
                "gain": [each.gain.difference, each.gain.low, each.gain.high],
                "apart": each.told_apart,
                "half_life": _half_lives(each.fit),
                "curve": each.fit.forgetting.to_dict(),
            }
            for each in found.standings
        }
        return {"chosen": found.chosen.name, "pays": found.pays, "standings": standings}


def _half_lives(found: CurveFit) -> dict[str, list[float]]:
    """By clock, [half-life, low, high]."""
    factors = {factor.clock: factor for factor in found.forgetting.factors}
    lives = {next(iter(factors)): [found.half_life, *found.half_life_interval()]}
    if len(factors) == 2:
        last = found.forgetting.factors[-1]
        lives["moments"] = [last.halved, *found.moments_half_life_interval()]
    return lives


def _with(term: TermSettings, curve: dict[str, Any]) -> TermSettings:
    dumped = {**term.model_dump(), "forgetting": curve}
    return ModelSettings.model_validate({"terms": [dumped]}).terms[0]


def save(file: Path, about: dict[str, Any], values: Values) -> None:
    """Whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole(file) as partial, partial.open("wb") as stream:
        np.savez_compressed(stream, about=json.dumps(about), values=values)


def read(file: Path) -> tuple[dict[str, Any], Values]:
    with np.load(file) as stored:
        about: dict[str, Any] = json.loads(str(stored["about"]))
        return about, stored["values"]
