"""What a search maximises: a metric on the validation queries. It has no way to the test queries."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness import source_digest
from harness.data import open_store
from harness.splits import SplitSettings
from harness.stage import Stage
from trainers.encoders import ENCODERS, Encoder, TermSettings
from trainers.encoders.base import Scores
from trainers.fits import Fits, fit_term
from trainers.model import ModelSettings, scaled

KEPT_SCORES = 160_000_000  # bytes of term scores a worker keeps


@dataclass(frozen=True)
class ValidationObjective:
    """Fits a model on the validation stage's training data and gives the metric of every validation query.

    Attributes:
        store: the packed store's folder.
        fits: the folder of the pretrained terms; what they serve is not fitted again.
        split, repeats: how the stage is made.
        metric: its name.
        seed: of the fits that a trial has to do itself.
    """

    store: str
    fits: str
    split: SplitSettings
    repeats: bool
    metric: str
    seed: int

    def key(self) -> str:
        fingerprint = Path(self.store).name
        return json.dumps(
            [
                source_digest(),
                fingerprint,
                self.split.model_dump(mode="json"),
                self.repeats,
                self.metric,
                self.seed,
            ]
        )

    def open(self) -> Callable[[ModelSettings], npt.NDArray[np.float64]]:
        stage = Stage.of(open_store(self.store), self.split, "val", self.repeats)
        judge = Judge(stage, Fits(Path(self.fits)), self.seed)
        return lambda settings: judge.values(settings, self.metric)


class Judge:
    """Judges models that share terms: what two of them have in common is scored once."""

    def __init__(self, stage: Stage, fits: Fits, seed: int) -> None:
        self.stage, self.fits, self.seed = stage, fits, seed
        # A trial that trains a term stops early on the very queries that it is judged on, as pretraining does.
        self.data = replace(stage.training, validation=stage.queries)
        self.scores: OrderedDict[tuple[str, int], Scores] = OrderedDict()

    def values(self, settings: ModelSettings, metric: str) -> npt.NDArray[np.float64]:
        """[Q] the metric of every query of the stage."""
        return self.stage.evaluate(_Answering(self, settings), (metric,), ()).values[metric]

    def fit(self, term: TermSettings) -> Encoder:
        return fit_term(term, self.data, self.fits, repeats=self.stage.repeats, seed=self.seed)

    def keep(self, key: tuple[str, int], scores: Scores) -> None:
        self.scores[key] = scores
        while sum(held.nbytes for held in self.scores.values()) > KEPT_SCORES:
            self.scores.popitem(last=False)


@dataclass(frozen=True)
class _Answering:
    """One model under judgement."""

    judge: Judge
    settings: ModelSettings
    encoders: dict[str, Encoder] = field(default_factory=dict)

    def score(self, index: slice) -> npt.NDArray[np.float64]:
        total: npt.NDArray[np.float64] | None = None
        for term in self.settings.terms:
            if term.weight > 0:
                part = term.weight * self._term(term, index).astype(np.float64)
                total = part if total is None else np.add(total, part, out=total)
        assert total is not None  # a model has a term of positive weight
        return total

    def _term(self, term: TermSettings, index: slice) -> Scores:
        """The term's scaled scores of a block of queries."""
        key = (_key(term), index.start)
        if key in self.judge.scores:
            self.judge.scores.move_to_end(key)
            return self.judge.scores[key]
        if key[0] not in self.encoders:
            self.encoders[key[0]] = self.judge.fit(term)
        scores = scaled(term, self.encoders[key[0]].score(self.judge.stage.histories(index)))
        self.judge.keep(key, scores)
        return scores


def _key(term: TermSettings) -> str:
    """Names what a term scores: its fit, the forgetting of its profile, its scale."""
    profile = term.model_dump(mode="json", include={"forgetting", "scale", "weights"})
    return json.dumps([ENCODERS[term.kind].fit_key(term), profile], sort_keys=True)
