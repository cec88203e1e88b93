"""The searches of a run: the space that the configuration gives, and the same space under `none`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from harness.errors import ConfigurationError, IncompleteError
from harness.progress import bar, say
from harness.steps.objective import ValidationObjective
from harness.steps.run import Run
from harness.steps.warm import former_of
from trainers.fitting.fits import Fits
from trainers.search.objective import Subject
from trainers.search.outcome import Outcome, SearchResult
from trainers.search.population import labels
from trainers.search.search import NoRoom, search
from trainers.search.space import Range
from trainers.search.warm import Former, Unlike

TrialOver = Callable[[str, int, Outcome], None]
SEARCHES = {"search": "search", "search under none": "search under `none`"}
"""By what MLflow calls a search, what a person is told of it."""


def unheard(called: str, trials: int, outcome: Outcome) -> None:
    """Nobody listens."""


class Searching:
    """Searches on the validation stage of a run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.settings = run.settings

    def objective(self, fits: Fits) -> ValidationObjective:
        settings = self.settings
        return ValidationObjective(
            self.run.store.where,
            str(fits.folder),
            settings.split,
            settings.data.repeats,
            settings.metric,
            settings.seed,
            settings.search.scheduler if settings.search else None,
            labels(settings.search.space) if settings.search and settings.search.population else (),
        )

    def search(self, fits: Fits, heard: TrialOver) -> tuple[SearchResult, SearchResult]:
        """Search the space, and with the same effort and the same workers the same space under `none`, the control.

        Args:
            heard: called with each trial that is over, those that were found finished first: the name of its search
                (a key of `SEARCHES`), the number of its trials, the outcome.

        Raises:
            IncompleteError: more trials of either failed than `search.max_failed` allows; the others are done.
        """
        settings = self.settings.search
        assert settings is not None
        subject = Subject(self.settings.model, settings.space)
        subjects = dict(zip(SEARCHES.values(), (subject, subject.without_forgetting()), strict=True))
        names = list(SEARCHES)
        for term in (term for one in subjects.values() for term in _solvable(one)):
            with contextlib.suppress(ValueError):  # no solution: the trials that need it fail, and say so
                fits.solve(term, len(self.run.val.training.catalogue))
        found = None
        with bar("search", settings.trials * len(subjects)) as line:

            def over(done: int, total: int) -> None:
                nonlocal found
                found = done if found is None else found
                line.update(done=done, total=total, note=f"{found} found finished" if found else "")

            try:
                results = search(
                    settings,
                    list(subjects.values()),
                    self.objective(fits),
                    self.run.trials,
                    former=self.former,
                    progress=over,
                    heard=lambda place, outcome: heard(names[place], settings.trials, outcome),
                    spent=self.run.spent,
                )
            except NoRoom as error:
                raise ConfigurationError(str(error)) from None
        problems = [problem for pair in zip(subjects, results, strict=True) for problem in self._told(*pair)]
        if problems:
            raise IncompleteError("; ".join(problems))
        return results[0], results[1]

    @cached_property
    def former(self) -> Former | None:
        """The search that this one starts from, if it starts from one; ConfigurationError where it may not."""
        former = former_of(self.settings)
        if former is not None:
            try:
                former.check(self.objective(Fits(self.run.folder)).about())
            except Unlike as error:
                raise ConfigurationError(str(error)) from None
        return former

    def _told(self, title: str, result: SearchResult) -> list[str]:
        """Tell a person of a search; what is missing of it."""
        settings = self.settings.search
        assert settings is not None
        if known := result.known:
            say(f"{title}: {len(known.trials)} trials of {known.where} known, {known.skipped} skipped")
        for trial in result.failed:
            say(f"{title}: {trial.name} failed: {trial.error}")
        if len(result.failed) > settings.max_failed:
            return [
                f"{title}: {len(result.failed)} of {settings.trials} trials failed, and `search.max_failed` allows "
                f"{settings.max_failed}: "
                + "; ".join(f"{trial.name}: {trial.error}" for trial in result.failed[:3])
            ]
        if not result.ranking:
            return [f"{title}: no trial finished."]
        best = result.ranking[0]
        stopped = f", {len(result.stopped)} stopped early" if result.stopped else ""
        say(f"{title}: best {self.settings.metric} on validation {best.value:.4f} ({best.name}){stopped}")
        return []


def _solvable(subject: Subject) -> list[Any]:
    """The closed-form terms that many trials share: `linear` at each λ of a list, or at the one of the model."""
    terms = []
    for term in subject.model.terms:
        if term.kind != "linear" or term.variant != "ease":
            continue
        domains = [
            part.domains["l2"]
            for key, part in subject.space.root.items()
            if term.label in key.split("+") and "l2" in part.domains
        ]
        if any(isinstance(domain, Range) for domain in domains):
            continue  # a λ from a range serves its own trial alone
        listed = [domain for domain in domains if not isinstance(domain, Range)]
        values = [float(value) for domain in listed for value in domain] or [term.l2]
        terms += [term.model_copy(update={"l2": float(value)}) for value in np.unique(values)]
    return terms
