"""Spaces of curves: every family, clock and shape, in ranges that keep them whole."""

from __future__ import annotations

import math
from typing import Any

import optuna
import pytest
from pydantic import ValidationError

from tests.trainers.search.points import MODEL, space, suggested
from trainers.forgetting import AXES, FAMILIES, build
from trainers.search.curve_space import SHAPES, ForgettingSpace


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"family": ["expo"]}, "'exponential'"),
        ({"clock": ["weeks"]}, "'moments'"),
        ({"clock": []}, "at least 1 item"),
        ({"half_life": {"time": [1, 30]}}, "`half_life` must give a range for the clock 'moments'"),
        ({"half_life": {"time": [30, 1], "moments": [1, 2]}}, r"for 'time', but got \(30, 1\)"),
        ({"half_life": {"time": [0, 1], "moments": [1, 2]}}, "`0 < low < high` must hold for 'time'"),
        ({"half_life": {"time": [1, math.inf], "moments": [1, 2]}}, "finite number"),
        ({"exponent": [2, 1]}, "`0 < low < high` must hold for 'exponent'"),
        ({"family": ["weibull"], "shape": [2, 1]}, "`0 < low < high` must hold for 'shape'"),
        ({"family": ["floor"], "floor": [0.1, 0.6]}, "'floor' must lie between 1e-06 and 0.499"),
        (
            {"depth": [0.1, 0.6]},
            "`depth` is a shape of `renewal`: name one in `family`, or take `depth: null`",
        ),
        ({"shape": [0.3, 0.9]}, "`shape` is a shape of `weibull`"),
        ({"family": ["none"], "exponent": [1, 2]}, "`exponent` is a shape of `power`"),
        ({"amount": [0.1, 0.6]}, "`amount` is a shape of `saturating` and `growth`: name one in `family`"),
        ({"family": ["renewal"], "depth": [0.6, 0.1]}, "`0 < low < high` must hold for 'depth'"),
        ({"family": ["renewal", "logistic"], "width": [0.1, 2]}, "'width' must lie between 0.01 and 0.9,"),
        (
            {"family": ["saturating", "growth"], "amount": [0.1, 2]},
            "'amount' must lie between 0.001 and 0.69,",
        ),
        ({"tau": [1, 2]}, "Extra inputs"),
    ],
)
def test_wrong_forgetting_spaces_fail(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ForgettingSpace.model_validate(values)


def test_none_is_tried_even_where_it_is_not_named() -> None:
    assert ForgettingSpace(family=("power",)).families == ("none", "power")
    assert ForgettingSpace(family=("power", "none")).families == ("none", "power")
    assert [
        point["own.family"] for point in space({"own": {"forgetting": {"family": ["power"]}}}).starts()
    ] == [
        "none",
        "power",
    ]


@pytest.mark.parametrize("clock", AXES)
@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in ("none", "saturating")])
def test_the_half_life_is_kept_whatever_the_family(family: str, clock: str) -> None:
    slot = space({"own": {"forgetting": {}}})
    name = {"time": "half_life_days", "moments": "half_life_moments"}[clock]
    other = {"time": "half_life_moments", "moments": "half_life_days"}[clock]
    point = {
        "own.family": family,
        "own.clock": clock,
        f"own.{name}": 12.5,
        "own.exponent": 0.4,
        "own.shape": 0.7,
        "own.floor": 0.2,
        f"own.{other}": 99.0,
    }
    curve = build(slot.apply(MODEL, point).terms[0].forgetting)
    assert (curve.family, curve.clock) == (family, clock)
    assert curve.half_life == pytest.approx(12.5, rel=1e-9)
    expected = {"power": ("exponent", 0.4), "weibull": ("shape", 0.7), "floor": ("floor", 0.2)}
    if family in expected:
        name, value = expected[family]
        assert curve.values[name] == value


ALL: dict[str, Any] = {
    "own": {"forgetting": {"family": list(FAMILIES), "clock": ["time", "moments", "both"]}},
}


def test_every_family_and_clock_can_be_searched() -> None:
    wide = space(ALL)
    wide.check(MODEL)
    assert [point["own.family"] for point in wide.starts()] == list(FAMILIES)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for point in wide.starts():
        study.enqueue_trial(point)
        assert wide.suggest(study.ask()) == point
    points = suggested(wide, 400)
    assert {(point["own.family"], point.get("own.clock")) for point in points} == {
        ("none", None),
        *((name, clock) for name in FAMILIES if name != "none" for clock in ("time", "moments", "both")),
    }
    ranges = {"power": ("exponent", 0.25, 2.0), "weibull": ("shape", 0.3, 1.5), "floor": ("floor", 0.01, 0.4)}
    for point in points:
        curve = build(wide.apply(MODEL, point).terms[0].forgetting)
        assert (curve.family, curve.clock) == (point["own.family"], point.get("own.clock", "time"))
        shapes = {name for name, _, _ in ranges.values() if f"own.{name}" in point}
        assert shapes == ({ranges[curve.family][0]} if curve.family in ranges else set())
        if curve.family in ranges:
            name, low, high = ranges[curve.family]
            assert low <= point[f"own.{name}"] <= high
            assert curve.values[name] == pytest.approx(point[f"own.{name}"])


