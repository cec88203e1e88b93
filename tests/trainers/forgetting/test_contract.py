"""One contract for every family of forgetting functions; `FAMILIES` says which there are."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.optimize import brentq

from trainers.forgetting import CLOCKS, FAMILIES, Forgetting, ForgettingSettings, build
from trainers.space import FamilyName

Parameters = dict[str, float]

EXAMPLES: dict[str, list[Parameters]] = {
    "none": [{}],
    "exponential": [{"half_life": 0.5}, {"half_life": 30.0}],
    "power": [
        {"tau": 7.0, "exponent": 0.5},
        {"tau": 0.3, "exponent": 2.0},
        {"tau": 40.0, "exponent": 0.25},
    ],
    "hyperbolic": [{"tau": 0.7}, {"tau": 14.0}],
    "geometric": [{"rate": 0.99}, {"rate": 0.4}, {"rate": 1.0}],
}
EXTREME: dict[str, list[Parameters]] = {
    "none": [{}],
    "exponential": [{"half_life": 1e-9}, {"half_life": 1e15}],
    "power": [{"tau": t, "exponent": e} for t in (1e-9, 1e15) for e in (1e-6, 1e6)],
    "hyperbolic": [{"tau": 1e-9}, {"tau": 1e15}],
    "geometric": [{"rate": 1e-300}, {"rate": 1 - 1e-16}],
}
BY_HAND: dict[str, list[tuple[Parameters, float, float]]] = {
    "none": [({}, 0.0, 1.0), ({}, 1e6, 1.0)],
    "exponential": [({"half_life": 30.0}, 60.0, 0.25), ({"half_life": 2.0}, 1.0, 1 / math.sqrt(2))],
    "power": [({"tau": 7.0, "exponent": 0.5}, 21.0, 0.5), ({"tau": 2.0, "exponent": 3.0}, 4.0, 1 / 27)],
    "hyperbolic": [({"tau": 4.0}, 4.0, 0.5), ({"tau": 4.0}, 12.0, 0.25)],
    "geometric": [({"rate": 0.5}, 3.0, 0.125), ({"rate": 0.99}, 1.0, 0.99), ({"rate": 1.0}, 9.0, 1.0)],
}
"""Parameters, age, R(age)."""

CASES = [(name, values, clock) for name in FAMILIES for values in EXAMPLES.get(name, []) for clock in CLOCKS]
AGES = {"time": np.linspace(0.0, 30 * 365.25, 4001), "moments": np.geomspace(1.0, 1e6, 4001) - 1.0}


def function(case: tuple[str, Parameters, str]) -> Forgetting:
    name, values, clock = case
    return FAMILIES[name](clock, **values)


every_case = pytest.mark.parametrize("forgetting", [function(case) for case in CASES], ids=repr)
every_family = pytest.mark.parametrize("family", list(FAMILIES))


@every_family
def test_every_family_is_covered(family: str) -> None:
    tables: dict[str, Mapping[str, Any]] = {"EXAMPLES": EXAMPLES, "EXTREME": EXTREME, "BY_HAND": BY_HAND}
    for name, table in tables.items():
        assert table.get(family), f"give `{family}` parameters in {name}: a family without them is not tested"
    assert FAMILIES[family].family == family
    for values in EXAMPLES[family]:
        assert set(values) == set(FAMILIES[family].parameters)


def test_a_configuration_may_name_every_family() -> None:
    assert get_args(ForgettingSettings.model_fields["family"].annotation) == tuple(FAMILIES)
    assert get_args(FamilyName) == tuple(FAMILIES)


@every_case
def test_retention_begins_at_one_and_stays_between_zero_and_one(forgetting: Forgetting) -> None:
    kept = forgetting.at(AGES[forgetting.clock])
    assert kept[0] == 1.0
    assert kept.min() >= 0
    assert kept.max() <= 1
    assert (forgetting.exponent(AGES[forgetting.clock]) >= 0).all()


@every_case
def test_retention_rises_only_where_the_family_says_so(forgetting: Forgetting) -> None:
    rises = np.diff(forgetting.at(AGES[forgetting.clock])).max()
    assert (rises <= 1e-15) == forgetting.monotone


@pytest.mark.parametrize(
    ("family", "values", "age", "kept"), [(name, *row) for name, rows in BY_HAND.items() for row in rows]
)
def test_values_by_hand(family: str, values: Parameters, age: float, kept: float) -> None:
    forgetting = function((family, values, "time"))
    assert forgetting.at(np.array([age]))[0] == pytest.approx(kept, rel=1e-12)
    assert forgetting.exponent(np.array([age]))[0] == pytest.approx(-math.log(kept), rel=1e-12, abs=1e-15)


@every_case
def test_half_life_is_where_a_root_finder_finds_it(forgetting: Forgetting) -> None:
    def above_half(age: float) -> float:
        return float(forgetting.at(np.array([age]))[0]) - 0.5

    if math.isinf(forgetting.half_life):
        assert above_half(1e12) > 0
        return
    high = 1.0
    while above_half(high) > 0:
        high *= 2
    assert forgetting.half_life == pytest.approx(brentq(above_half, 0.0, high, xtol=1e-12), rel=1e-9)


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "none"])
@given(half_life=st.floats(0.02, 5000), exponent=st.floats(0.05, 8))
@settings(max_examples=25, deadline=None)
def test_from_half_life_gives_that_half_life(
    family: str, clock: str, half_life: float, exponent: float
) -> None:
    forgetting = FAMILIES[family].from_half_life(half_life, clock, exponent)
    assert forgetting.half_life == pytest.approx(half_life, rel=1e-9)
    assert forgetting.at(np.array([half_life]))[0] == pytest.approx(0.5, rel=1e-9)
    assert forgetting.clock == clock
    if "exponent" in forgetting.parameters:
        assert forgetting.values["exponent"] == exponent


def test_none_ignores_the_half_life_that_it_is_made_from() -> None:
    assert FAMILIES["none"].from_half_life(3.0, "moments") == FAMILIES["none"]("moments")
    assert FAMILIES["none"]().half_life == math.inf


@every_case
def test_gradients_agree_with_finite_differences(forgetting: Forgetting) -> None:
    ages = torch.tensor([0.01, 0.5, 3.0, 40.0, 300.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(forgetting.at, (ages,))
    assert torch.autograd.gradcheck(forgetting.exponent, (ages,))
    at_zero = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    [gradient] = torch.autograd.grad(forgetting.at(at_zero).sum(), at_zero)
    assert torch.isfinite(gradient).all()


@every_case
def test_arrays_and_tensors_agree(forgetting: Forgetting) -> None:
    ages = AGES[forgetting.clock].reshape(-1, 1)
    kept = forgetting.at(ages)
    tensor = forgetting.at(torch.from_numpy(ages))
    assert isinstance(kept, np.ndarray)
    assert isinstance(tensor, torch.Tensor)
    assert kept.shape == tuple(tensor.shape) == ages.shape
    np.testing.assert_allclose(tensor.numpy(), kept, rtol=1e-12, atol=0)
    assert forgetting.at(torch.from_numpy(ages.astype(np.float32))).dtype == torch.float32


@every_case
def test_the_clock_chooses_the_age(forgetting: Forgetting) -> None:
    days, moments = np.array([3.0, 11.0]), np.array([1.0, 2.0])
    expected = forgetting.at(days if forgetting.clock == "time" else moments)
    assert np.array_equal(forgetting.retention(days, moments), expected)
    assert forgetting.unit == {"time": "days", "moments": "moments"}[forgetting.clock]


@every_family
def test_extremes_stay_finite_without_a_warning(family: str) -> None:
    for values in EXTREME[family] + EXAMPLES[family]:
        for clock, ages in AGES.items():
            forgetting = FAMILIES[family](clock, **values)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                kept, lost = forgetting.at(ages), forgetting.exponent(ages)
                half_life = forgetting.half_life
            assert kept[0] == 1.0
            assert np.isfinite(lost).all()
            assert ((kept >= 0) & (kept <= 1)).all()
            assert half_life > 0  # infinite where the curve is never half gone; never nan
            assert torch.isfinite(forgetting.at(torch.from_numpy(ages))).all()


@every_case
def test_configuration_round_trip(forgetting: Forgetting) -> None:
    again = build(ForgettingSettings.model_validate(forgetting.to_dict()))
    assert again == forgetting
    assert hash(again) == hash(forgetting)
    assert type(again) is type(forgetting)
    settings = ForgettingSettings.model_validate(forgetting.to_dict())
    assert ForgettingSettings.model_validate_json(settings.model_dump_json()) == settings


def test_no_two_different_functions_are_equal() -> None:
    functions = [function(case) for case in CASES]
    assert len(set(functions)) == len(functions)
    assert functions[0] != "none"
    assert len({repr(forgetting) for forgetting in functions}) == len(functions)


def test_repr_names_clock_and_parameters() -> None:
    forgetting = FAMILIES["power"]("moments", tau=7, exponent=0.5)
    assert repr(forgetting) == "Power(clock='moments', tau=7, exponent=0.5)"


ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("exponential", {}, "`exponential` takes the parameters (half_life), but got (none)."),
    ("none", {"tau": 1.0}, "`none` takes the parameters (none), but got (tau)."),
    ("power", {"tau": 1.0}, "`power` takes the parameters (tau, exponent), but got (tau)."),
    ("hyperbolic", {"tau": 0.0}, "`hyperbolic.tau` must be a positive number, but got 0.0."),
    ("power", {"tau": 1.0, "exponent": -2.0}, "`power.exponent` must be a positive number, but got -2.0."),
    (
        "exponential",
        {"half_life": math.nan},
        "`exponential.half_life` must be a positive number, but got nan.",
    ),
    (
        "exponential",
        {"half_life": math.inf},
        "`exponential.half_life` must be a positive number, but got inf.",
    ),
    ("geometric", {"rate": 1.5}, "`geometric.rate` must be at most 1, but got 1.5."),
    ("none", {"clock": "weeks"}, "`clock` must be one of time, moments, but got 'weeks'."),
]


@pytest.mark.parametrize(("family", "values", "message"), ERRORS)
def test_errors_state_the_rule_and_the_value(family: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        FAMILIES[family](**values)


@pytest.mark.parametrize(("family", "values", "message"), [row for row in ERRORS if "clock" not in row[1]])
def test_settings_fail_where_the_function_would(family: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        ForgettingSettings.model_validate({"family": family, **values})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"family": "expontial"}, "'exponential'"),
        ({"clock": "weeks"}, "'moments'"),
        ({"family": "exponential", "half_live": 3}, "half_live"),
        ({"family": "exponential", "half_life": "soon"}, "half_life"),
    ],
)
def test_settings_refuse_unknown_names(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ForgettingSettings.model_validate(values)


def test_settings_default_to_none() -> None:
    assert build(ForgettingSettings()) == FAMILIES["none"]()
