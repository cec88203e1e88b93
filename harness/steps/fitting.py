"""Fits of a run: which terms are fitted on what, by whom, and how their models are put together."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from harness.errors import ConfigurationError, IncompleteError
from harness.progress import bar, say, watching
from harness.settings import TrainSettings
from harness.stage import Stage, StageName
from harness.steps.run import Run, digest
from trainers import cluster
from trainers.encoders import ENCODERS, ClosedForm, TermSettings
from trainers.fitting.fits import Fits, fit_model
from trainers.fitting.handed import watch
from trainers.fitting.pretrain import Resources, fit
from trainers.fitting.request import Fit
from trainers.forgetting import ForgettingSettings
from trainers.model import Model, ModelSettings
from trainers.storage.place import Place


class Fitting:
    """Fits terms for the stages of a run, each fit once."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.settings = run.settings

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
        folder = self.run.folder / f"data-{place}"
        terms = _merged(models)
        epochs = {}
        if stage == "val" and not later:
            self.run.val.save_training(folder, self.run.val.queries)
        else:
            (later[1] if later else self.run.test).save_training(folder, None)
            for term in terms:
                curve = validated.curve(term) if validated else None
                if curve:
                    epochs[term.label] = curve.best_epoch
        dumped = [term.model_dump(mode="json") for term in terms]
        return Fit(
            log=self.run.store.where,
            vocabulary=self.run.store.counts.items,
            data=str(folder),
            out=str(self.run.folder / f"fit-{place}-{digest([dumped, epochs])}"),
            terms=dumped,
            repeats=self.settings.data.repeats,
            seed=self.settings.seed,
            epochs=epochs,
            through=self.through,
        )

    @property
    def through(self) -> str | None:
        """Where workers that share no disk with this process hand over what they make: beside a store by URI."""
        if self.run.store.uri is None or not self.settings.train.workers:
            return None
        return Place(self.settings.data.store).child(f".fits/{self.run.key}").uri

    def tuning(self, request: Fit, model: ModelSettings, epochs: dict[str, int] | None = None) -> Fit:
        """The fine-tuning of a model's terms from where a fit left them; for so many epochs in a refit.

        A model that forgets nothing weights all of the window alike."""
        settings = self.settings.finetune
        assert settings is not None
        if model == model.without_forgetting():
            settings = settings.model_copy(update={"forgetting": ForgettingSettings()})
        terms = [term for term in model.terms if settings.moves(term)]
        keys = [ENCODERS[term.kind].fit_key(term) for term in terms]
        named = digest([keys, settings.model_dump(mode="json"), epochs])
        return request.finetuned(settings, f"{request.out}-tuned-{named}", terms, epochs or {})

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
                    fitted = fit(requests, resources, self.run.spent)
            except RuntimeError as error:  # what a worker said
                raise IncompleteError(f"{title}: {' '.join(str(error).split())}") from error
        for each in fitted:
            for happened in each.notes:
                say(f"{title}: {happened}")
        return fitted

    def assemble(self, stage: Stage, model: ModelSettings, fits: Fits, tuned: Fits | None = None) -> Model:
        """A model from its fitted terms: from `tuned` where that has them, from `fits` otherwise."""
        found = [fits] if tuned is None else [tuned, fits]
        repeats, seed = self.settings.data.repeats, self.settings.seed
        return fit_model(model, stage.training, *found, repeats=repeats, seed=seed)


def fits_the_cluster(train: TrainSettings) -> None:
    """Ray waits without end for workers that it has no room for; where no autoscaler can make any, say so."""
    kind = "GPU" if train.gpu else "CPU"
    room = cluster.processors(kind)
    if not os.environ.get("RAY_ADDRESS") and train.fewest > room:
        raise ConfigurationError(
            f"`train.workers` must be at most {room}, the {kind}s of this machine, but got {train.fewest}; set "
            "RAY_ADDRESS to use a larger cluster."
        )


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
