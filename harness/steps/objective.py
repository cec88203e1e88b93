"""What a search maximises: a metric on the validation queries. It has no way to the test queries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import source_digest
from harness.data import open_store
from harness.splits import SplitSettings
from harness.stage import Stage
from harness.steps.trials import Judge
from trainers.fitting.fits import Fits
from trainers.search import objective
from trainers.search.settings import Scheduler
from trainers.storage.place import last_name


@dataclass(frozen=True)
class ValidationObjective:
    """Fits a model on the validation stage's training data and gives the metric of every validation query.

    Attributes:
        store: the packed store's folder, or its URI; its name, the digest of what it holds, is what counts.
        fits: the folder of the pretrained terms; what they serve is not fitted again.
        split, repeats: how the stage is made.
        metric: its name.
        seed: of the fits that a trial has to do itself.
        scheduler: where trials are looked at before they are whole, or none.
        rising: the labels of networks that each trial trains, though the pretrained ones may serve: those of a
            population, which go on from one another.
    """

    store: str
    fits: str
    split: SplitSettings
    repeats: bool
    metric: str
    seed: int
    scheduler: Scheduler | None = None
    rising: tuple[str, ...] = ()

    def about(self) -> dict[str, Any]:
        return {
            "data": last_name(self.store),
            "split": self.split.model_dump(mode="json"),
            "repeats": self.repeats,
            "metric": self.metric,
        }

    def key(self) -> str:
        scheduler = self.scheduler.model_dump(mode="json") if self.scheduler else None
        return json.dumps([source_digest(), self.about(), self.seed, scheduler, self.rising], sort_keys=True)

    def open(self) -> objective.Judge:
        stage = Stage.of(open_store(self.store), self.split, "val", self.repeats)
        judge = Judge(stage, Fits(Path(self.fits)), self.seed, self.scheduler, self.rising)
        return lambda settings, start=None: judge.steps(settings, self.metric, start)
