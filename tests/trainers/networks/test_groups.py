"""Networks in which groups of events remember longer than others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers import helpers
from tests.trainers.neural import BOTH, logits, neural
from trainers.curves.choices import SCOPES
from trainers.encoders import Neural
from trainers.forgetting import ForgettingSettings, build
from trainers.log import PackedLog, TrainingData
from trainers.sequences import Batch, Windows, by_user

FIXED = {**BOTH, "learn": False}
WEIGHING = ["mlp", "vae", "transformer"]
"""The kinds that weight a history event by event."""
ITEMS, TYPES = 9, 3


@pytest.fixture(scope="module")
def data() -> TrainingData:
    crowd = helpers.crowded()
    rng = np.random.default_rng(1)
    log = replace(
        crowd,
        types=rng.integers(0, TYPES, len(crowd.items)).astype(np.int16),
        category=(np.arange(ITEMS) % 4).astype(np.int32),
        names={"event_type": ["view", "cart", "buy"]},
    )
    return helpers.training(log, 15.0, validate=True)


def answered(encoder: Neural, data: TrainingData) -> torch.Tensor:
    """[Q, I] logits of the moments that validate, each window answered in one pass."""
    assert data.validation is not None
    scope = encoder.settings.forgetting.scope
    windows = Windows.of(by_user(data.validation), 20)
    index = np.arange(len(windows))
    return logits(encoder, Batch.of(windows, index, data.log, data.column, 20, scope=scope))


def scoped(kind: str, scope: str, factors: list[float] | None, **curve: Any) -> Neural:
    encoder = neural(kind, ITEMS, forgetting={**FIXED, "learn": True, **curve, "scope": scope})
    if factors is not None:
        encoder.module.set_stretch(torch.tensor(factors))
    return encoder


def groups_of(log: PackedLog, scope: str) -> int:
    return {"event_type": TYPES, "category": 4, "user": log.users}[scope]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("kind", WEIGHING)
def test_a_stretch_of_all_groups_stretches_the_curve(kind: str, scope: str, data: TrainingData) -> None:
    count = groups_of(data.log, scope)
    longer = build(ForgettingSettings.model_validate(FIXED)).stretched(3.0).to_dict()
    expected = answered(scoped(kind, "all", None, **longer), data)
    torch.testing.assert_close(answered(scoped(kind, scope, [3.0] * count), data), expected)
    assert not torch.allclose(answered(scoped(kind, scope, [1.0] * count), data), expected)


@pytest.mark.parametrize("kind", WEIGHING)
def test_each_user_has_the_curve_of_its_own(kind: str, data: TrainingData) -> None:
    assert data.validation is not None
    factors = [1.0] * data.log.users
    factors[3] = 5.0
    users = data.log.users_of(by_user(data.validation).begin)
    common, one = answered(scoped(kind, "user", None), data), answered(scoped(kind, "user", factors), data)
    differs = (common - one).abs().amax(1).numpy() > 1e-6
    assert (users[differs] == 3).all()
    assert differs.any()


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("kind", WEIGHING)
def test_histories_are_answered_as_windows_are(kind: str, scope: str, data: TrainingData) -> None:
    assert data.validation is not None
    count = groups_of(data.log, scope)
    encoder = scoped(kind, scope, np.geomspace(0.2, 6.0, count).tolist())
    one_by_one = encoder.score(helpers.histories_of(data, by_user(data.validation)))
    np.testing.assert_allclose(one_by_one, answered(encoder, data).numpy(), rtol=1e-4, atol=1e-5)


def test_a_group_that_is_not_known_has_the_common_curve(data: TrainingData) -> None:
    few = scoped("mlp", "user", [1.0] * 2)
    torch.testing.assert_close(answered(few, data), answered(scoped("mlp", "user", None), data))


def test_stretches_come_from_the_settings_or_from_the_log(data: TrainingData) -> None:
    named = scoped("vae", "event_type", None, stretch={"buy": 4.0}, learn=False)
    named.begin(data)
    assert named.module.stretch is not None
    assert named.module.stretch.tolist() == [1.0, 1.0, 4.0, 1.0]
    learned = scoped("vae", "event_type", None, learn=True)
    learned.begin(data, seed=1)
    assert learned.module.stretch is not None
    assert len(learned.module.stretch) == TYPES + 1
    assert learned.module.stretch[-1] == 1.0
    again = scoped("vae", "event_type", None, learn=True)
    again.load(learned.state())
    torch.testing.assert_close(answered(again, data), answered(learned, data))
