"""What to try next: Optuna proposes, in an order that no timing can change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState

from trainers.search.course import Course, Step, Task
from trainers.search.curve_space import Params
from trainers.search.halving import Reading, Stop
from trainers.search.settings import SearchSettings
from trainers.search.space import Space

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Search(Protocol):
    """What says what to try next."""

    @property
    def total(self) -> int:
        """How many tasks there are, failed ones aside."""

    @property
    def proposed(self) -> int:
        """How many have been proposed."""

    @property
    def over(self) -> bool:
        """Whether nothing is left to propose."""

    @property
    def through(self) -> float:
        """The epochs before which nobody goes on from anything any more."""

    def propose(self) -> Task | None:
        """The next task; None while those it depends on are not over, and after the last."""

    def put_back(self) -> None:
        """The latest task, to be proposed again."""

    def tell(
        self, number: int, value: float | None, readings: Sequence[Reading] = (), stop: Stop | None = None
    ) -> None:
        """A task is over: whole, failed (None), or ended on the way."""

    def trial_of(self, number: int) -> int:
        """The trial that a task is a part of."""

    def course(self, trial: int) -> Course:
        """The parameters of a trial, as far as it has come."""

    def ended(self, trial: int) -> bool:
        """Whether a trial has come to its end, be it whole, stopped or failed."""

    def value(self, trial: int) -> float | None:
        """What an ended trial came to; None for one that failed."""

    def stop(self, trial: int) -> Stop | None:
        """Where a trial was stopped, if it was."""

    def steps(self, trial: int) -> tuple[Step, ...]:
        """How its training came about, where that is a story."""

    def importance(self) -> dict[str, float]:
        """The share of each parameter in reaching the best trials, where it can be told."""


class Proposals:
    """Optuna's TPE (Bergstra et al. 2011): trial n is proposed from the values of the trials 0 … n − `ahead`, be the
    later ones finished or not. So the proposals depend on values alone, not on how many trials run at once or which of
    them is over first, and up to `ahead` trials can run side by side.

    With a scheduler the cut-offs of trial n, too, come from those trials alone (`trainers.search.halving`). TPE
    counts what was stopped as worse than what was whole, and what was stopped later as better.

    Args:
        known: trials of a former search, all finished, that the proposals learn from before the first; the best of them
            is proposed first then, in the place of the space's own starting points.
    """

    def __init__(self, settings: SearchSettings, space: Space, known: Sequence[FrozenTrial] = ()) -> None:
        sampler = optuna.samplers.TPESampler(
            seed=settings.seed, n_startup_trials=min(16, settings.trials // 3 + 1), constant_liar=True
        )
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        self.study.add_trials(known)
        starts = [self.study.best_params] if known else space.starts()
        for start in starts[: settings.trials]:
            self.study.enqueue_trial(start)
        self.space = space
        self.total = settings.trials
        self.ahead = settings.ahead
        self.halving = settings.halving
        self.asked: list[optuna.Trial] = []
        self.params: list[Params] = []
        self.cutoffs: list[tuple[Reading, ...]] = []
        """By number, what a trial must reach at each rung; nothing without a scheduler."""
        self.values: dict[int, float | None] = {}
        """By number, what is known of the trials that are over; None for one that failed."""
        self.readings: dict[int, Sequence[Reading]] = {}
        self.stops: dict[int, Stop] = {}
        """By number, where trials were stopped; their `values` are those that they had there."""
        self._learned = 0
        self._next = 0

    def tell(
        self, number: int, value: float | None, readings: Sequence[Reading] = (), stop: Stop | None = None
    ) -> None:
        """A trial is over: whole, failed (None), or stopped."""
        self.readings[number] = readings
        if stop is not None:
            self.stops[number] = stop
            value = stop.value
        self.values[number] = value

    def propose(self) -> Task | None:
        """The next trial; None while trials it depends on are not over, and after the last."""
        number = self._next
        if number == self.total:
            return None
        if number == len(self.asked):
            if any(known not in self.values for known in range(self._learned, number - self.ahead + 1)):
                return None
            self._learn(number - self.ahead + 1)
            known = (self.readings.get(known, ()) for known in range(self._learned))
            self.cutoffs.append(self.halving.cutoffs(known) if self.halving else ())
            trial = self.study.ask()
            self.params.append(self.space.suggest(trial))
            self.asked.append(trial)
        self._next += 1
        return Task(number, self.course(number), self.cutoffs[number])

    def put_back(self) -> None:
        """The latest trial, to be proposed again."""
        self._next -= 1

    @property
    def proposed(self) -> int:
        """How many trials have been proposed."""
        return self._next

    @property
    def through(self) -> float:
        """Nothing is left on the way."""
        return math.inf

    @property
    def over(self) -> bool:
        """Whether every trial has been proposed."""
        return self._next == self.total

    def trial_of(self, number: int) -> int:
        """Whose task it was: each trial is one."""
        return number

    def course(self, number: int) -> Course:
        """The parameters of a trial, which stay."""
        return ((0, self.params[number]),)

    def ended(self, number: int) -> bool:
        """Whether a trial is over."""
        return number in self.values

    def value(self, number: int) -> float | None:
        """What a trial came to, or had where it was stopped."""
        return self.values[number]

    def stop(self, number: int) -> Stop | None:
        """Where a trial was stopped."""
        return self.stops.get(number)

    def steps(self, number: int) -> tuple[Step, ...]:
        """Nothing changes on the way."""
        return ()

    def _learn(self, stop: int) -> None:
        for number in range(self._learned, stop):
            trial, value = self.asked[number], self.values[number]
            if number in self.stops:
                for place, (at, reading) in enumerate(self.readings[number]):
                    if at <= self.stops[number].at:
                        trial.report(reading, place)
                self.study.tell(trial, state=TrialState.PRUNED)
            else:
                state = TrialState.FAIL if value is None else TrialState.COMPLETE
                self.study.tell(trial, value, state)
        self._learned = max(self._learned, stop)

    def importance(self) -> dict[str, float]:
        """The share of each parameter in reaching the best tenth of the trials (PED-ANOVA, Watanabe et al. 2023),
        largest first; empty with fewer than 20 finished trials, which say nothing of it."""
        self._learn(len(self.asked))
        finished = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(finished) < 20 or len({trial.value for trial in finished}) < 2:
            return {}
        from optuna.importance import (  # with it comes sklearn
            PedAnovaImportanceEvaluator,
            get_param_importances,
        )

        quantile = max(0.1, 5 / len(finished))
        shares = get_param_importances(
            self.study, evaluator=PedAnovaImportanceEvaluator(target_quantile=quantile)
        )
        return {name: float(share) for name, share in shares.items()}
