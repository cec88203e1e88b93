"""The search: Ray Tune runs the trials, Optuna proposes them, and a ledger keeps what is finished.

A trial is known by its content, and proposals depend on nothing but the values of trials before them: the same search
proposes the same trials on any number of workers, so one that was killed finds its finished trials in the ledger, goes
on with the others, and ends with the same best. So it is with a scheduler too (`trainers.search.halving`).
"""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from optuna.trial import FrozenTrial
from ray import tune

from trainers import cluster
from trainers.remote import reason
from trainers.search.crew import Trial, Turns, late_file
from trainers.search.members import Population
from trainers.search.objective import Objective, Subject
from trainers.search.outcome import Outcome, SearchResult
from trainers.search.proposals import Proposals, Search
from trainers.search.records import Records
from trainers.search.settings import SearchSettings
from trainers.search.warm import Former
from trainers.spent import Spent, Starter, unspent

NO_RESULT = "the trial left no result: all nodes must share the storage of `work`, and have the same Lethe"


class NoRoom(ValueError):
    """A trial asks for more than there is, and nothing can make more."""


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
    subjects = [_patient(settings, subject) for subject in subjects]
    known = [former.known(subject) if former else None for subject in subjects]
    searches = [
        _proposing(settings, subject, held.trials if held else ())
        for subject, held in zip(subjects, known, strict=True)
    ]
    records = Records(folder, objective.key())
    records.ledger.sign(objective.about())
    found = sum(_replay(one, records, subject) for one, subject in zip(searches, subjects, strict=True))
    total = sum(one.total for one in searches)
    for place, one in enumerate(searches):
        for number in range(settings.trials):
            if one.ended(number):
                heard(place, _over(one, number))
    progress(found, total)
    errors: dict[tuple[int, int], str] = {}
    if not all(one.over for one in searches):
        done = found

        def over(place: int, task: int) -> None:
            nonlocal done
            done += 1
            records.rounds.forget(min(one.through for one in searches))
            if searches[place].ended(trial := searches[place].trial_of(task)):
                heard(place, _over(searches[place], trial))
            progress(done, total)

        errors = _run(settings, searches, subjects, objective, folder, found, over, spent)
    if not errors:
        records.rounds.forget(math.inf)
    return [
        SearchResult(
            subject.space,
            subject.model,
            [
                _outcome(number, one, records, subject, errors.get((place, number)))
                for number in range(settings.trials)
            ],
            one.importance(),
            held,
        )
        for place, (subject, one, held) in enumerate(zip(subjects, searches, known, strict=True))
    ]


def _patient(settings: SearchSettings, subject: Subject) -> Subject:
    """The subject as a population trains it."""
    if settings.population is None:
        return subject
    return replace(subject, model=settings.population.patient(subject.model, subject.space))


def _proposing(settings: SearchSettings, subject: Subject, known: Sequence[FrozenTrial]) -> Search:
    if settings.population is None:
        return Proposals(settings, subject.space, known)
    return Population(settings, settings.population, subject, known)


def _replay(one: Search, records: Records, subject: Subject) -> int:
    """Propose what is written down already, up to the first task that is not; returns how many."""
    found = 0
    while (task := one.propose()) is not None:
        entry = records.find(subject.along(task.course), task)
        if entry is None:
            one.put_back()
            break
        one.tell(task.number, entry.value, entry.readings, entry.stop(task.cutoffs))
        found += 1
    return found


def _outcome(number: int, one: Search, records: Records, subject: Subject, error: str | None) -> Outcome:
    course = one.course(number)
    params, model = course[-1][1], subject.along(course)
    steps = tuple(records.told(model, step) for step in one.steps(number))
    if error is not None:
        return Outcome(number, params, None, error, steps=steps)
    if (stop := one.stop(number)) is not None:
        return Outcome(number, params, None, stop=stop, at=stop.at)
    entry = records.ledger.find(model)
    if entry is None or entry.value is None:
        return Outcome(number, params, None, NO_RESULT, steps=steps)
    return Outcome(number, params, entry.value, file=entry.file, steps=steps, at=entry.at)


def _over(one: Search, trial: int) -> Outcome:
    """A trial as soon as it has ended."""
    params, stop = one.course(trial)[-1][1], one.stop(trial)
    return Outcome(trial, params, None if stop else one.value(trial), stop=stop, steps=one.steps(trial))


def _run(
    settings: SearchSettings,
    searches: Sequence[Search],
    subjects: Sequence[Subject],
    objective: Objective,
    folder: Path,
    found: int,
    over: Callable[[int, int], None],
    spent: Callable[[Spent], None],
) -> dict[tuple[int, int], str]:
    """Run what is left under Ray Tune; returns the errors of failed trials by their search and number."""
    cluster.connect()
    total = sum(one.total for one in searches)
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
            size=min(at_once, room, settings.side_by_side * len(subjects), total - found),
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
            num_samples=total - found,
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
    asked = sum(one.proposed for one in searches) - found
    whole = len(grid) == asked and all(one.over for one in searches)
    if not whole or any(result.error is None and "value" not in (result.metrics or {}) for result in grid):
        raise KeyboardInterrupt  # Tune takes an interrupt for an answer and returns as if all were well
    errors = {}
    for result in grid:
        place, number = result.config["search"], result.config["number"]
        trial = searches[place].trial_of(number)
        if result.error is not None:  # its actor died with it
            late = late_file(crew, place, number).exists()
            errors[place, trial] = _late(settings) if late else reason(result.error)
        elif result.metrics["error"]:
            errors[place, trial] = result.metrics["error"]
    return errors


def _late(settings: SearchSettings) -> str:
    return (
        f"the trial took longer than `search.trial.seconds` allows ({settings.trial.seconds:g}); raise it, or narrow "
        "the space"
    )
