"""A model with a search space around it, and points of the space, for the tests of spaces."""

from __future__ import annotations

from typing import Any

import optuna

from trainers.model import ModelSettings
from trainers.search.curve_space import Params
from trainers.search.space import Space

MODEL = ModelSettings.model_validate(
    {
        "terms": [
            {"kind": "own", "weights": True},
            {"kind": "linear", "l2": 10.0},
            {"kind": "trend", "name": "recent", "weight": 0.1},
            {"kind": "mlp", "dim": 16},
        ]
    }
)


def space(values: dict[str, Any]) -> Space:
    return Space.model_validate(values)


def suggested(values: Space, count: int = 40) -> list[Params]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [values.suggest(study.ask()) for _ in range(count)]
