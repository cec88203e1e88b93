"""The steps of a run, in the words of the command line: a step that is done is found, not done again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import evaluators
from harness.data import Store, prepare
from harness.errors import ConfigurationError
from harness.progress import bar, say
from harness.settings import RunSettings
from harness.stage import StageName
from harness.steps.fitting import Fitting
from harness.steps.run import Run
from harness.steps.searching import Searching, TrialOver, unheard
from trainers.curves.learning import named
from trainers.fitting.finetune import neural_terms
from trainers.fitting.fits import Fits
from trainers.model import Model, ModelSettings
from trainers.search.outcome import SearchResult


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


class Workshop(Run):
    """A run, and what does its steps."""

    @classmethod
    def open(cls, settings: RunSettings) -> Workshop:
        """Prepare the data (or find them prepared) and open the run's folder."""
        with bar("prepare") as line:
            store = prepare(settings.data, line.tell)
        appended = f"packed, {store.appended:,} of them appended," if store.segments > 1 else "packed"
        found = "found packed" if store.reused else appended
        counts = store.counts
        say(
            f"data: {counts.events:,} events, {counts.users:,} users, {counts.items:,} items {found} in {store.where}"
            + (f"; {counts.rejected:,} rows set aside in {store.rejected_file}" if counts.rejected else "")
        )
        _known_groups(settings.model, store)
        workshop = cls(settings, store)
        _ = workshop.searching.former  # one that is not to be had is said now, not after pretraining
        return workshop

    @cached_property
    def fitting(self) -> Fitting:
        return Fitting(self)

    @cached_property
    def searching(self) -> Searching:
        return Searching(self)

    # Fits

    def pretrain(self, models: list[ModelSettings] | None = None, *, tune: bool = False) -> Fits:
        """The terms of the configuration (or of these models), fitted before the validation cut.

        Args:
            models: the configuration's model and its control under `none` where left out.
            tune: also fine-tune each model's neural terms, where the configuration asks for it, by the same workers:
                starting those costs more than the fit, and fine-tuning needs nothing of a search.
        """
        models = models or [self.settings.model, self.settings.model.without_forgetting()]
        request = self.fitting.request("val", models)
        tuned = models if tune and self.settings.finetune else []
        tuning = [self.fitting.tuning(request, model) for model in tuned]
        return self.fitting.fit([request, *tuning], "pretrain, fine-tune" if tuning else "pretrain")[0]

    def tuned(self, fits: Fits, model: ModelSettings) -> Fits:
        """The fine-tuned terms of a model that `fits` serves, fitted now or found."""
        base = replace(self.fitting.request("val", [model]), out=str(fits.folder))
        return self.fitting.fit([self.fitting.tuning(base, model)], "fine-tune")[0]

    def serving(self, models: list[ModelSettings], fits: Fits) -> Fits:
        """The fits that have all neural terms of these models: those given, unless a search has changed a setting
        that their training depends on."""
        terms = [term for model in models for term in neural_terms(model)]
        if all(map(fits.serves, terms)):
            return fits
        return self.pretrain(models, tune=True)

    # Search

    def search(self, fits: Fits, heard: TrialOver = unheard) -> tuple[SearchResult, SearchResult]:
        """Search the space, and with the same effort the same space under `none`; `heard` is told of every trial."""
        return self.searching.search(fits, heard)

    # Fine-tuning

    def finetune(self, fits: Fits, model: ModelSettings) -> Finetuned | None:
        """Take the terms of a searched model further on the recent window; None where nothing asks for it."""
        settings = self.settings.finetune
        if settings is None:
            return None
        tuned = self.tuned(fits, model)
        metric = self.settings.metric
        pair = [self.fitting.assemble(self.val, model, fits, neural) for neural in (None, tuned)]
        before, after = (self.val.evaluate(each, (metric,), ()).values[metric] for each in pair)
        difference = evaluators.difference(after, before, self.val.users, self.settings.evaluate.how)
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
        request = self.fitting.request("test", models, fits)
        tuning = {
            number: self.fitting.tuning(request, models[number], verdict.epochs)
            for number, verdict in enumerate(finetuned)
            if verdict and verdict.kept
        }
        refit, *tuned = self.fitting.fit([request, *tuning.values()], "refit for test")
        by_model = dict(zip(tuning, tuned, strict=True))
        return [
            self.fitting.assemble(self.test, model, refit, by_model.get(number))
            for number, model in enumerate(models)
        ]

    def described(self, stage: StageName) -> Model:
        """The model that the configuration describes, fitted for a stage without a search and without fine-tuning."""
        model = self.settings.model
        if stage == "val":
            return self.fitting.assemble(self.val, model, self.pretrain([model]))
        validated = self.pretrain([model]) if neural_terms(model) else None
        [fits] = self.fitting.fit([self.fitting.request("test", [model], validated)], "fit")
        return self.fitting.assemble(self.test, model, fits)


def _known_groups(model: ModelSettings, store: Store) -> None:
    """The groups that stretches are given for must be there: a name that is written wrong would change nothing."""
    for term in model.terms:
        try:
            named(term.forgetting, store.log)
        except ValueError as error:
            raise ConfigurationError(f"The term {term.label!r}: {error}") from None
