"""What holds a score up: by hand, and that it sums to the score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.trainers import helpers
from tests.trainers.neural import OWN, neural
from trainers.encoders import ENCODERS, Linear, Neural
from trainers.explanation import explain
from trainers.histories import Histories
from trainers.log import DAY
from trainers.model import Model, ModelSettings

DAYS = {"family": "exponential", "half_life": 1.0}
LOG = helpers.packed([[(0.0, 0, 2.0), (1.0, 1), (2.0, 0, 3.0)]], 3)
MATRIX = np.array([[0.0, 0.5, -1.0], [0.25, 0.0, 2.0], [1.0, 1.0, 0.0]], np.float32)


def history(day: float = 3.0) -> Histories:
    return Histories.of(LOG, helpers.queries_of([(day * DAY, 0, 3, [])]), np.arange(3, dtype=np.int32), 3)


def model_of(*terms: dict[str, Any]) -> Model:
    settings = ModelSettings.model_validate({"terms": terms})
    encoders = [ENCODERS[term.kind](term, 3) for term in settings.terms]
    for encoder in encoders:
        if isinstance(encoder, Linear):
            encoder.load({"matrix": MATRIX})
        elif encoder.kind == "trend":
            encoder.load({"popularity": np.array([1.0, 0.5, 0.25])})
    return Model(settings, encoders, 3)


def test_by_hand() -> None:
    """Ages of 3, 2 and 1 days leave 1/8, 1/4 and 1/2; weights of 2 and 3 count for `own` alone."""
    model = model_of(
        {"kind": "own", "weight": 2.0, "weights": True, "forgetting": DAYS},
        {"kind": "linear", "weight": 10.0, "forgetting": DAYS},
        {"kind": "trend", "weight": 4.0},
        {"kind": "trend", "name": "unused", "weight": 0.0},
    )
    first, second = explain(model, history(), [0, 1])
    own, linear, trend = first
    assert [share.label for share in first] == ["own", "linear", "trend"]
    assert own.left.tolist() == pytest.approx([0.25, 0, 1.5])
    assert own.events.tolist() == pytest.approx([0.5, 0, 3.0])
    assert linear.left.tolist() == pytest.approx([0.125, 0.25, 0.5])
    assert linear.events.tolist() == pytest.approx([0, 0.625, 0])
    assert [share.rest for share in first] == [0, 0, 4.0]
    assert trend.events.tolist() == [0, 0, 0]
    assert [share.total for share in second] == pytest.approx([0.5, 10 * 0.5 * (0.125 + 0.5), 2.0])


def test_a_standardised_term_has_its_mean_as_rest() -> None:
    """Scores 5/8, 1/4, 0: mean 7/24; a term that says nothing of the history is not divided by 0."""
    model = model_of({"kind": "own", "weight": 3.0, "scale": "standard", "forgetting": DAYS})
    raw = np.array([0.625, 0.25, 0.0])
    for column, [share] in enumerate(explain(model, history(), [0, 1, 2])):
        assert share.events.sum() == pytest.approx(3 * raw[column] / raw.std(), rel=1e-12)
        assert share.rest == pytest.approx(-3 * raw.mean() / raw.std(), rel=1e-12)
        assert share.total == pytest.approx(model.score(history())[0, column], rel=1e-6)
    nobody = Histories.of(LOG, helpers.queries_of([(0.0, 0, 0, [])]), np.arange(3, dtype=np.int32), 3)
    assert explain(model, nobody, [1])[0][0].total == 0


@pytest.mark.parametrize("kind", ["recurrent", "transformer", "gru"])
def test_learned_retention_is_shared_out_by_what_is_left(kind: str) -> None:
    """gain · log1p(Σ left), each event by its part; what was too long ago to be read adds nothing."""
    encoder = neural(kind, 3, own=OWN, max_history=2)
    assert isinstance(encoder, Neural)
    assert encoder.module.own is not None
    model = Model(ModelSettings(terms=(encoder.settings,)), [encoder], 3)
    [[share]] = explain(model, history(), [0])
    assert share.left[0] == share.left[1] == 0 < share.left[2]
    gain = encoder.module.own.gain.item()
    assert share.events[2] == pytest.approx(gain * np.log1p(share.left[2]), rel=1e-6)
    assert share.total == pytest.approx(model.score(history())[0, 0], rel=1e-12)
    longer = neural(kind, 3, own=OWN)
    [[both]] = explain(Model(model.settings, [longer], 3), history(), [0])
    assert (both.left > 0).tolist() == [True, False, True]
    assert both.events[0] / both.events[2] == pytest.approx(both.left[0] / both.left[2])
    assert both.events.sum() == pytest.approx(gain * np.log1p(both.left.sum()), rel=1e-6)


def test_one_moment_at_a_time() -> None:
    two = Histories.of(
        LOG, helpers.queries_of([(DAY, 0, 1, []), (DAY, 0, 1, [])]), np.arange(3, dtype=np.int32), 3
    )
    with pytest.raises(ValueError, match="one moment is explained at a time, but got 2"):
        explain(model_of({"kind": "own"}), two, [0])
