"""Trials in one process: models that share terms, judged on validation step by step."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from harness.stage import Stage
from harness.steps.answering import WHOLE, Answering, KeptScores, scored_as
from harness.steps.portions import Portions
from trainers.encoders import ENCODERS, Encoder, Neural, TermSettings
from trainers.fitting.fits import Fits, fit_neural, fit_term
from trainers.fitting.shares import of_users
from trainers.forgetting import by_clock
from trainers.model import ModelSettings
from trainers.search.objective import Reached, State
from trainers.search.settings import Scheduler
from trainers.training.rising import Rising


class Judge:
    """Judges models that share terms: what two of them have in common is scored once."""

    def __init__(
        self,
        stage: Stage,
        fits: Fits,
        seed: int,
        scheduler: Scheduler | None = None,
        rising: Collection[str] = (),
    ) -> None:
        self.stage, self.fits, self.seed, self.scheduler, self.rising = stage, fits, seed, scheduler, rising
        # A trial that trains a term stops early on the very queries that it is judged on, as pretraining does.
        self.data = replace(stage.training, validation=stage.queries)
        self.kept = KeptScores()

    def values(self, settings: ModelSettings, metric: str) -> npt.NDArray[np.float64]:
        """[Q] the metric of every query of the stage, of the whole trial."""
        return next(reached.values for reached in self.steps(settings, metric) if reached.whole)

    def steps(self, settings: ModelSettings, metric: str, start: State | None = None) -> Iterator[Reached]:
        """A trial step by step: at the scheduler's rungs, from `start` on, and last where it is whole."""
        networks = self._networks(settings)
        if networks and self._by_users:
            yield from self._on_shares(settings, metric, networks)
            return
        rising = self._rising(networks)
        for one in rising.values():
            if start:
                one.take(start[one.encoder.settings.label])
        encoders: dict[str, Encoder] = {key: one.encoder for key, one in rising.items()}
        answering = [
            self._answering(stage, part, settings, encoders)
            for part, (_, stage) in enumerate(self.portions.stages)
        ]
        begun = max([one.epochs for one in rising.values()], default=0)
        for rung in self._epochs(rising):
            if rung > begun:
                yield from self._look(rising, rung, answering[0], metric)
        for one in rising.values():
            one.rise(math.inf)
        found: list[npt.NDArray[np.float64]] = []
        for (share, _), answers in zip(self.portions.stages, answering, strict=True):
            found.append(answers.values(metric))
            if share < 1:
                yield Reached(share, np.concatenate(found), whole=False)
        values = np.empty(len(self.stage.queries))
        values[self.portions.order] = np.concatenate(found)
        whole = 0.0 if self.scheduler and self.scheduler.by == "epochs" else 1.0  # of what trains nothing
        yield Reached(max([float(one.epochs) for one in rising.values()], default=whole), values)

    def _on_shares(
        self, settings: ModelSettings, metric: str, networks: Collection[TermSettings]
    ) -> Iterator[Reached]:
        """Networks trained anew on ever larger shares of the training users, and asked all validation queries: what a
        network costs is its training."""
        assert self.scheduler is not None
        for share in (*self.scheduler.rungs(1.0), 1.0):
            data = of_users(self.data, share, self.seed) if share < 1 else self.data
            encoders: dict[str, Encoder] = {
                scored_as(term): fit_neural(term, data, repeats=self.stage.repeats, seed=self.seed)[0]
                for term in networks
            }
            answers = self._answering(self.stage, WHOLE, settings, encoders)
            yield Reached(share, answers.values(metric), whole=share == 1)

    def _look(
        self, rising: dict[str, Rising], rung: float, answers: Answering, metric: str
    ) -> Iterator[Reached]:
        """What the model is after so many epochs; nothing where its trainings are over before."""
        assert self.scheduler is not None
        for one in rising.values():
            one.rise(rung, latest=self.scheduler.latest)
        if all(one.over for one in rising.values()):
            return
        state = {one.encoder.settings.label: one.state() for one in rising.values()}
        yield Reached(
            rung, answers.values(metric), whole=False, state=state, told=_half_lives(rising.values())
        )

    def _networks(self, settings: ModelSettings) -> list[TermSettings]:
        """The terms that this trial has to train and that the scheduler wants looked at on the way."""
        if self.scheduler is None:
            return []
        return [
            term
            for term in settings.terms
            if term.weight > 0
            and issubclass(ENCODERS[term.kind], Neural)
            and (term.label in self.rising or not self.fits.serves(term))
        ]

    def _rising(self, networks: Collection[TermSettings]) -> dict[str, Rising]:
        return {
            scored_as(term): Rising(term, self.data, repeats=self.stage.repeats, seed=self.seed)
            for term in networks
        }

    @property
    def _by_users(self) -> bool:
        return self.scheduler is not None and self.scheduler.by == "users"

    def _epochs(self, rising: dict[str, Rising]) -> tuple[float, ...]:
        """The rungs of a trial that trains these."""
        if self.scheduler is None or not rising:
            return ()
        return self.scheduler.rungs(max(one.encoder.settings.training.epochs for one in rising.values()))

    @cached_property
    def portions(self) -> Portions:
        """The stage as trials answer it: whole, but for a scheduler by users."""
        if self.scheduler is None or not self._by_users:
            return Portions.whole(self.stage)
        return Portions.of_users(self.stage, (*self.scheduler.rungs(1.0), 1.0), self.seed)

    def _answering(
        self, stage: Stage, part: int, settings: ModelSettings, encoders: dict[str, Encoder]
    ) -> Answering:
        """A model of which these encoders are the trial's own, and all others are fitted as they are asked for."""
        return Answering(stage, part, settings, encoders, frozenset(encoders), self.fit, self.kept)

    def fit(self, term: TermSettings) -> Encoder:
        return fit_term(term, self.data, self.fits, repeats=self.stage.repeats, seed=self.seed)


def _half_lives(rising: Iterable[Rising]) -> dict[str, float]:
    """The half-lives of the curves inside networks, as they are now, by term and place, each with its unit; those that
    never end are left out."""
    return {
        f"{one.encoder.settings.label}{f', {place}' if place else ''} ({curve.unit})": float(curve.halved)
        for one in rising
        for place, curve in by_clock(one.encoder.curves()).items()
        if math.isfinite(curve.halved)
    }
