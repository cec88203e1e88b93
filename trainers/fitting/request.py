"""What to fit, as plain data that travels to workers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from trainers.encoders import NeuralSettings
from trainers.encoders.base import EncoderSettings
from trainers.fitting.finetune import FinetuneSettings

PLACES = ("log", "data", "out", "start", "through")
"""The fields of a `Fit` that say where things lie, not what they are."""


@dataclass(frozen=True)
class Fit:
    """What to fit, as plain data that travels to workers. Folders must be reachable from every worker's machine,
    unless they go `through` object storage.

    Attributes:
        log, vocabulary: the packed log's folder, or its URI in object storage, and the size of its vocabulary.
        data: the folder of the `TrainingData`.
        out: the folder of the `Fits` to write.
        terms: the settings of the terms to fit.
        repeats: whether users take items again.
        seed: of the batches, the dropout and the first parameters.
        epochs: by label, neural terms that train for just so many epochs (a refit); others stop on validation.
        start: a folder of `Fits` to start from (fine-tuning), or none.
        window_days: only moments so many days before the end of training (fine-tuning), or all.
        passes: how often closed forms add the window's sums to those that they start from (fine-tuning).
        optimise: by label, other settings than the term's own (fine-tuning).
        through: the URI of a place through which the driver and the workers hand each other `data`, `start` and `out`,
            where they share no disk.
    """

    log: str
    vocabulary: int
    data: str
    out: str
    terms: list[dict[str, Any]]
    repeats: bool
    seed: int = 0
    epochs: dict[str, int] = field(default_factory=dict)
    start: str | None = None
    window_days: float | None = None
    passes: float = 0.0
    optimise: dict[str, dict[str, Any]] = field(default_factory=dict)
    through: str | None = None

    def name(self) -> str:
        """The same for the same fit: Ray Train finds an interrupted one's checkpoints by it."""
        return "fit-" + hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def finetuned(
        self, settings: FinetuneSettings, out: str, terms: Sequence[EncoderSettings], epochs: dict[str, int]
    ) -> Fit:
        """The fit that takes terms further from where this one left them, on the recent window.

        Args:
            out: the folder of its `Fits`.
            terms: what to fine-tune.
            epochs: by label, just so many epochs (a refit); empty to stop on validation.
        """
        optimise = settings.model_dump(mode="json", exclude={"window_days", "passes"})
        return replace(
            self,
            out=out,
            terms=[term.model_dump(mode="json") for term in terms],
            start=self.out,
            window_days=settings.window_days,
            passes=settings.passes,
            epochs=epochs,
            optimise={term.label: optimise for term in terms if isinstance(term, NeuralSettings)},
        )