SHAPED: dict[str, Any] = {
    "family": list(FAMILIES),
    "clock": ["time", "moments", "both"],
    "width": [0.1, 0.8],
    "depth": [0.2, 0.7],
    "amount": [0.05, 0.6],
    "spread": [4, 400],
    "share": [0.2, 0.7],
}


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "none"])
def test_every_shape_of_every_family_can_be_searched(family: str) -> None:
    wide = space({"own": {"forgetting": SHAPED}})
    wide.check(MODEL)
    ranges = {"exponent": (0.25, 2.0), "shape": (0.3, 1.5), "floor": (0.01, 0.4)} | SHAPED
    names = {shape.name for shape in FAMILIES[family].shapes}
    points = [point for point in suggested(wide, 400) if point["own.family"] == family]
    assert {point["own.clock"] for point in points} == {"time", "moments", "both"}
    for point in points:
        shapes = {name: point[f"own.{name}"] for name in SHAPES if f"own.{name}" in point}
        assert set(shapes) == names
        assert all(ranges[name][0] <= value <= ranges[name][1] for name, value in shapes.items())
        curve = build(wide.apply(MODEL, point).terms[0].forgetting).factors[0]
        half_life = point["own.half_life_moments" if curve.clock == "moments" else "own.half_life_days"]
        assert curve == FAMILIES[family].from_half_life(half_life, curve.clock, **shapes)


def test_a_shape_without_a_range_stays_where_it_is() -> None:
    for slot in ({"family": ["renewal"]}, {"family": ["power"], "exponent": None}):
        [_, start] = space({"own": {"forgetting": {**slot, "clock": ["time"]}}}).starts()
        assert set(start) == {"own.family", "own.clock", "own.half_life_days"}
    power = space({"own": {"forgetting": {"family": ["power"], "exponent": None}}})
    assert power.apply(MODEL, power.starts()[1]).terms[0].forgetting.exponent == 1
    one = {"family": ["renewal"], "clock": ["time"], "depth": [0.1, 0.9]}
    [_, start] = space({"own": {"forgetting": one}}).starts()
    assert start["own.depth"] == pytest.approx(0.3)
    assert "own.width" not in start
    forgetting = space({"own": {"forgetting": one}}).apply(MODEL, start).terms[0].forgetting
    assert forgetting.depth == pytest.approx(0.3)
    assert forgetting.width == 0.5


def test_both_clocks_have_a_half_life_each() -> None:
    both = space({"own": {"forgetting": {"family": ["power"], "clock": ["both"]}}})
    [none, start] = both.starts()
    assert set(none) == {"own.family"}
    assert start == {
        "own.family": "power",
        "own.clock": "both",
        "own.half_life_days": pytest.approx(math.sqrt(0.5 * 365)),
        "own.half_life_moments": pytest.approx(5.0),
        "own.exponent": pytest.approx(math.sqrt(0.5)),
    }
    point = start | {"own.half_life_days": 9.0, "own.half_life_moments": 4.0, "own.exponent": 0.5}
    curve = both.apply(MODEL, point).terms[0].forgetting
    assert curve.model_dump(exclude={"learn", "scope", "stretch"}) == {
        "family": "power",
        "clock": "both",
        "tau": pytest.approx(3.0),
        "exponent": 0.5,
        "moments": {
            "family": "geometric",
            "clock": "moments",
            "rate": pytest.approx(0.5**0.25),
            "learn": False,
            "scope": "all",
            "stretch": {},
        },
    }
    with pytest.raises(ValidationError, match="`half_life` must give a range for the clock 'moments'"):
        ForgettingSpace(clock=("both",), half_life={"time": (1.0, 2.0)})


@pytest.mark.parametrize(
    "beyond",
    [{"half_life": {"time": [1e-4, 1]}, "clock": ["time"]}, {"exponent": [1e-3, 1]}, {"exponent": [1, 1e7]}],
)
def test_ranges_in_which_a_parameter_would_leave_the_floats_are_refused(beyond: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="must lie between"):
        ForgettingSpace.model_validate(beyond)
