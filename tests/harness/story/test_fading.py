"""How interest fades: what is measured, that it is found again, and that test is never read."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from harness.report import render
from harness.report.fading import span
from harness.settings import load
from harness.stage import Stage
from harness.steps.workshop import Workshop
from harness.story import fading as module
from harness.story.fading import fading
from tests.conftest import simulated_log
from trainers.curves.likelihood import CurveFit, Free
from trainers.curves.stretches import Stretches
from trainers.forgetting import ForgettingSettings, build

GAP = {"difference", "low", "high"}


def opened(folder: Path, events: pd.DataFrame, **data: Any) -> Workshop:
    events.to_csv(folder / "events.csv", index=False)
    terms = [
        {"kind": "own", "forgetting": {"family": "exponential", "half_life": 5}},
        {"kind": "linear", "l2": 5.0},
        {"kind": "trend", "forgetting": {"family": "exponential", "half_life": 5}},
    ]
    config = {"data": {"events": "events.csv", "repeats": True, **data}, "model": {"terms": terms}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return Workshop.open(load(folder / "config.yaml"))


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return simulated_log(users=120, moments=40)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three families: the others change nothing of what is tested here."""
    monkeypatch.setattr(module, "TIME", ("none", "exponential", "power"))
    monkeypatch.setattr(module, "MOMENTS", ())
    monkeypatch.setattr(module, "BOTH", ())


def test_the_curve_that_made_the_log_is_told(work: Path, events: pd.DataFrame) -> None:
    found = fading(opened(work, events))
    json.dumps(found, allow_nan=False)
    names = [row["name"] for row in found["families"]]
    assert {"none", *module.TIME, "power, moments", "exponential, both"} <= set(names)
    values = [row["value"] for row in found["families"]]
    assert values == sorted(values, reverse=True)
    assert all(set(row["behind"]) == set(row["gain"]) == GAP for row in found["families"])
    by_name = {row["name"]: row for row in found["families"]}
    assert by_name["none"]["half_life"] is None
    assert by_name["none"]["told_apart"]
    assert not by_name[found["chosen"]]["told_apart"]
    assert found["pays"] is True
    assert by_name["exponential"]["half_life"] == pytest.approx(5, rel=0.25)  # the log was made with 5 days
    assert by_name["exponential"]["low"] < 5 < by_name["exponential"]["high"]
    assert [(row["name"], row["family"]) for row in found["terms"]] == [("own", "exponential")]
    assert found["terms"][0]["half_life"] == pytest.approx(by_name["exponential"]["half_life"], rel=0.02)
    assert found["sentence"].startswith("An interest is half gone after ")
    ages, left = zip(*found["curve"], strict=True)
    assert left[0] == 1
    assert list(ages) == sorted(ages)


def test_a_curve_on_both_clocks_has_a_half_life_on_each() -> None:
    """Made by hand: what a fit would be, of an exponential over days and one over later moments."""
    settings = ForgettingSettings.model_validate(
        {
            "family": "exponential",
            "half_life": 60.0,
            "clock": "both",
            "moments": {"family": "exponential", "half_life": 2.0},
            "learn": True,
        }
    )
    space = Free.of(settings)
    curve = build(settings)
    found = CurveFit(curve, {}, np.zeros(1), space.vector(curve), np.diag([0.01, 0.04]), space)
    half_life = module._half_life(found, 0.95)
    assert half_life is not None
    z = 1.959964
    days = {"value": 60, "low": 60 * math.exp(-0.1 * z), "high": 60 * math.exp(0.1 * z)}
    moments = {"value": 2, "low": 2 * math.exp(-0.2 * z), "high": 2 * math.exp(0.2 * z)}
    told = half_life.pop("moments")
    assert half_life.pop("unit") == "days"
    assert told.pop("unit") == "moments"
    assert half_life == pytest.approx(days, rel=1e-4)
    assert told == pytest.approx(moments, rel=1e-4)
    assert span(module._half_life(found, 0.95)) == "60 days [49, 73] or 2 moments [1.4, 3]"


def test_a_curve_that_rises_is_not_called_fading() -> None:
    best: Any = SimpleNamespace(gain=module.Gap(0.23, 0.2, 0.25))
    pays: Any = SimpleNamespace(best=best, pays=True)
    told = module._sentence(pays, None, 20.9)
    assert told == (
        "Nothing fades: old events count more than new ones on this log (+0.2300 [+0.2000, +0.2500] nats an event over "
        "no forgetting), the oldest 21 times as much."
    )
    assert "never half gone" in module._sentence(pays, None, 0.7)


