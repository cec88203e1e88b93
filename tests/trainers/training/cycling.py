"""A small network, and how it is trained on a log that goes round and round."""

from __future__ import annotations

from typing import Any

import torch

from trainers.encoders.mlp import Mlp, MlpSettings
from trainers.forgetting import ForgettingSettings
from trainers.log import TrainingData
from trainers.training.curve import Curve
from trainers.training.loop import optimise
from trainers.training.optimise import OptimiseSettings

RECENT = ForgettingSettings(family="exponential", clock="moments", half_life=0.4)
OLD_FIRST = ForgettingSettings(family="exponential", half_life=1.5)


def encoder(items: int = 6, seed: int = 0, **settings: Any) -> Mlp:
    torch.manual_seed(seed)
    values: dict[str, Any] = {"dim": 8, "hidden": 12, "dropout": 0.0, "forgetting": RECENT, **settings}
    return Mlp(MlpSettings.model_validate(values), items)


def settings(**values: Any) -> OptimiseSettings:
    return OptimiseSettings.model_validate({"rate": 0.02, "batch": 32, "epochs": 4, **values})


def train(data: TrainingData, model: Mlp | None = None, *, repeats: bool = True, **values: Any) -> Curve:
    keys = ("seed", "epochs_fixed", "resume", "keep", "compute")
    rest = {key.removesuffix("_fixed"): values.pop(key) for key in keys if key in values}
    return optimise(model or encoder(), data, data.moments(), settings(**values), repeats=repeats, **rest)
