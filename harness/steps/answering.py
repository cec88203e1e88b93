"""Models that share terms, asked a stage: what two of them have in common is scored once."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.stage import Stage
from trainers.encoders import ENCODERS, Encoder, TermSettings
from trainers.encoders.base import Scores
from trainers.model import ModelSettings, scaled

WHOLE = -1  # the part that is all of the stage, its queries in their order
KEPT_SCORES = 160_000_000  # bytes of term scores a worker keeps


class KeptScores:
    """Scores of terms by term, part and first query: as many as there is room for, the latest asked for."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[str, int, int], Scores] = OrderedDict()

    @property
    def nbytes(self) -> int:
        return sum(scores.nbytes for scores in self._held.values())

    def get(self, key: tuple[str, int, int]) -> Scores | None:
        if key in self._held:
            self._held.move_to_end(key)
        return self._held.get(key)

    def keep(self, key: tuple[str, int, int], scores: Scores) -> None:
        self._held[key] = scores
        while self.nbytes > KEPT_SCORES:
            self._held.popitem(last=False)


@dataclass(frozen=True)
class Answering:
    """One model under judgement, in one part of a stage.

    Attributes:
        part: its number, by which what closed forms score is kept; `WHOLE` where the stage is not in parts.
        encoders: what was fitted for this model, by `scored_as`.
        passing: whose encoders change from rung to rung: their scores are not kept.
        fit: fits a term that is not among the encoders.
    """

    stage: Stage
    part: int
    settings: ModelSettings
    encoders: dict[str, Encoder]
    passing: frozenset[str]
    fit: Callable[[TermSettings], Encoder]
    kept: KeptScores

    def values(self, metric: str) -> npt.NDArray[np.float64]:
        """[·] the metric of every query of the part."""
        return self.stage.evaluate(self, (metric,), ()).values[metric]

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
        name = scored_as(term)
        key = (name, self.part, index.start)
        known = self.kept.get(key)
        if known is not None:
            return known
        if name not in self.encoders:
            self.encoders[name] = self.fit(term)
        scores = scaled(term, self.encoders[name].score(self.stage.histories(index)))
        if name not in self.passing:
            self.kept.keep(key, scores)
        return scores


def scored_as(term: TermSettings) -> str:
    """Names what a term scores: its fit, the forgetting of its profile, its scale."""
    profile = term.model_dump(mode="json", include={"forgetting", "scale", "weights"})
    return json.dumps([ENCODERS[term.kind].fit_key(term), profile], sort_keys=True)
