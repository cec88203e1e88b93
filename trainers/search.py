"""The search: Ray Tune runs the trials, Optuna proposes them, and a ledger keeps what is finished.

A trial is known by its content, and Optuna proposes in generations that depend on nothing but the values of the
generations before: the same search proposes the same trials on any number of workers, so one that was killed finds its
finished trials in the ledger, goes on with the others, and ends with the same best.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import optuna
from ray import tune
from ray.tune.search import Searcher

from trainers import cluster
from trainers.model import ModelSettings
from trainers.search_settings import SearchSettings
from trainers.space import Params, Space

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Objective(Protocol):
    """Judges a model on validation. It travels to the workers, so it carries paths, not arrays."""

    def key(self) -> str:
        """Names the data, the split and the metric: results of different keys are never mixed."""

    def open(self) -> Callable[[ModelSettings], npt.NDArray[np.float64]]:
        """Called once a worker: what is shared by all trials is read here. The function returned gives the metric
        of every validation query, in the queries' order."""


@dataclass(frozen=True)
class Outcome:
    """A trial that is over: finished with a `value`, or failed with an `error`."""

    number: int
    params: Params
    value: float | None
    error: str | None = None
    file: str | None = None

    @property
    def name(self) -> str:
        return f"trial-{self.number:03d}"

    def per_query(self) -> npt.NDArray[np.float64]:
        """[Q] the metric of every validation query."""
        if self.file is None:
            raise ValueError(f"`{self.name}` failed and has no values: {self.error}")
        values: npt.NDArray[np.float64] = np.load(self.file)
        return values


