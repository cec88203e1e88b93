"""A model: the weighted sum of its terms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from safetensors.numpy import save_file

from trainers.encoders import ENCODERS, Encoder, TermSettings
from trainers.encoders.base import Scores
from trainers.histories import Histories
from trainers.storage.saved import parsed, plain, tensors

MODEL_FILE = "model.json"
FORMAT = 1


class ModelSettings(BaseModel):
    """`{terms: [{kind: own, …}, {kind: linear, …}]}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    terms: tuple[Annotated[TermSettings, Field(discriminator="kind")], ...] = Field(min_length=1)

    @field_validator("terms")
    @classmethod
    def _labels_differ(cls, terms: tuple[TermSettings, ...]) -> tuple[TermSettings, ...]:
        labels = [term.label for term in terms]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(
                    f"terms must have different names, but {labels.count(label)} are called {label!r}; give `name`."
                )
        if not any(term.weight > 0 for term in terms):
            raise ValueError("at least one term must have a weight above 0.")
        return terms

    def without_forgetting(self) -> ModelSettings:
        """The same model under `none`: every term remembers everything, in its profile and in its loss."""
        return ModelSettings(terms=tuple(term.without_forgetting() for term in self.terms))


@dataclass(frozen=True)
class Model:
    """Fitted encoders in the order of the settings' terms, over a catalogue of `items` columns."""

    settings: ModelSettings
    encoders: Sequence[Encoder]
    items: int

    def score(self, histories: Histories) -> npt.NDArray[np.float64]:
        """[Q, I] Σ weight · scale(score) over the terms. In float64: a term of weight 1e-9 must still break ties."""
        total = np.zeros((len(histories), self.items))
        for term, scores in self.term_scores(histories):
            total += np.multiply(scores, term.weight, dtype=np.float64)
        return total

    def term_scores(self, histories: Histories) -> list[tuple[TermSettings, Scores]]:
        """Each term's scores [Q, I] after its `scale`, before its weight."""
        return [
            (term, scaled(term, encoder.score(histories)))
            for term, encoder in zip(self.settings.terms, self.encoders, strict=True)
            if term.weight > 0
        ]

    def save(self, folder: Path) -> None:
        """Write `model.json` and a safetensors file for each term that learned something."""
        folder.mkdir(parents=True, exist_ok=True)
        for term, encoder in zip(self.settings.terms, self.encoders, strict=True):
            if state := encoder.state():
                save_file(
                    {name: np.ascontiguousarray(a) for name, a in state.items()},
                    term_file(folder, term.label),
                )
        text = {"format": FORMAT, "items": self.items, **self.settings.model_dump(mode="json")}
        (folder / MODEL_FILE).write_text(json.dumps(text, indent=2))

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Read what `save` wrote; ValueError where it is of another format, damaged, or not that."""
        plain(folder)
        text: dict[str, Any] = parsed(folder / MODEL_FILE)
        if text.pop("format", None) != FORMAT:
            raise ValueError(
                f"{folder / MODEL_FILE} must be of format {FORMAT}; write it anew with this version."
            )
        items = text.pop("items")
        try:
            settings = ModelSettings.model_validate(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ValueError(
                f"{folder / MODEL_FILE} must describe a model, but `{place}` does not: {first['msg']}."
            ) from None
        encoders = []
        for term in settings.terms:
            encoder = ENCODERS[term.kind](term, items)
            file = term_file(folder, term.label)
            encoder.load(tensors(file) if file.exists() else {})
            encoders.append(encoder)
        return cls(settings, encoders, items)


def term_file(folder: Path, label: str) -> Path:
    """Where the state of the term with this label lies."""
    return folder / f"{label}.safetensors"


def scaled(term: TermSettings, scores: Scores) -> Scores:
    """The scores after the term's `scale`."""
    if term.scale == "raw":
        return scores
    centre, spread = centre_and_spread(scores)
    standard: Scores = ((scores - centre) / spread).astype(np.float32)
    return standard


def centre_and_spread(scores: Scores) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """[Q, 1] the mean of each query's scores over the catalogue, and their deviation, which is never 0."""
    spread = scores.std(1, keepdims=True, dtype=np.float64)
    return scores.mean(1, keepdims=True, dtype=np.float64), np.maximum(spread, np.finfo(np.float32).tiny)
