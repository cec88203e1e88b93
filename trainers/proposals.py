"""What to try next: Optuna proposes, in an order that no timing can change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState
from ray.tune.search import Searcher

from trainers.search_settings import SearchSettings
from trainers.space import Params, Space

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Proposals(Searcher):
    """Optuna's TPE (Bergstra et al. 2011): trial n is proposed from the values of the trials 0 … n − `ahead`, be the
    later ones finished or not. So the proposals depend on values alone, not on how many trials run at once or which of
    them is over first, and up to `ahead` trials can run side by side."""

    def __init__(self, settings: SearchSettings, space: Space) -> None:
        super().__init__(metric="value", mode="max")
        sampler = optuna.samplers.TPESampler(
            seed=settings.seed, n_startup_trials=min(16, settings.trials // 3 + 1), constant_liar=True
        )
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        for start in space.starts()[: settings.trials]:
            self.study.enqueue_trial(start)
        self.space = space
        self.total = settings.trials
        self.ahead = settings.ahead
        self.asked: list[optuna.Trial] = []
        self.params: list[Params] = []
        self.values: dict[int, float | None] = {}
        """By number, what is known of the trials that are over; None for one that failed."""
        self._learned = 0
        self._next = 0
        self._numbers: dict[str, int] = {}

    def propose(self) -> tuple[int, Params] | None:
        """The next trial's number and parameters; None while trials it depends on are not over, and after the last."""
        number = self._next
        if number == self.total:
            return None
        if number == len(self.asked):
            if any(known not in self.values for known in range(self._learned, number - self.ahead + 1)):
                return None
            self._learn(number - self.ahead + 1)
            trial = self.study.ask()
            self.params.append(self.space.suggest(trial))
            self.asked.append(trial)
        self._next += 1
        return number, self.params[number]

    def put_back(self) -> None:
        """The latest trial, to be proposed again."""
        self._next -= 1

    @property
    def over(self) -> bool:
        """Whether every trial has been proposed."""
        return self._next == self.total

    def _learn(self, stop: int) -> None:
        for number in range(self._learned, stop):
            value = self.values[number]
            self.study.tell(
                self.asked[number], value, TrialState.FAIL if value is None else TrialState.COMPLETE
            )
        self._learned = max(self._learned, stop)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        proposed = self.propose()
        if proposed is None:
            return str(Searcher.FINISHED) if self.over else None
        number, params = proposed
        self._numbers[trial_id] = number
        return {"number": number, "params": params}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self.values[self._numbers[trial_id]] = None if error or not result else result["value"]

    def save(self, checkpoint_path: str) -> None:
        """Tune wants a file; what matters of the search's state is in the ledger."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a search is taken up again from its ledger, not from Tune's files")

    def importance(self) -> dict[str, float]:
        """The share of each parameter in reaching the best tenth of the trials (PED-ANOVA, Watanabe et al. 2023),
        largest first; empty with fewer than 20 finished trials, which say nothing of it."""
        self._learn(len(self.asked))
        finished = [trial for trial in self.study.get_trials(deepcopy=False) if trial.value is not None]
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
