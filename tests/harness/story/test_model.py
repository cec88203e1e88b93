"""What is said of a model's curves: half-lives on each clock."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from harness.report.parts import half_life_of
from harness.settings import load
from harness.steps.workshop import Workshop
from harness.story.model import curve_of_terms, half_life_words
from tests.conftest import simulated_log
from trainers.encoders import ENCODERS
from trainers.model import Model, ModelSettings

DAYS = {"family": "exponential", "half_life": 60.0}
MOMENTS = {"family": "geometric", "clock": "moments", "rate": 0.5**0.5}
BOTH = {**DAYS, "clock": "both", "moments": MOMENTS}
CURVES = [
    (DAYS, "60 days"),
    (MOMENTS, "2 moments"),
    (BOTH, "60 days or 2 moments"),
    # It begins below half: half of what a new event has, not half of 1.
    ({"family": "growth", "amount": math.log(4), "rate": math.log(1.5) / 53}, "53 days"),
]


def model_of(*terms: dict[str, Any]) -> Model:
    settings = ModelSettings.model_validate({"terms": terms})
    return Model(settings, [ENCODERS[term.kind](term, 3) for term in settings.terms], 3)


@pytest.mark.parametrize(("curve", "told"), CURVES)
def test_a_half_life_is_told_on_every_clock(curve: dict[str, Any], told: str) -> None:
    assert (
        half_life_words(model_of({"kind": "own", "forgetting": curve}))
        == f"an interest is half gone after {told}"
    )


def test_what_is_never_half_gone_is_said_so() -> None:
    curve = {"family": "floor", "floor": 0.6, "of": DAYS}
    assert half_life_words(model_of({"kind": "own", "forgetting": curve})) == "an interest is never half gone"
    assert half_life_words(model_of({"kind": "own"})) == ""


def test_a_curve_on_both_clocks_is_drawn_on_each(tmp_path: Path) -> None:
    simulated_log(users=20, moments=10).to_csv(tmp_path / "events.csv", index=False)
    file = tmp_path / "config.yaml"
    file.write_text("data: {events: events.csv}\nmodel: {terms: [{kind: own}]}\n")
    workshop = Workshop.open(load(file, [f"work={tmp_path}/runs", f"data.store={tmp_path}/store"]))
    [plain] = curve_of_terms(model_of({"kind": "own", "forgetting": DAYS}), workshop)
    assert plain["forgetting"]["half_life"] == pytest.approx(60)
    assert "parts" not in plain["forgetting"]
    [term] = curve_of_terms(model_of({"kind": "own", "forgetting": BOTH}), workshop)
    parts = term["forgetting"]["parts"]
    assert [(part["name"], part["clock"], part["unit"]) for part in parts] == [
        ("by days", "time", "days"),
        ("by moments", "moments", "moments"),
    ]
    assert [part["half_life"] for part in parts] == pytest.approx([60, 2])
    assert [part["curve"][-1][0] for part in parts] == pytest.approx([parts[0]["curve"][-1][0], 100.0])
    assert half_life_of(term) == "60 days or 2 moments"
