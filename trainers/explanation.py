"""Why a model gives an item its score: an exact sum over terms, and over the events of the history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainers.encoders import TermSettings
from trainers.encoders.base import Encoder, Scores
from trainers.histories import Histories
from trainers.model import Model, centre_and_spread


@dataclass(frozen=True)
class Share:
    """What a term adds to the score of an item, after its `scale` and weight: Σ events + rest.

    Attributes:
        label: the term's.
        events: [E] what each event of the history adds; 0 for all where the term does not split over events.
        left: [E] what is left of each event for this item, R(age)·w.
        rest: what no event adds by itself: all of a `trend` or a network, and the mean that `standard` takes away.
    """

    label: str
    events: npt.NDArray[np.float64]
    left: npt.NDArray[np.float64]
    rest: float

    @property
    def total(self) -> float:
        return self.rest + float(self.events.sum())


def explain(model: Model, histories: Histories, columns: Sequence[int]) -> list[list[Share]]:
    """The shares of the terms of a weight above 0 in the score of each of `columns`, at the one moment of `histories`.

    Sums are taken in float64, so their totals add up to `Model.score` as near as its float32 is.

    >>> from trainers.encoders import Own
    >>> from trainers.model import ModelSettings
    >>> curve = {"family": "exponential", "half_life": 1}
    >>> settings = ModelSettings.model_validate({"terms": [{"kind": "own", "weight": 2, "forgetting": curve}]})
    >>> once = np.array([1.0]), np.array([0.0]), np.ones(1, np.float32), np.zeros(1, np.int64)
    >>> history = Histories(np.array([0, 1]), np.array([2], np.int32), *once, items=3)
    >>> [share] = explain(Model(settings, [Own(settings.terms[0], 3)], 3), history, [2])[0]
    >>> share.left.tolist(), share.events.tolist(), share.total
    ([0.5], [1.0], 1.0)
    """
    if len(histories) != 1:
        raise ValueError(f"one moment is explained at a time, but got {len(histories)}.")
    parts = [
        _shares(term, encoder, histories, columns)
        for term, encoder in zip(model.settings.terms, model.encoders, strict=True)
        if term.weight > 0
    ]
    return [list(shares) for shares in zip(*parts, strict=True)]


def _shares(
    term: TermSettings, encoder: Encoder, histories: Histories, columns: Sequence[int]
) -> list[Share]:
    scores: Scores = encoder.score(histories)
    centre, factor = 0.0, term.weight
    if term.scale == "standard":
        mean, spread = centre_and_spread(scores)
        centre, factor = float(mean[0, 0]), term.weight / float(spread[0, 0])
    shares = []
    for column in columns:
        split = encoder.split(histories, column, float(scores[0, column]))
        shares.append(Share(term.label, split.events * factor, split.left, (split.rest - centre) * factor))
    return shares
