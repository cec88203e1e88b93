"""Search spaces: what they accept, where they begin, what they make of a point."""

from __future__ import annotations

import math
from typing import Any

import optuna
import pytest
from pydantic import ValidationError

from tests.trainers.search.points import MODEL, space, suggested
from trainers.forgetting import AXES, build
from trainers.model import ModelSettings
from trainers.search.space import Range, Space

USUAL = ("none", "exponential", "power", "hyperbolic", "geometric")
"""The families of a space that names none."""
FULL: dict[str, Any] = {
    "own+linear": {"forgetting": {}, "weight": {"low": 0.1, "high": 10, "log": True}},
    "linear": {"l2": [200, 500, 1000], "variant": ["ease", "next"]},
    "recent": {"forgetting": {"family": ["exponential"], "clock": ["moments"]}, "weights": [True, False]},
    "mlp": {"dim": {"low": 8, "high": 128, "log": True}, "max_history": {"low": 10, "high": 60}},
}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"low": 3, "high": 1}, r"`low < high` must hold, but got \(low=3, high=1\)\."),
        ({"low": 2, "high": 2}, "`low < high` must hold"),
        ({"low": 0, "high": 1, "log": True}, "`low` must be above 0 where `log` is set, but got 0"),
        ({"low": math.nan, "high": 1}, "finite number"),
        ({"low": 1, "high": math.inf}, "finite number"),
        ({"low": 1}, "Field required"),
        ({"low": 1, "high": 2, "step": 1}, "Extra inputs"),
    ],
)
def test_wrong_ranges_fail(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Range.model_validate(values)


@pytest.mark.parametrize(
    ("values", "middle", "whole"),
    [
        ({"low": 1, "high": 9}, 5, True),
        ({"low": 1, "high": 100, "log": True}, 10, True),
        ({"low": 8, "high": 127, "log": True}, 31, True),
        ({"low": 0.0, "high": 1.0}, 0.5, False),
        ({"low": -1.5, "high": 1}, -0.25, False),
        ({"low": 0.01, "high": 100, "log": True}, 1.0, False),
    ],
)
def test_ranges_give_what_lies_inside(values: dict[str, Any], middle: float, whole: bool) -> None:
    domain = Range.model_validate(values)
    assert domain.middle() == pytest.approx(middle)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = [domain.suggest(study.ask(), "x") for _ in range(60)]
    for value in [*found, domain.middle(), *domain.samples()]:
        assert domain.low <= value <= domain.high
        assert isinstance(value, int) or not whole
    assert len(set(found)) > 5
    assert whole or any(value != int(value) for value in domain.samples())
    if domain.log:  # half of the values lie under the geometric middle
        assert 15 < sum(value < middle for value in found) < 45


def test_a_choice_of_nothing_fails() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        space({"linear": {"l2": []}})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"trend": {"weight": [1, 2]}},
            r"must name terms of the model \(own, linear, recent, mlp\), but got 'trend'",
        ),
        ({"own+vae": {"weight": [1, 2]}}, "but got 'vae'"),
        ({"own": {"l2": [1, 2]}}, "`search.space.own`: the term `own` has no setting 'l2' to search"),
        ({"own+linear": {"l2": [1, 2]}}, "the term `own` has no setting 'l2'"),
        ({"own": {"kind": ["linear"]}}, "no setting 'kind' to search"),
        ({"own": {"name": ["a", "b"]}}, "no setting 'name' to search"),
        ({"linear": {"l2": [1, -2]}}, "greater than 0"),
        ({"linear": {"variant": ["ease", "slim"]}}, "'next'"),
        ({"own": {"weight": {"low": -1, "high": 1}}}, "greater than or equal to 0"),
        ({"mlp": {"dim": {"low": 16.0, "high": 128.0}}}, "integer"),
        ({"mlp": {"dropout": {"low": 0.0, "high": 1.0}}}, "less than 1"),
        (
            {"own": {"weight": [1, 2]}, "own+linear": {"weight": [1, 3]}},
            "must search a setting once, but 'weight' of `own` is in `own` and `own.linear`",
        ),
        ({"own+linear": {"forgetting": {}}, "linear": {"forgetting": {}}}, "'forgetting' of `linear` is in"),
    ],
)
def test_a_space_that_does_not_fit_the_model_fails(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        space(values).check(MODEL)


def test_a_space_that_fits_passes_the_check() -> None:
    space(FULL).check(MODEL)
    space({}).check(MODEL)


def test_starts_begin_with_none_and_have_every_family() -> None:
    points = space(FULL).starts()
    assert [point["own+linear.family"] for point in points] == list(USUAL)
    assert [point["recent.family"] for point in points] == ["none", *["exponential"] * 4]
    power = points[USUAL.index("power")]
    assert power["own+linear.clock"] == "time"
    assert power["own+linear.half_life_days"] == pytest.approx(math.sqrt(0.5 * 365))
    assert power["own+linear.exponent"] == pytest.approx(math.sqrt(0.25 * 2))
    assert power["own+linear.weight"] == pytest.approx(1.0)
    assert power["linear.l2"] == 500
    assert power["mlp.dim"] == 32
    assert power["recent.half_life_moments"] == pytest.approx(5)
    assert all("own+linear.exponent" not in point for point in points if point is not power)
    assert points[0].keys() == power.keys() - {
        f"{slot}.{name}"
        for slot in ("own+linear", "recent")
        for name in ("clock", "half_life_days", "half_life_moments", "exponent")
    }


def test_every_start_is_a_point_of_the_space() -> None:
    """Optuna takes a starting point as it is, if it can: it must not draw another."""
    full = space(FULL)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for point in full.starts():
        study.enqueue_trial(point)
        assert full.suggest(study.ask()) == point
        full.apply(MODEL, point)


def test_suggestions_stay_inside() -> None:
    full = space(FULL)
    points = suggested(full, 200)
    for point in points:
        model = full.apply(MODEL, point)
        curve = build(model.terms[0].forgetting)
        assert curve.family == point["own+linear.family"]
        if curve.family != "none":
            low, high = {"time": (0.5, 365), "moments": (0.5, 50)}[curve.clock]
            assert low * (1 - 1e-9) <= curve.half_life <= high * (1 + 1e-9)
        assert 0.25 <= point.get("own+linear.exponent", 1) <= 2
        assert ("own+linear.exponent" in point) == (curve.family == "power")
        assert 0.1 <= model.terms[0].weight <= 10
        assert 8 <= point["mlp.dim"] <= 128
        assert 10 <= point["mlp.max_history"] <= 60
        assert point["linear.l2"] in (200, 500, 1000)
    assert {point["own+linear.family"] for point in points} == set(USUAL)
    assert {point["own+linear.clock"] for point in points if "own+linear.clock" in point} == set(AXES)
    assert {point["recent.clock"] for point in points if "recent.clock" in point} == {"moments"}
    assert {point["recent.weights"] for point in points} == {True, False}
    assert {point["linear.variant"] for point in points} == {"ease", "next"}


def test_a_key_of_two_terms_gives_both_the_same() -> None:
    full = space(FULL)
    for point in suggested(full):
        model = full.apply(MODEL, point)
        own, linear, recent, mlp = model.terms
        assert own.forgetting == linear.forgetting
        assert own.weight == linear.weight == point["own+linear.weight"]
        assert recent.weight == 0.1
        assert recent.weights is point["recent.weights"]
        assert mlp.forgetting == MODEL.terms[3].forgetting
        assert own.weights is True
    assert MODEL.terms[0].weight == 1.0


def test_a_search_over_curves_leaves_scope_and_learning_as_they_are() -> None:
    forgetting = {"family": "power", "tau": 1, "exponent": 1, "scope": "category", "stretch": {"tea": 2.0}}
    slot = space({"own": {"forgetting": {"family": ["power", "hyperbolic", "weibull"]}}})
    for learn, by_family in (
        (True, {"power": True, "hyperbolic": True, "weibull": True}),
        (["exponent", "tau"], {"power": ("exponent", "tau"), "hyperbolic": ("tau",), "weibull": ("tau",)}),
        (["exponent"], {"power": ("exponent",), "hyperbolic": False, "weibull": False}),
    ):
        model = ModelSettings.model_validate(
            {"terms": [{"kind": "own", "forgetting": {**forgetting, "learn": learn}}]}
        )
        none, *points = slot.starts()
        assert slot.apply(model, none).terms[0].forgetting.model_dump() == {
            "family": "none",
            "clock": "time",
            "learn": False,
            "scope": "all",
            "stretch": {},
        }
        for point in points:
            found = slot.apply(model, point).terms[0].forgetting
            assert found.learn == by_family[found.family]
            assert (found.scope, found.stretch) == ("category", {"tea": 2.0})


def test_without_forgetting_all_but_the_curves_is_searched() -> None:
    bare = space(FULL).without_forgetting(MODEL)
    [start] = bare.starts()
    assert sorted(start) == [
        "linear.l2",
        "linear.variant",
        "mlp.dim",
        "mlp.max_history",
        "own+linear.weight",
        "recent.weights",
    ]
    for point in suggested(bare, 5):
        assert point.keys() == start.keys()
        model = bare.apply(MODEL.without_forgetting(), point)
        assert {term.forgetting.family for term in model.terms} == {"none"}
    assert space(FULL).root["own+linear"].forgetting is not None


def test_what_forgets_by_other_means_is_not_searched_without_forgetting() -> None:
    """Not the ages that a network reads, nor own logits, nor a curve's parameters one by one; but a single value that
    the model does not have is still taken."""
    curve = {"family": "exponential", "half_life": 3.0}
    term = {"kind": "recurrent", "own": {"renewal": True}, "forgetting": curve, "weight": 1.0}
    model = ModelSettings.model_validate({"terms": [term]})
    domains = {"ages": [True, False], "own.age": [True, False], "own.renewal": [False], "weight": [0.5]}
    asked = space({"recurrent": {**domains, "forgetting.half_life": {"low": 1.0, "high": 60.0}}})
    asked.check(model)
    bare = asked.without_forgetting(model)
    assert list(bare.root["recurrent"].domains) == ["weight"]
    bare.check(model.without_forgetting())
    [point] = bare.starts()
    control = bare.apply(model.without_forgetting(), point)
    assert control == control.without_forgetting()
    assert control.terms[0].weight == 0.5


@pytest.mark.parametrize(
    ("term", "slot", "told"),
    [
        (
            {"kind": "recurrent"},
            {"family": ["exponential", "power"], "clock": ["time"]},
            "no sum of exponentials",
        ),
        ({"kind": "trend", "forgetting": {"learn": True}}, {"clock": ["time", "moments"]}, "moments"),
    ],
    ids=["recurrent", "trend"],
)
def test_a_curve_that_a_term_refuses_is_known_before_the_first_trial(
    term: dict[str, Any], slot: dict[str, Any], told: str
) -> None:
    model = ModelSettings.model_validate({"terms": [term]})
    with pytest.raises(ValueError, match=told):
        space({term["kind"]: {"forgetting": slot}}).check(model)


def test_a_trial_stands_for_the_family_of_its_first_curve() -> None:
    full = space(FULL)
    assert full.family_of({"own+linear.family": "power", "recent.family": "none"}) == "power"
    assert full.family_of({"linear.l2": 3}) == "none"


def test_a_space_survives_json() -> None:
    full = space(FULL)
    again = Space.model_validate_json(full.model_dump_json())
    assert again.starts() == full.starts()
    assert suggested(again, 10) == suggested(full, 10)


@pytest.mark.parametrize("name", ["a/b", "own+linear", "..", "a b"])
def test_a_name_that_is_no_file_name_or_joins_names_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        ModelSettings.model_validate({"terms": [{"kind": "own", "name": name}]})


def test_a_setting_inside_a_block_is_searched_by_the_names_on_the_way() -> None:
    inside = space(
        {"mlp": {"training.rate": [0.01, 0.02], "training.loss.negatives": {"low": 8, "high": 64}}}
    )
    inside.check(MODEL)
    model = inside.apply(MODEL, {"mlp.training.rate": 0.02, "mlp.training.loss.negatives": 16})
    before, after = (one.terms[3].model_dump() for one in (MODEL, model))
    assert (after["training"]["rate"], after["training"]["loss"]["negatives"]) == (0.02, 16)
    after["training"]["rate"] = before["training"]["rate"]
    after["training"]["loss"]["negatives"] = before["training"]["loss"]["negatives"]
    assert after == before
    assert suggested(inside, 1)[0].keys() == {"mlp.training.rate", "mlp.training.loss.negatives"}


@pytest.mark.parametrize("name", ["training.speed", "training.loss.negatives.more", "own.age", "dim.low"])
def test_a_block_without_such_a_setting_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"`mlp` has no setting '{name}' to search"):
        space({"mlp": {name: [1, 2]}}).check(MODEL)
    with pytest.raises(ValueError, match="greater than 0"):
        space({"mlp": {"training.rate": {"low": -1.0, "high": 1.0}}}).check(MODEL)