@pytest.mark.usefixtures("quick")
def test_it_is_measured_once(work: Path, events: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop = opened(work, events)
    first = fading(workshop)
    monkeypatch.setattr(module, "fit", None)
    assert fading(Workshop.open(workshop.settings)) == first


@pytest.mark.usefixtures("quick")
def test_test_queries_are_not_read(work: Path, events: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    of = Stage.of.__func__  # type: ignore[attr-defined]  # of a class method, which mypy sees bound

    def watched(cls: type[Stage], store: Any, settings: Any, stage: Any, repeats: bool) -> Stage:
        asked.append(stage)
        found: Stage = of(cls, store, settings, stage, repeats)
        return found

    monkeypatch.setattr(Stage, "of", classmethod(watched))
    fading(opened(work, events))
    assert asked == ["val"]


@pytest.mark.usefixtures("quick")
def test_groups_have_their_half_lives(work: Path, events: pd.DataFrame) -> None:
    random = np.random.default_rng(0)
    typed = events.assign(kind=np.where(random.random(len(events)) < 0.3, "viewed", "bought"))
    items = pd.DataFrame({"item_id": sorted(events.item_id.unique())})
    items["categories"] = np.where(np.arange(len(items)) % 2 == 0, "food", "toys")
    items.to_csv(work / "items.csv", index=False)
    columns = {"event_type": "kind"}
    found = fading(opened(work, typed, columns=columns, items="items.csv"))["groups"]
    assert {row["name"] for row in found["category"]} == {"food", "toys"}
    assert {row["name"] for row in found["event_type"]} == {"bought", "viewed"}
    assert len(found["history"]) == 3
    assert found["history"][0]["name"].startswith("up to ")
    for rows in found.values():
        for row in rows:
            assert row["low"] < row["value"] < row["high"]
            assert row["events"] >= module.LEAST_EVENTS


def test_every_group_has_the_half_life_that_was_found_for_it() -> None:
    """By hand: of three groups the second has too few events to be among those found."""
    settings = ForgettingSettings.model_validate({"family": "exponential", "half_life": 10.0, "learn": True})
    curve, space = build(settings), Free.of(settings)
    common = CurveFit(curve, {}, np.zeros(1), space.vector(curve), np.diag([0.03**2]), space)
    stretches = Stretches(
        "category",
        curve,
        np.array([0, 2]),
        np.array([500, 900]),
        np.log([0.5, 3.0]),
        np.array([0.04, 0.0]),
        0.4,
    )
    rows = module._named(stretches, common, ["toys", "garden", "home"], 0.95)
    assert [(row["name"], row["events"], row["unit"]) for row in rows] == [
        ("home", 900, "days"),
        ("toys", 500, "days"),
    ]
    assert [row["value"] for row in rows] == pytest.approx([30.0, 5.0])
    spreads = [0.03, 0.05]  # that of the common curve, and with that of the group 3-4-5
    for row, spread in zip(rows, spreads, strict=True):
        ends = [row["value"] * math.exp(sign * 1.959964 * spread) for sign in (-1, 1)]
        assert [row["low"], row["high"]] == pytest.approx(ends, rel=1e-5)


@pytest.mark.usefixtures("quick")
def test_it_says_when_forgetting_does_not_pay(work: Path) -> None:
    random = np.random.default_rng(1)
    rows = [
        (f"u{user}", f"i{random.integers(60)}", 1_600_000_000 + 86_400 * moment + user)
        for user in range(80)
        for moment in range(30)
    ]
    found = fading(opened(work, pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])))
    assert found["pays"] is False
    assert found["chosen"] == "none"
    assert found["half_life"] is None
    assert found["groups"] == {}
    assert found["sentence"].startswith("Forgetting does not pay on this log")


@pytest.mark.usefixtures("quick")
def test_a_log_without_histories_is_no_failure(work: Path) -> None:
    rows = [(f"u{user}", f"i{user % 7}", 1_600_000_000 + 3_600 * user) for user in range(180)]
    rows += [(f"u{user}", f"i{user % 5}", 1_600_000_000 + 3_600 * (180 + user)) for user in range(45)]
    found = fading(opened(work, pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])))
    assert found["sentence"].startswith("How interest fades cannot be measured on this log: ")
    assert found["pays"] is None
    assert "cannot be measured on this log: a curve needs" in render({"fading": found}, config_text="")
