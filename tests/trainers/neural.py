"""Small neural terms of every kind, for the tests that hold for all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.trainers import helpers
from trainers.encoders import ENCODERS, Neural
from trainers.histories import Histories
from trainers.log import PackedLog, Queries, TrainingData
from trainers.model import ModelSettings
from trainers.sequences import Batch, Windows, by_user

POWER: dict[str, Any] = {"family": "power", "tau": 3.0, "exponent": 0.7}
BOTH: dict[str, Any] = {
    **POWER,
    "clock": "both",
    "moments": {"family": "exponential", "half_life": 8.0},
    "learn": True,
}
OWN: dict[str, Any] = {"age": True, "rank": True, "calendar": True, "renewal": True}
SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": 20, "forgetting": BOTH, "weights": True},
    "gru": {"forgetting": BOTH},
    "lstm": {"forgetting": BOTH},
    "vae": {"hidden": 6, "forgetting": BOTH},
    "transformer": {"heads": 2, "blocks": 2, "forgetting": {**BOTH, "scope": "head"}},
    "recurrent": {"hidden": 6},
}
"""Each with a curve on both clocks."""

NEURAL = [kind for kind, encoder in ENCODERS.items() if issubclass(encoder, Neural)]


def neural(kind: str, items: int, *, seed: int = 0, stirred: bool = True, **changes: Any) -> Neural:
    """A small term; `stirred`: every parameter is moved away from where it begins, which may be zero."""
    torch.manual_seed(seed)
    values = {"kind": kind, "dim": 4, "dropout": 0.0, **SMALL[kind], **changes}
    encoder = ENCODERS[kind](ModelSettings.model_validate({"terms": [values]}).terms[0], items)
    assert isinstance(encoder, Neural)
    if stirred:
        with torch.no_grad():
            for parameter in encoder.module.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
            if encoder.module.own is not None:
                encoder.module.own.log_interval += torch.linspace(-1.0, 2.0, items)
    encoder.module.eval()
    return encoder


def whole(log: PackedLog, queries: Queries, column: Any, most: int, *, repeats: bool = True) -> Batch:
    """All windows of the queries, sorted by user and time, in one batch."""
    windows = Windows.of(queries, most)
    return Batch.of(windows, np.arange(len(windows)), log, column, most, repeats=repeats)


def logits(encoder: Neural, batch: Batch) -> torch.Tensor:
    """[R, I] in the order of the batch's rows."""
    with torch.no_grad():
        answered: torch.Tensor = encoder.module(batch).logits()
    return answered


def all_moments(data: TrainingData) -> Queries:
    """Each user's first, which has no history, those of training and those that validate, sorted by user and time."""
    assert data.validation is not None
    begins = data.log.offsets[:-1][np.diff(data.log.offsets) > 0].tolist()
    first = helpers.queries_of([(float(data.log.times[row]), row, row, [0]) for row in begins])
    both = [first, data.moments(), data.validation]
    lengths = np.concatenate([np.diff(queries.target_offsets) for queries in both])
    return by_user(
        Queries(
            np.concatenate([queries.time for queries in both]),
            np.concatenate([queries.begin for queries in both]),
            np.concatenate([queries.end for queries in both]),
            np.concatenate(([0], np.cumsum(lengths))),
            np.concatenate([queries.targets for queries in both]),
        )
    )


def scored(encoder: Neural, log: PackedLog, queries: Queries, column: Any) -> torch.Tensor:
    """[Q, I] what the encoder says of each query's history alone."""
    return torch.from_numpy(encoder.score(Histories.of(log, queries, column, encoder.items)))
