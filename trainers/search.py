"""The search: Ray Tune runs the trials, Optuna proposes them, and a ledger keeps what is finished.

A trial is known by its content, and proposals depend on nothing but the values of trials before them: the same search
proposes the same trials on any number of workers, so one that was killed finds its finished trials in the ledger, goes
on with the others, and ends with the same best. So it is with a scheduler too (`trainers.halving`).
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ray import tune

from trainers import cluster
from trainers.crew import Trial, Turns, late_file
from trainers.halving import Stop
from trainers.ledger import Ledger
from trainers.model import ModelSettings
from trainers.objective import Objective, Subject
from trainers.proposals import Proposals
from trainers.remote import reason
from trainers.search_settings import SearchSettings
from trainers.space import Params, Space
from trainers.spent import Spent, Starter, unspent
from trainers.warm import Former, Known

NO_RESULT = "the trial left no result: all nodes must share the storage of `work`, and have the same Lethe"


class NoRoom(ValueError):
    """A trial asks for more than there is, and nothing can make more."""


@dataclass(frozen=True)
class Outcome:
    """A trial that is over: finished with a `value`, stopped early (`stop`), or failed with an `error`."""

    number: int
    params: Params
    value: float | None
    error: str | None = None
    file: str | None = None
    stop: Stop | None = None

    @property
    def name(self) -> str:
        return f"trial-{self.number:03d}"

    def per_query(self) -> npt.NDArray[np.float64]:
        """[Q] the metric of every validation query."""
        if self.file is None:
            why = f"failed and has no values: {self.error}" if self.error else "was stopped before its end"
            raise ValueError(f"`{self.name}` {why}")
        values: npt.NDArray[np.float64] = np.load(self.file)
        return values


@dataclass(frozen=True)
class SearchResult:
    """All trials in the order of their proposal, and what was known of a former search."""

    space: Space
    model: ModelSettings
    trials: list[Outcome]
    importance: dict[str, float] = field(default_factory=dict)
    known: Known | None = None

    @property
    def failed(self) -> list[Outcome]:
        return [trial for trial in self.trials if trial.error is not None]

    @property
    def stopped(self) -> list[Outcome]:
        return [trial for trial in self.trials if trial.stop is not None]

    @property
    def ranking(self) -> list[Outcome]:
        """The finished trials, best first; of equals, the one proposed first. What was stopped is none of them."""
        finished = [trial for trial in self.trials if trial.value is not None]
        return sorted(finished, key=lambda trial: (-(trial.value or 0.0), trial.number))

    def settings(self, trial: Outcome) -> ModelSettings:
        return self.space.apply(self.model, trial.params)


def search(
    settings: SearchSettings,
    subjects: Sequence[Subject],
    objective: Objective,
    folder: Path,
    *,
    former: Former | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    heard: Callable[[int, Outcome], None] = lambda place, outcome: None,
    spent: Callable[[Spent], None] = unspent,
) -> list[SearchResult]:
    """Search around each subject, with the same effort and by the same workers, and return all trials.

    Args:
        folder: where the ledger is, on storage that all workers share.
        former: a search on the same data; what it knows of each space, the proposals know.
        progress: called with (trials over, trials in all); the first call tells how many were found finished.
        heard: called with (the place of its subject, the outcome) of each trial that is over, as it is over; those that
            were found finished come first. A failed one may not know its error yet.
        spent: called with what workers spent that this process does not see.

    Returns:
        By subject all outcomes, failed ones with their error; whether failures are allowed is for the caller to say.

    Raises:
        ValueError: the space asks for what the model does not have.
        Unlike: `former` had other data, cuts or another metric. NoRoom: a trial does not fit the machine.
    """
    for subject in subjects:
        subject.space.check(subject.model)
    if former is not None:
        former.check(objective.about())
    known = [former.known(subject) if former else None for subject in subjects]
    searches = [
        Proposals(settings, subject.space, held.trials if held else ())
        for subject, held in zip(subjects, known, strict=True)
    ]
    ledger = Ledger(folder, objective.key())
    ledger.sign(objective.about())
    found = sum(
        _replay(proposals, ledger, subject) for proposals, subject in zip(searches, subjects, strict=True)
    )
    total = settings.trials * len(subjects)
    for place, proposals in enumerate(searches):
        for number in proposals.values:
            heard(place, _over(proposals, number))
    progress(found, total)
    errors: dict[tuple[int, int], str] = {}
    if found < total:
        over = found

        def one_over(place: int, number: int) -> None:
            nonlocal over
            over += 1
            heard(place, _over(searches[place], number))
            progress(over, total)

        errors = _run(settings, searches, subjects, objective, folder, total - found, one_over, spent)
    return [
        SearchResult(
            subject.space,
            subject.model,
            [
                _outcome(number, proposals, ledger, subject, errors.get((place, number)))
                for number in range(settings.trials)
            ],
            proposals.importance(),
            held,
        )
        for place, (subject, proposals, held) in enumerate(zip(subjects, searches, known, strict=True))
    ]


def _replay(proposals: Proposals, ledger: Ledger, subject: Subject) -> int:
    """Propose what the ledger already has, up to the first trial that it has not; returns how many."""
    found = 0
    while (proposed := proposals.propose()) is not None:
        number, params = proposed
        cutoffs = proposals.cutoffs[number]
        entry = ledger.find(subject.at(params), cutoffs)
        if entry is None:
            proposals.put_back()
            break
        proposals.tell(number, entry.value, entry.readings, entry.stop(cutoffs))
        found += 1
    return found


def _outcome(
    number: int, proposals: Proposals, ledger: Ledger, subject: Subject, error: str | None
) -> Outcome:
    params = proposals.params[number]
    if error is not None:
        return Outcome(number, params, None, error)
    if (stop := proposals.stops.get(number)) is not None:
        return Outcome(number, params, None, stop=stop)
    entry = ledger.find(subject.at(params))
    if entry is None or entry.value is None:
        return Outcome(number, params, None, NO_RESULT)
    return Outcome(number, params, entry.value, file=entry.file)


def _over(proposals: Proposals, number: int) -> Outcome:
    """A trial as soon as it is over."""
    stop = proposals.stops.get(number)
    value = None if stop else proposals.values[number]
    return Outcome(number, proposals.params[number], value, stop=stop)


def _run(
    settings: SearchSettings,
    searches: Sequence[Proposals],
    subjects: Sequence[Subject],
    objective: Objective,
    folder: Path,
    left: int,
    over: Callable[[int, int], None],
    spent: Callable[[Spent], None],
) -> dict[tuple[int, int], str]:
    """Run what is left under Ray Tune; returns the errors of failed trials by their search and number."""
    cluster.connect()
    # Of a failed trial the caller tells, with its name.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    tune_folder = (folder.parent / "ray-tune").absolute()
    shutil.rmtree(tune_folder, ignore_errors=True)
    room = cluster.room(settings.trial.resources())
    if not room and not os.environ.get("RAY_ADDRESS"):  # elsewhere an autoscaler may bring larger nodes
        raise NoRoom(
            f"`search.trial` must fit this machine, but asks for {settings.trial.resources()}; ask for less, or set "
            "RAY_ADDRESS to use a larger cluster."
        )
    room = max(room, 1)
    at_once = settings.concurrent or room
    # Tune asks a searcher for one trial at a time until its actor is up; the crew is to start together.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(at_once)
    crew = tune_folder / "crew"
    trainable = tune.with_resources(
        tune.with_parameters(
            Trial,
            objective=objective,
            subjects=subjects,
            folder=folder.absolute(),
            crew=crew,
            size=min(at_once, room, settings.ahead * len(subjects), left),
            seconds=settings.trial.seconds,
            starter=Starter.here(),
        ),
        settings.trial.resources(),
    )
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            metric="value",
            mode="max",
            num_samples=left,
            search_alg=Turns(searches, over, spent),
            reuse_actors=True,
            max_concurrent_trials=settings.concurrent,
        ),
        run_config=tune.RunConfig(
            storage_path=str(tune_folder),
            name="trials",
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=0),
        ),
    )
    grid = tuner.fit()
    if len(grid) < left or any(
        result.error is None and "value" not in (result.metrics or {}) for result in grid
    ):
        raise KeyboardInterrupt  # Tune takes an interrupt for an answer and returns as if all were well
    errors = {}
    for result in grid:
        place, number = result.config["search"], result.config["number"]
        if result.error is not None:  # its actor died with it
            late = late_file(crew, place, number).exists()
            errors[place, number] = _late(settings) if late else reason(result.error)
        elif result.metrics["error"]:
            errors[place, number] = result.metrics["error"]
    return errors


def _late(settings: SearchSettings) -> str:
    return (
        f"the trial took longer than `search.trial.seconds` allows ({settings.trial.seconds:g}); raise it, or narrow "
        "the space"
    )
