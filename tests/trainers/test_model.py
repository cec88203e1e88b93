"""A model: the weighted sum of its terms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from trainers.encoders.own import Own, OwnSettings
from trainers.encoders.trend import Trend, TrendSettings
from trainers.fitting.fits import fit_model
from trainers.histories import Histories
from trainers.log import TrainingData
from trainers.model import Model, ModelSettings, scaled

MLP = {"kind": "mlp", "dim": 4, "hidden": 5, "training": {"epochs": 1, "batch": 16}}
ALL: list[dict[str, Any]] = [
    {"kind": "trend", "weight": 0.3, "forgetting": {"family": "exponential", "half_life": 5}},
    {
        "kind": "own",
        "weight": 1.5,
        "scale": "standard",
        "forgetting": {"family": "power", "tau": 2, "exponent": 1},
    },
    {"kind": "linear", "l2": 3.0, "forgetting": {"family": "geometric", "clock": "moments", "rate": 0.8}},
    {"kind": "linear", "name": "next", "variant": "next", "l2": 1.0},
    MLP,
]


def settings(*terms: dict[str, Any]) -> ModelSettings:
    return ModelSettings.model_validate({"terms": terms})


@pytest.fixture(scope="module")
def model(data: TrainingData) -> Model:
    return fit_model(settings(*ALL), data, repeats=True)


def test_the_score_is_the_weighted_sum_of_the_terms(model: Model, histories: Histories) -> None:
    parts = model.term_scores(histories)
    assert [term.label for term, _ in parts] == ["trend", "own", "linear", "next", "mlp"]
    expected = sum(term.weight * part.astype(np.float64) for term, part in parts)
    np.testing.assert_allclose(model.score(histories), expected, rtol=1e-6)
    for (_, part), encoder in zip(parts[2:4], model.encoders[2:4], strict=True):
        assert np.array_equal(part, encoder.score(histories))


def test_a_term_of_weight_nothing_is_left_out(data: TrainingData, histories: Histories) -> None:
    without = fit_model(settings({"kind": "own"}, {"kind": "trend", "weight": 0}), data, repeats=True)
    assert [term.label for term, _ in without.term_scores(histories)] == ["own"]
    alone = fit_model(settings({"kind": "own"}), data, repeats=True)
    assert np.array_equal(without.score(histories), alone.score(histories))


def test_a_tiny_weight_still_breaks_ties() -> None:
    """1 + 1e-9 is 1 in float32: two items of one score would stay tied."""
    history = Histories(
        np.array([0, 2]),
        np.array([0, 2], np.int32),
        np.ones(2),
        np.zeros(2),
        np.ones(2, np.float32),
        np.arange(2),
        3,
    )
    terms = settings({"kind": "own"}, {"kind": "trend", "weight": 1e-9})
    trend = Trend(TrendSettings(), 3)
    trend.load({"popularity": np.array([0.5, 0.1, 1.0])})
    scores = Model(terms, [Own(OwnSettings(), 3), trend], 3).score(history)
    assert scores.dtype == np.float64
    assert np.argsort(-scores[0]).tolist() == [2, 0, 1]
    assert scores[0, 2] > scores[0, 0] > 1.0


def test_standard_scale_by_hand() -> None:
    standard = OwnSettings(scale="standard")
    scores = np.array([[1.0, 3.0], [2.0, 2.0], [1e9, -1e9]])
    assert scaled(standard, scores).tolist() == [[-1, 1], [0, 0], [1, -1]]
    assert scaled(OwnSettings(), scores) is scores


def test_standard_scale_of_each_moment(model: Model, histories: Histories) -> None:
    own = model.term_scores(histories)[1][1].astype(np.float64)
    varied = own.std(1) > 0
    assert varied.any()
    np.testing.assert_allclose(own.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(own[varied].std(1), 1, rtol=1e-5)


def test_a_model_loads_as_it_was_saved(model: Model, histories: Histories, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    again = Model.load(tmp_path / "model")
    assert again.settings == model.settings
    assert again.items == model.items
    assert np.array_equal(again.score(histories), model.score(histories))


def test_a_model_is_safetensors_and_json_alone(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path)
    files = sorted(file.name for file in tmp_path.rglob("*"))
    states = [f"{label}.safetensors" for label in ("linear", "mlp", "next", "trend")]
    assert files == sorted(["model.json", *states])
    for name in states:  # a header of JSON after its length, and no pickle
        raw = (tmp_path / name).read_bytes()
        json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])


def test_another_format_is_refused(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path)
    text = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**text, "format": 99}))
    with pytest.raises(ValueError, match="must be of format 1"):
        Model.load(tmp_path)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ([], "at least 1 item"),
        ([{"kind": "own"}, {"kind": "own"}], "2 are called 'own'; give `name`"),
        ([{"kind": "own", "name": "linear"}, {"kind": "linear"}], "2 are called 'linear'"),
        ([{"kind": "own", "weight": 0}, {"kind": "trend", "weight": 0}], "weight above 0"),
        ([{"weight": 1}], "kind"),
    ],
)
def test_wrong_models_fail(terms: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(*terms)


def test_two_terms_of_a_kind_by_name(data: TrainingData, histories: Histories) -> None:
    both = settings({"kind": "own"}, {"kind": "own", "name": "again", "weight": 2})
    scores = fit_model(both, data, repeats=True).score(histories)
    alone = fit_model(settings({"kind": "own"}), data, repeats=True).score(histories)
    np.testing.assert_allclose(scores, 3 * alone)


def test_without_forgetting_nothing_is_forgotten_anywhere() -> None:
    curve = {"family": "exponential", "half_life": 3}
    mlp = {**MLP, "forgetting": curve, "training": {"epochs": 2, "rate": 0.1, "forgetting": curve}}
    before = settings(*ALL[:4], mlp)
    after = before.without_forgetting()
    assert "exponential" not in after.model_dump_json()
    assert after == settings(
        *({key: value for key, value in term.items() if key != "forgetting"} for term in ALL[:4]),
        {**MLP, "training": {"epochs": 2, "rate": 0.1}},
    )
    assert "exponential" in before.model_dump_json()
    assert after.without_forgetting() == after


def test_settings_survive_json() -> None:
    model = settings(*ALL)
    assert ModelSettings.model_validate_json(model.model_dump_json()) == model
