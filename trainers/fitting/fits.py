"""Fitted terms on disk: what a fit writes, and a search or a refit takes up again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from trainers.encoders import ENCODERS, ClosedForm, Encoder, Neural, NeuralSettings, Statistics, TermSettings
from trainers.encoders.base import EncoderSettings
from trainers.log import TrainingData
from trainers.model import Model, ModelSettings, term_file
from trainers.training.curve import Curve

FIT_FILE = "fit.json"
NOTES_FILE = "notes.txt"


@dataclass(frozen=True)
class Fits:
    """A folder of fitted terms: `fit.json`, a state for each neural term, sums for each closed form.

    Sums are kept instead of solutions, since a search solves them anew for every λ.
    """

    folder: Path

    def write(self, terms: list[tuple[TermSettings, Statistics | Encoder, Curve | None]]) -> None:
        """Write the terms; a folder without `fit.json`, which comes last, was not written whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        entries = []
        for settings, fitted, curve in terms:
            arrays = fitted.state() if isinstance(fitted, Encoder) else fitted
            if arrays:
                save_file(
                    {k: np.ascontiguousarray(v) for k, v in arrays.items()},
                    term_file(self.folder, settings.label),
                )
            entries.append(
                {"term": settings.model_dump(mode="json"), "curve": curve.to_dict() if curve else None}
            )
        (self.folder / FIT_FILE).write_text(json.dumps(entries, indent=2))

    @property
    def whole(self) -> bool:
        return (self.folder / FIT_FILE).exists()

    @property
    def notes(self) -> list[str]:
        """What happened on the way: where a fit was taken up again, and which checkpoints were broken."""
        file = self.folder / NOTES_FILE
        return file.read_text().splitlines() if file.exists() else []

    def entries(self) -> list[tuple[TermSettings, Curve | None]]:
        """The terms that were fitted, with the training curves of the neural ones."""
        read = []
        for entry in json.loads((self.folder / FIT_FILE).read_text()):
            settings = ModelSettings.model_validate({"terms": [{**entry["term"], "weight": 1.0}]}).terms[0]
            read.append((settings, Curve(**entry["curve"]) if entry["curve"] else None))
        return read

    def statistics(self, term: TermSettings) -> Statistics | None:
        """The sums that serve this closed-form term, if they are here."""
        encoder = ENCODERS[term.kind]
        assert issubclass(encoder, ClosedForm)
        return self._arrays(self._label(term, encoder.statistics_key))

    def serves(self, term: TermSettings | NeuralSettings) -> bool:
        """Whether this term was fitted here, or sums that it can be solved from are here."""
        encoder = ENCODERS[term.kind]
        key = encoder.statistics_key if issubclass(encoder, ClosedForm) else encoder.fit_key
        return self._label(term, key) is not None

    def state(self, term: TermSettings | NeuralSettings) -> dict[str, Any] | None:
        """The parameters of this neural term, if it was fitted here with the same settings."""
        return self._arrays(self._label(term, ENCODERS[term.kind].fit_key))

    def solved(self, term: TermSettings) -> Path:
        """Where `solve` leaves the solution of a closed-form term, for many processes to map."""
        key = json.dumps(ENCODERS[term.kind].fit_key(term), sort_keys=True)
        return self.folder / "solved" / hashlib.sha256(key.encode()).hexdigest()[:16]

    def solve(self, term: TermSettings, items: int) -> None:
        """Solve a closed-form term once for everybody, from the sums that are here; a second call does nothing."""
        target = self.solved(term)
        statistics = self.statistics(term)
        if statistics is None or target.exists():
            return
        encoder = ENCODERS[term.kind](term, items)
        assert isinstance(encoder, ClosedForm)
        encoder.solve(statistics)
        partial = target.with_name(f"{target.name}.{os.getpid()}.part")
        partial.mkdir(parents=True, exist_ok=True)
        for name, array in encoder.state().items():
            np.save(partial / f"{name}.npy", array)
        try:
            os.replace(partial, target)
        except OSError:
            if not target.exists():
                raise
            shutil.rmtree(partial)  # another process was faster with the same solution

    def curve(self, term: EncoderSettings) -> Curve | None:
        """The training curve of this neural term, if it was fitted here with the same settings."""
        key = ENCODERS[term.kind].fit_key(term)
        return next(
            (
                curve
                for settings, curve in self.entries()
                if curve and ENCODERS[settings.kind].fit_key(settings) == key
            ),
            None,
        )

    def _label(self, term: EncoderSettings, key: Callable[[Any], dict[str, Any]]) -> str | None:
        """What a term of the same kind is called here whose settings agree in `key`, if there is one."""
        same = (settings for settings, _ in self.entries() if settings.kind == term.kind)
        return next((settings.label for settings in same if key(settings) == key(term)), None)

    def _arrays(self, label: str | None) -> dict[str, Any] | None:
        if label is None:
            return None
        file = term_file(self.folder, label)
        return load_file(file) if file.exists() else {}


def fit_term(
    term: TermSettings, data: TrainingData, fits: Fits | None = None, *, repeats: bool, seed: int = 0
) -> Encoder:
    """One fitted term, in this process: from `fits` where they serve it, from `data` otherwise."""
    if not issubclass(ENCODERS[term.kind], ClosedForm):
        state = fits.state(term) if fits else None
        if state is None:
            return fit_neural(term, data, repeats=repeats, seed=seed)[0]
        found = ENCODERS[term.kind](term, len(data.catalogue))
        found.load(state)
        return found
    encoder = ENCODERS[term.kind](term, len(data.catalogue))
    assert isinstance(encoder, ClosedForm)
    if fits and fits.solved(term).exists():
        encoder.load({file.stem: np.load(file, mmap_mode="r") for file in fits.solved(term).glob("*.npy")})
        return encoder
    statistics = fits.statistics(term) if fits else None
    if statistics is None:
        encoder.prepare(data, repeats=repeats, seed=seed)
        statistics = encoder.statistics(data, slice(0, data.log.users))
    encoder.solve(statistics)
    return encoder


def fit_neural(
    term: TermSettings, data: TrainingData, *, repeats: bool, seed: int = 0, epochs: int | None = None
) -> tuple[Neural, Curve]:
    """A neural term trained in this process, and its training; for just so many epochs where they are given."""
    import torch  # here: a search of closed forms does not wait for it

    from trainers.training.loop import optimise

    torch.manual_seed(seed)  # of the first parameters, which the constructor draws
    encoder = ENCODERS[term.kind](term, len(data.catalogue))
    assert isinstance(encoder, Neural)
    encoder.begin(data, repeats=repeats, seed=seed)
    training = encoder.settings.training
    curve = optimise(encoder, data, data.moments(), training, repeats=repeats, seed=seed, epochs=epochs)
    return encoder, curve


def fit_model(
    settings: ModelSettings, data: TrainingData, *fits: Fits, repeats: bool, seed: int = 0
) -> Model:
    """A fitted model, in this process: each term from the first of `fits` that serves it, from `data` otherwise."""
    first = [next((each for each in fits if each.serves(term)), None) for term in settings.terms]
    encoders = [
        fit_term(term, data, found, repeats=repeats, seed=seed)
        for term, found in zip(settings.terms, first, strict=True)
    ]
    return Model(settings, encoders, len(data.catalogue))
