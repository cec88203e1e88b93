"""The steps of a run and where each leaves its work: a step that is done is found, not done again.

A run is known by its content: the configuration (what matters of it), the data's fingerprint and Lethe's version. Its
folder holds the steps; each is written whole or not at all, so a run that was killed goes on where it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import evaluators
from harness import source_digest
from harness.data import Store, prepare
from harness.errors import ConfigurationError, IncompleteError
from harness.objective import ValidationObjective
from harness.progress import bar, say, watching
from harness.settings import RunSettings, TrainSettings
from harness.stage import Stage, StageName
from harness.warm import TRIALS, former_of
from trainers import cluster
from trainers.encoders import ENCODERS, ClosedForm, TermSettings
from trainers.finetune import neural_terms
from trainers.fits import Fits, fit_term
from trainers.forgetting import ForgettingSettings
from trainers.learning import named
from trainers.model import Model, ModelSettings
from trainers.objective import Subject
from trainers.pretrain import Fit, Resources, fit, watch
from trainers.search import NoRoom, Outcome, SearchResult, search
from trainers.space import Range
from trainers.spent import Spent, unspent
from trainers.warm import Former, Unlike


@dataclass(frozen=True)
class Finetuned:
    """What became of fine-tuning: kept only where validation says so.

    Attributes:
        epochs: by label, the epochs that were kept for each term.
        difference: of the metric on validation, fine-tuned minus pretrained.
    """

    kept: bool
    reason: str
    epochs: dict[str, int]
    difference: evaluators.Difference


TrialOver = Callable[[str, int, Outcome], None]
SEARCHES = {"search": "search", "search under none": "search under `none`"}
"""By what MLflow calls a search, what a person is told of it."""


def unheard(called: str, trials: int, outcome: Outcome) -> None:
    """Nobody listens."""


class Workshop:
    """One run's settings, data, folder and steps.

    Attributes:
        spent: told of what workers on other machines spent.
    """

    def __init__(self, settings: RunSettings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.spent: Callable[[Spent], None] = unspent

    @classmethod
    def open(cls, settings: RunSettings) -> Workshop:
        """Prepare the data (or find them prepared) and open the run's folder."""
        with bar("prepare") as line:
            store = prepare(settings.data, line.tell)
        appended = f"packed, {store.appended:,} of them appended," if store.segments > 1 else "packed"
        found = "found packed" if store.reused else appended
        counts = store.counts
        say(
            f"data: {counts.events:,} events, {counts.users:,} users, {counts.items:,} items {found} in {store.path}"
            + (f"; {counts.rejected:,} rows set aside in {store.rejected_file}" if counts.rejected else "")
        )
        _known_groups(settings.model, store)
        workshop = cls(settings, store)
        _ = workshop.former  # one that is not to be had is said now, not after pretraining
        return workshop

    @cached_property
    def key(self) -> str:
        """Names the run by what decides its results."""
        whole = dict.fromkeys(
            ("data", "work", "train", "registry", "report", "ab", "evaluate", "off_policy"), True
        )
        exclude: Any = {**whole, "search": dict.fromkeys(("max_failed", "concurrent", "trial"), True)}
        content = [
            source_digest(),
            self.store.fingerprint,
            self.settings.data.repeats,
            self.settings.model_dump(mode="json", exclude=exclude),
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @cached_property
    def folder(self) -> Path:
        return (Path(self.settings.work) / self.key).absolute()

    @cached_property
    def told(self) -> Path:
        """Where what is told of the run lies: runs that differ in metrics, gate or A/B test share all other work."""
        told = self.settings.model_dump(mode="json", include={"evaluate", "ab", "registry", "report"})
        return self.folder / f"told-{_digest(told)}"

    @cached_property
    def val(self) -> Stage:
        return self._stage("val")

    @cached_property
    def test(self) -> Stage:
        return self._stage("test")

    def _stage(self, name: StageName) -> Stage:
        return self._measured(Stage.of(self.store, self.settings.split, name, self.settings.data.repeats))

    def rolls(self, name: StageName) -> list[Stage]:
        """A stage for each cut of a rolling protocol; the first is fitted as the whole stage is."""
        stages = Stage.rolls(self.store, self.settings.split, name, self.settings.data.repeats)
        return [self._measured(stage) for stage in stages]

    def _measured(self, stage: Stage) -> Stage:
        """A stage that knows what metrics need of the configuration."""
        return replace(stage, half_life=self.settings.evaluate.half_life)

    # Fits

    def request(
        self,
        stage: StageName,
        models: list[ModelSettings],
        validated: Fits | None = None,
        later: tuple[int, Stage] | None = None,
    ) -> Fit:
        """One fit of all terms of some models on a stage's training data; what they share is fitted once.

        On the validation stage neural terms stop early on its queries. On the test stage, whose queries no fit ever
        sees, they train for as many epochs as `validated`, the fit of the validation stage, found best. So do they
        before a `later` cut of either stage: its number, and the stage that begins there.
        """
        place = f"{stage}-{later[0]}" if later else stage
        folder = self.folder / f"data-{place}"
        terms = _merged(models)
        epochs = {}
        if stage == "val" and not later:
            self.val.save_training(folder, self.val.queries)
        else:
            (later[1] if later else self.test).save_training(folder, None)
            for term in terms:
                curve = validated.curve(term) if validated else None
                if curve:
                    epochs[term.label] = curve.best_epoch
        dumped = [term.model_dump(mode="json") for term in terms]
        return Fit(
            log=str(self.store.path),
            vocabulary=self.store.counts.items,
            data=str(folder),
            out=str(self.folder / f"fit-{place}-{_digest([dumped, epochs])}"),
            terms=dumped,
            repeats=self.settings.data.repeats,
            seed=self.settings.seed,
            epochs=epochs,
        )

    def fit(self, requests: list[Fit], title: str) -> list[Fits]:
        """Run fits on one crew of Ray Train workers, or find them done."""
        todo = [request for request in requests if not Fits(Path(request.out)).whole]
        if not todo:
            say(f"{title}: found in {requests[0].out}")
            return [Fits(Path(request.out)) for request in requests]
        train = self.settings.train
        with bar(title) as line:
            if train.workers:
                cluster.connect()
                fits_the_cluster(train)
            resources = Resources(train.workers, train.gpu, train.max_failures, train.compute)

            def note(seen: dict[str, Any]) -> None:
                line.update(note=f"{seen['term']}: epoch {seen['epoch']}, loss {seen['loss']:.4f}")

            try:
                with watching(lambda: watch(todo, note)):
                    fitted = fit(requests, resources, self.spent)
            except RuntimeError as error:  # what a worker said
                raise IncompleteError(f"{title}: {' '.join(str(error).split())}") from error
        for each in fitted:
            for happened in each.notes:
                say(f"{title}: {happened}")
        return fitted

    def pretrain(self, models: list[ModelSettings] | None = None, *, tune: bool = False) -> Fits:
        """The terms of the configuration (or of these models), fitted before the validation cut.

        Args:
            models: the configuration's model and its control under `none` where left out.
            tune: also fine-tune each model's neural terms, where the configuration asks for it, by the same workers:
                starting those costs more than the fit, and fine-tuning needs nothing of a search.
        """
        models = models or [self.settings.model, self.settings.model.without_forgetting()]
        request = self.request("val", models)
        tuning = [self.tuning(request, model) for model in models] if tune and self.settings.finetune else []
        return self.fit([request, *tuning], "pretrain, fine-tune" if tuning else "pretrain")[0]

    def tuning(self, request: Fit, model: ModelSettings, epochs: dict[str, int] | None = None) -> Fit:
        """The fine-tuning of a model's terms from where a fit left them; for so many epochs in a refit.

        A model that forgets nothing weights all of the window alike."""
        settings = self.settings.finetune
        assert settings is not None
        if model == model.without_forgetting():
            settings = settings.model_copy(update={"forgetting": ForgettingSettings()})
        terms = [term for term in model.terms if settings.moves(term)]
        keys = [ENCODERS[term.kind].fit_key(term) for term in terms]
        digest = _digest([keys, settings.model_dump(mode="json"), epochs])
        return request.finetuned(settings, f"{request.out}-tuned-{digest}", terms, epochs or {})

    def tuned(self, fits: Fits, model: ModelSettings) -> Fits:
        """The fine-tuned terms of a model that `fits` serves, fitted now or found."""
        base = replace(self.request("val", [model]), out=str(fits.folder))
        return self.fit([self.tuning(base, model)], "fine-tune")[0]

    def serving(self, models: list[ModelSettings], fits: Fits) -> Fits:
        """The fits that have all neural terms of these models: those given, unless a search has changed a setting
        that their training depends on."""
        terms = [term for model in models for term in neural_terms(model)]
        if all(fits.state(term) is not None for term in terms):
            return fits
        return self.pretrain(models, tune=True)

    # Search

    def objective(self, fits: Fits) -> ValidationObjective:
        settings = self.settings
        return ValidationObjective(
            str(self.store.path),
            str(fits.folder),
            settings.split,
            settings.data.repeats,
            settings.metric,
            settings.seed,
            settings.search.scheduler if settings.search else None,
        )

    def search(self, fits: Fits, heard: TrialOver = unheard) -> tuple[SearchResult, SearchResult]:
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
                fits.solve(term, len(self.val.training.catalogue))
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
                    self.trials,
                    former=self.former,
                    progress=over,
                    heard=lambda place, outcome: heard(names[place], settings.trials, outcome),
                    spent=self.spent,
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
                former.check(self.objective(Fits(self.folder)).about())
            except Unlike as error:
                raise ConfigurationError(str(error)) from None
        return former

    @property
    def trials(self) -> Path:
        """Where the searches keep what is finished."""
        return self.folder / TRIALS

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

    # Fine-tuning

    def finetune(self, fits: Fits, model: ModelSettings) -> Finetuned | None:
        """Take the terms of a searched model further on the recent window; None where nothing asks for it."""
        settings = self.settings.finetune
        if settings is None:
            return None
        tuned = self.tuned(fits, model)
        metric = self.settings.metric
        before, after = (
            self.val.evaluate(self.assemble(self.val, model, fits, neural), (metric,), ()).values[metric]
            for neural in (None, tuned)
        )
        difference = evaluators.paired(after, before, self.val.users)
        epochs = {
            term.label: curve.best_epoch for term in neural_terms(model) if (curve := tuned.curve(term))
        }
        closed = [term for term in model.terms if settings.moves(term) and term.label not in epochs]
        moved = bool(closed) or any(epochs.values())
        kept = moved and difference.difference > 0
        if not moved:
            reason = "no epoch on the recent window bettered the likelihood on validation"
        else:
            reason = (
                f"{metric} on validation {'rose' if kept else 'did not rise'}: {difference.difference:+.4f}"
            )
        say(f"fine-tune: {'kept' if kept else 'not kept'}, {reason}")
        return Finetuned(kept, reason, epochs, difference)

    # The model for test

    def final(
        self, models: list[ModelSettings], fits: Fits, finetuned: Sequence[Finetuned | None] = ()
    ) -> list[Model]:
        """Chosen models fitted anew on everything before the test cut, for as many epochs as validation found best.

        Args:
            finetuned: by model, what validation said of its fine-tuning; those that it kept are fine-tuned again.
        """
        request = self.request("test", models, fits)
        tuning = {
            number: self.tuning(request, models[number], verdict.epochs)
            for number, verdict in enumerate(finetuned)
            if verdict and verdict.kept
        }
        refit, *tuned = self.fit([request, *tuning.values()], "refit for test")
        by_model = dict(zip(tuning, tuned, strict=True))
        return [
            self.assemble(self.test, model, refit, by_model.get(number))
            for number, model in enumerate(models)
        ]

    def assemble(self, stage: Stage, model: ModelSettings, fits: Fits, tuned: Fits | None = None) -> Model:
        """A model from its fitted terms: from `tuned` where that has them, from `fits` otherwise."""
        encoders = [
            fit_term(
                term,
                stage.training,
                tuned if tuned is not None and tuned.serves(term) else fits,
                repeats=self.settings.data.repeats,
                seed=self.settings.seed,
            )
            for term in model.terms
        ]
        return Model(model, encoders, len(stage.training.catalogue))

    def described(self, stage: StageName) -> Model:
        """The model that the configuration describes, fitted for a stage without a search and without fine-tuning."""
        model = self.settings.model
        if stage == "val":
            return self.assemble(self.val, model, self.pretrain([model]))
        validated = self.pretrain([model]) if neural_terms(model) else None
        return self.assemble(self.test, model, self.fit([self.request("test", [model], validated)], "fit")[0])


def _known_groups(model: ModelSettings, store: Store) -> None:
    """The groups that stretches are given for must be there: a name that is written wrong would change nothing."""
    for term in model.terms:
        try:
            named(term.forgetting, store.log)
        except ValueError as error:
            raise ConfigurationError(f"The term {term.label!r}: {error}") from None


def fits_the_cluster(train: TrainSettings) -> None:
    """Ray waits without end for workers that it has no room for; where no autoscaler can make any, say so."""
    kind = "GPU" if train.gpu else "CPU"
    room = cluster.processors(kind)
    if not os.environ.get("RAY_ADDRESS") and train.fewest > room:
        raise ConfigurationError(
            f"`train.workers` must be at most {room}, the {kind}s of this machine, but got {train.fewest}; set "
            "RAY_ADDRESS to use a larger cluster."
        )


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


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


def _merged(models: list[ModelSettings]) -> list[TermSettings]:
    """The terms of all models, those that one fit serves only once, under labels that differ."""
    merged: dict[str, TermSettings] = {}
    labels: set[str] = set()
    for model in models:
        for term in model.terms:
            encoder = ENCODERS[term.kind]
            served = (
                encoder.statistics_key(term) if issubclass(encoder, ClosedForm) else encoder.fit_key(term)
            )
            key = json.dumps([term.kind, served], sort_keys=True)
            if key not in merged:
                label, number = term.label, 1
                while label in labels:
                    number += 1
                    label = f"{term.label}-{number}"
                labels.add(label)
                merged[key] = term.model_copy(update={"name": label, "weight": 1.0})
    return list(merged.values())
