"""The search: Ray Tune runs the trials, Optuna proposes them, and a ledger keeps what is finished.

A trial is known by its content, and proposals depend on nothing but the values of trials before them: the same search
proposes the same trials on any number of workers, so one that was killed finds its finished trials in the ledger, goes
on with the others, and ends with the same best.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from ray import tune

from trainers import cluster
from trainers.model import ModelSettings
from trainers.proposals import Proposals
from trainers.remote import reason
from trainers.search_settings import SearchSettings
from trainers.space import Params, Space

NO_RESULT = "the trial left no result: all nodes must share the storage of `work`, and have the same Lethe"
CREW_PATIENCE = 20.0  # seconds that the first trials wait for the other actors to come up


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


class _Trial(tune.Trainable):
    """One trial; its actor stays for the next ones, so that what all trials share is read once."""

    def setup(
        self,
        config: dict[str, Any],
        objective: Objective,
        space: Space,
        model: ModelSettings,
        folder: Path,
        crew: Path,
        size: int,
    ) -> None:
        self.space, self.model = space, model
        self.ledger = Ledger(folder, objective.key())
        self.judge = objective.open()
        self.reset_config(config)
        wait_for_crew(crew, size)

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


def wait_for_crew(folder: Path, size: int) -> None:
    """Wait until `size` actors are up, or for so long as that may take.

    Tune gives a waiting trial to whichever actor is free, and ends the actor that was being started for it. Where
    trials are shorter than that start, the first actor would take them all and no other would ever come up."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(uuid.uuid4())).touch()
    until = time.monotonic() + CREW_PATIENCE
    while time.monotonic() < until and len(list(folder.iterdir())) < size:
        time.sleep(0.05)


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
    proposals = Proposals(settings, space)
    found = _replay(proposals, ledger, model)
    progress(found, settings.trials)
    errors: dict[int, str] = {}
    if not proposals.over:
        errors = _run(settings, proposals, model, objective, folder, found, progress)
    trials = []
    for number in range(settings.trials):
        params = proposals.params[number]
        entry = ledger.find(space.apply(model, params)) if number not in errors else None
        value, file = entry or (None, None)
        error = errors.get(number) if value is None else None
        trials.append(Outcome(number, params, value, error or (None if entry else NO_RESULT), file))
    return SearchResult(space, model, trials, proposals.importance())


def _replay(proposals: Proposals, ledger: Ledger, model: ModelSettings) -> int:
    """Propose what the ledger already has, up to the first trial that it has not; returns how many."""
    found = 0
    while (proposed := proposals.propose()) is not None:
        number, params = proposed
        entry = ledger.find(proposals.space.apply(model, params))
        if entry is None:
            proposals.put_back()
            break
        proposals.values[number] = entry[0]
        found += 1
    return found


def _run(
    settings: SearchSettings,
    proposals: Proposals,
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

    # Of a failed trial the caller tells, with its name.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    tune_folder = (folder.parent / "ray-tune").absolute()
    shutil.rmtree(tune_folder, ignore_errors=True)
    at_once = settings.concurrent or cluster.processors()
    # Tune asks a searcher for one trial at a time until its actor is up; the crew is to start together.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(at_once)
    trainable = tune.with_resources(
        tune.with_parameters(
            _Trial,
            objective=objective,
            space=settings.space,
            model=model,
            folder=folder.absolute(),
            crew=tune_folder / "crew",
            size=min(at_once, cluster.processors(), settings.ahead, settings.trials - found),
        ),
        {"cpu": 1},
    )
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            metric="value",
            mode="max",
            num_samples=settings.trials - found,
            search_alg=proposals,
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
    if len(grid) < settings.trials - found or any(
        result.error is None and "value" not in (result.metrics or {}) for result in grid
    ):
        raise KeyboardInterrupt  # Tune takes an interrupt for an answer and returns as if all were well
    errors = {}
    for result in grid:
        if result.error is not None:
            errors[result.config["number"]] = reason(result.error)
    return errors