@dataclass(frozen=True)
class SearchResult:
    """All trials in the order of their proposal."""

    space: Space
    model: ModelSettings
    trials: list[Outcome]
    importance: dict[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> list[Outcome]:
        return [trial for trial in self.trials if trial.error is not None]

    @property
    def ranking(self) -> list[Outcome]:
        """The finished trials, best first; of equals, the one proposed first."""
        finished = [trial for trial in self.trials if trial.value is not None]
        return sorted(finished, key=lambda trial: (-(trial.value or 0.0), trial.number))

    def settings(self, trial: Outcome) -> ModelSettings:
        return self.space.apply(self.model, trial.params)


class Ledger:
    """Finished trials on disk, by content: `<key>.json` beside `<key>.npy`, each written whole or not at all."""

    def __init__(self, folder: Path, objective: str) -> None:
        self.folder = folder
        self.objective = objective

    def file(self, settings: ModelSettings) -> Path:
        content = json.dumps([self.objective, settings.model_dump(mode="json")], sort_keys=True)
        return self.folder / f"{hashlib.sha256(content.encode()).hexdigest()[:24]}.json"

    def find(self, settings: ModelSettings) -> tuple[float, str] | None:
        """The value and the file of the per-query values, if this trial is finished; an entry that cannot be read
        is none, so that its trial runs again."""
        file, values = self.file(settings), self.file(settings).with_suffix(".npy")
        try:
            value = float(json.loads(file.read_text())["value"])
            np.load(values, mmap_mode="r")
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return value, str(values)

    def enter(self, settings: ModelSettings, values: npt.NDArray[np.float64], seconds: float) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.file(settings)
        mark = f".{os.getpid()}.part"
        with open(f"{file}{mark}.npy", "wb") as stream:
            np.save(stream, values)
        os.replace(f"{file}{mark}.npy", file.with_suffix(".npy"))
        entry = {"value": float(values.mean()), "seconds": seconds, "model": settings.model_dump(mode="json")}
        Path(f"{file}{mark}").write_text(json.dumps(entry))
        os.replace(f"{file}{mark}", file)  # last: an entry that can be seen has its values beside it


class Generations(Searcher):
    """Optuna's TPE (Bergstra et al. 2011) in generations: all of one is asked before any of it is told."""

    def __init__(self, settings: SearchSettings, space: Space) -> None:
        super().__init__(metric="value", mode="max")
        sampler = optuna.samplers.TPESampler(
            seed=settings.seed, n_startup_trials=min(16, settings.trials // 3 + 1), constant_liar=True
        )
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        for start in space.starts()[: settings.trials]:
            self.study.enqueue_trial(start)
        self.space = space
        self.left = settings.trials
        self.size = settings.generation
        self.waiting: list[tuple[optuna.Trial, Params]] = []
        self.open: dict[int, optuna.Trial] = {}
        self.told: dict[int, float | None] = {}
        self.params: dict[int, Params] = {}
        self.numbers: dict[str, int] = {}

    def propose(self) -> tuple[int, Params] | None:
        """The next trial; None while the generation is not over, or when there is none left."""
        if not self.waiting and not (self.open.keys() - self.told.keys()):
            for number, trial in sorted(self.open.items()):
                value = self.told[number]
                state = optuna.trial.TrialState.FAIL if value is None else optuna.trial.TrialState.COMPLETE
                self.study.tell(trial, value, state)
            self.open = {}
            for _ in range(min(self.size, self.left)):
                trial = self.study.ask()
                self.waiting.append((trial, self.space.suggest(trial)))
                self.open[trial.number] = trial
                self.left -= 1
        if not self.waiting:
            return None
        trial, params = self.waiting.pop(0)
        self.params[trial.number] = params
        return trial.number, params

    def put_back(self, number: int) -> None:
        """The last trial proposed, to be proposed again."""
        self.waiting.insert(0, (self.open[number], self.params[number]))

    @property
    def over(self) -> bool:
        return self.left == 0 and not self.waiting

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        proposed = self.propose()
        if proposed is None:
            return Searcher.FINISHED if self.over else None
        number, params = proposed
        self.numbers[trial_id] = number
        return {"number": number, "params": params}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self.told[self.numbers[trial_id]] = None if error or not result else result["value"]

    def save(self, checkpoint_path: str) -> None:
        """Tune wants a file; what matters of the search's state is in the ledger."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a search is taken up again from its ledger, not from Tune's files")

    def importance(self) -> dict[str, float]:
        """The share of each parameter in reaching the best tenth of the trials (PED-ANOVA, Watanabe et al. 2023),
        largest first; empty with fewer than 20 finished trials, which say nothing of it."""
        for number, trial in sorted(self.open.items()):
            value = self.told[number]
            if value is not None:
                self.study.tell(trial, value)
        self.open = {}
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


class _Trial(tune.Trainable):
    """One trial; its actor stays for the next ones, so that what all trials share is read once."""

    def setup(
        self, config: dict[str, Any], objective: Objective, space: Space, model: ModelSettings, folder: Path
    ) -> None:
        self.space, self.model = space, model
        self.ledger = Ledger(folder, objective.key())
        self.judge = objective.open()
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.params = new_config["params"]
        return True

    def step(self) -> dict[str, Any]:
        settings = self.space.apply(self.model, self.params)
        # A search that was killed may have finished later trials than the first one missing, and a proposal may repeat.
        if entry := self.ledger.find(settings):
            return {"value": entry[0], "done": True}
        started = time.monotonic()
        values = self.judge(settings)
        value = float(values.mean())
        if not np.isfinite(value):
            raise FloatingPointError(f"the metric is {value}")
        self.ledger.enter(settings, values, time.monotonic() - started)
        return {"value": value, "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        pass

    def load_checkpoint(self, checkpoint: Any) -> None:
        pass


class _Progress(tune.Callback):
    """Tells the driver of each trial that is over. Tune pickles its callbacks; what waits here stays here."""

    def __init__(self, over: Callable[[], None]) -> None:
        self.over = over

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.over()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.over()


def search(
    settings: SearchSettings,
    model: ModelSettings,
    objective: Objective,
    folder: Path,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SearchResult:
    """Search the space around `model` and return all trials.

    Args:
        folder: where the ledger is, on storage that all workers share.
        progress: called with (trials over, trials in all); the first call tells how many were found finished.

    Returns:
        All outcomes, failed ones with their error; whether failures are allowed is for the caller to say.
    """
    space = settings.space
    space.check(model)
    ledger = Ledger(folder, objective.key())
    generations = Generations(settings, space)
    found = _replay(generations, ledger, model)
    progress(found, settings.trials)
    errors: dict[int, str] = {}
    if not generations.over:
        errors = _run(settings, generations, model, objective, folder, found, progress)
    trials = []
    for number in range(settings.trials):
        params = generations.params[number]
        entry = ledger.find(space.apply(model, params)) if number not in errors else None
        value, file = entry or (None, None)
        error = errors.get(number) if value is None else None
        trials.append(
            Outcome(number, params, value, error or (None if entry else "the trial left no result"), file)
        )
    return SearchResult(space, model, trials, generations.importance())


def _replay(generations: Generations, ledger: Ledger, model: ModelSettings) -> int:
    """Propose what the ledger already has, up to the first trial that it has not; returns how many."""
    found = 0
    while (proposed := generations.propose()) is not None:
        number, params = proposed
        entry = ledger.find(generations.space.apply(model, params))
        if entry is None:
            generations.put_back(number)
            break
        generations.told[number] = entry[0]
        found += 1
    return found


def _run(
    settings: SearchSettings,
    generations: Generations,
    model: ModelSettings,
    objective: Objective,
    folder: Path,
    found: int,
    progress: Callable[[int, int], None],
) -> dict[int, str]:
    """Run what is left under Ray Tune; returns the errors of failed trials by their number."""
    cluster.connect()
    over = found

    def one_over() -> None:
        nonlocal over
        over += 1
        progress(over, settings.trials)

    tune_folder = (folder.parent / "ray-tune").absolute()
    shutil.rmtree(tune_folder, ignore_errors=True)
    trainable = tune.with_resources(
        tune.with_parameters(
            _Trial, objective=objective, space=settings.space, model=model, folder=folder.absolute()
        ),
        {"cpu": 1},
    )
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            metric="value",
            mode="max",
            num_samples=settings.trials - found,
            search_alg=generations,
            reuse_actors=True,
            max_concurrent_trials=settings.concurrent,
        ),
        run_config=tune.RunConfig(
            storage_path=str(tune_folder),
            name="trials",
            verbose=0,
            callbacks=[_Progress(one_over)],
            failure_config=tune.FailureConfig(max_failures=0),
        ),
    )
    grid = tuner.fit()
    errors = {}
    for result in grid:
        if result.error is not None:
            errors[result.config["number"]] = _reason(result.error)
    return errors


def _reason(error: BaseException) -> str:
    """The last line of a remote error: the exception that the trial raised (pydantic adds an address to it)."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("For further information visit")]
    return lines[-1] if lines else type(error).__name__
