"""The configuration of a forgetting function: what it accepts, what it says of what it does not."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from pydantic import ValidationError

from trainers.forgetting import FAMILIES, ForgettingSettings, build

OTHER = FAMILIES["exponential"](half_life=1.0)
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
    ("geometric", {"rate": 1.5}, "`geometric.rate` must be at most 1 and above 0, but got 1.5."),
    ("geometric", {"rate": 0.0}, "`geometric.rate` must be at most 1 and above 0, but got 0.0."),
    ("weibull", {"tau": 1.0}, "`weibull` takes the parameters (tau, shape), but got (tau)."),
    ("floor", {"floor": 0.1}, "`floor` takes the parameters (floor, of), but got (floor)."),
    ("floor", {"floor": 1.0, "of": OTHER}, "`floor.floor` must lie between 0 and 1, but got 1.0."),
    (
        "mixture",
        {"half_lives": (1.0, 2.0), "shares": (1.0,)},
        "`mixture.half_lives` and `mixture.shares` must have one length, but got 2 and 1.",
    ),
    (
        "mixture",
        {"half_lives": (1.0, 2.0), "shares": (0.5, 0.6)},
        "`mixture.shares` must be a list of positive numbers that sum to 1, but got (0.5, 0.6).",
    ),
    (
        "mixture",
        {"half_lives": (1.0, 0.0), "shares": (0.5, 0.5)},
        "`mixture.half_lives` must be a list of positive numbers, but got (1.0, 0.0).",
    ),
    (
        "mixture",
        {"half_lives": (), "shares": ()},
        "`mixture.half_lives` must be a list of positive numbers, but got ().",
    ),
    (
        "monotone",
        {"knots": (2.0, 1.0), "slopes": (1.0, 1.0)},
        "`monotone.knots` must be a list of positive ages in ascending order, but got (2.0, 1.0).",
    ),
    (
        "monotone",
        {"knots": (1.0, 2.0), "slopes": (1.0, -1.0)},
        "`monotone.slopes` must be a list of numbers that are not negative, but got (1.0, -1.0).",
    ),
    (
        "monotone",
        {"knots": (1.0, 2.0), "slopes": (1.0,)},
        "`monotone.knots` and `monotone.slopes` must have one length, but got 2 and 1.",
    ),
    (
        "renewal",
        {"half_life": 1.0, "interval": 1.0, "depth": 1.0, "width": 1.0},
        "`renewal.depth` must lie between 0 and 1, but got 1.0.",
    ),
]


@pytest.mark.parametrize(("family", "values", "message"), ERRORS)
def test_errors_state_the_rule_and_the_value(family: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        FAMILIES[family](**values)


@pytest.mark.parametrize(("family", "values", "message"), ERRORS)
def test_settings_fail_where_the_function_would(family: str, values: dict[str, Any], message: str) -> None:
    plain = {name: value.to_dict() if value is OTHER else value for name, value in values.items()}
    with pytest.raises(ValidationError, match=re.escape(message)):
        ForgettingSettings.model_validate({"family": family, **plain})


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_missing_parameter_is_answered_with_those_of_the_family(family: str) -> None:
    """One line, whatever is missing and whatever is too much."""
    names = [parameter.name for parameter in FAMILIES[family].parameters]
    with pytest.raises(ValidationError) as error:
        ForgettingSettings.model_validate({"family": family, "horizon": 1.0, "tau": 1.0})
    assert f"`{family}` takes the parameters ({', '.join(names) or 'none'}" in str(error.value)
    assert "but got (tau, horizon)." in str(error.value)


@pytest.mark.parametrize("clock", ["weeks", "both"])
def test_a_family_is_on_one_clock(clock: str) -> None:
    with pytest.raises(ValueError, match=f"^`clock` must be one of time, moments, but got '{clock}'.$"):
        FAMILIES["none"](clock)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"family": "expontial"}, "'exponential'"),
        ({"clock": "weeks"}, "'moments'"),
        ({"family": "exponential", "half_live": 3}, "half_live"),
        ({"family": "exponential", "half_life": "soon"}, "half_life"),
        ({"family": "floor", "floor": 0.1, "of": {"family": "exponentail"}}, "'exponential'"),
        ({"family": "floor", "floor": 0.1, "of": {"family": "exponential", "half_live": 3}}, "half_live"),
    ],
)
def test_settings_refuse_unknown_names(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ForgettingSettings.model_validate(values)


def test_settings_default_to_none() -> None:
    assert build(ForgettingSettings()) == FAMILIES["none"]()
    assert ForgettingSettings().learned == ()


def test_what_other_families_take_is_not_written() -> None:
    settings = ForgettingSettings(family="exponential", half_life=3.0)
    assert settings.model_dump() == {
        "family": "exponential",
        "clock": "time",
        "half_life": 3.0,
        "learn": False,
        "scope": "all",
        "stretch": {},
    }


# Nested curves

SEVEN: dict[str, Any] = {"family": "exponential", "half_life": 7.0}
MOMENTS: dict[str, Any] = {"family": "geometric", "rate": 0.9}
FLOOR: dict[str, Any] = {"family": "floor", "floor": 0.1, "of": SEVEN}
POWER: dict[str, Any] = {"family": "power", "tau": 7.0, "exponent": 0.5}
BOTH: dict[str, Any] = {**POWER, "clock": "both", "moments": MOMENTS}


@pytest.mark.parametrize("clock", ["time", "moments"])
def test_what_is_above_a_floor_is_on_its_clock(clock: str) -> None:
    curve = build(ForgettingSettings.model_validate({**FLOOR, "clock": clock}))
    expected = FAMILIES["floor"](clock, floor=0.1, of=FAMILIES["exponential"](clock, half_life=7.0))
    assert curve == expected
    given = ForgettingSettings.model_validate({**FLOOR, "clock": clock, "of": ForgettingSettings(**SEVEN)})
    assert build(given) == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**FLOOR, "of": {**SEVEN, "clock": "moments"}}, "of another family on the clock `time`"),
        ({**FLOOR, "of": FLOOR}, "`floor.of` must be a curve of another family"),
        ({**FLOOR, "of": BOTH}, "`floor.of` must be a curve of another family"),
        ({**SEVEN, "of": SEVEN}, "`exponential` takes the parameters (half_life), but got (half_life, of)."),
        ({**POWER, "clock": "both"}, "`clock: both` needs `moments`, the factor of later moments"),
        ({**POWER, "moments": MOMENTS}, "`moments` needs `clock: both`, but the clock is time."),
        ({**BOTH, "clock": "moments"}, "`moments` needs `clock: both`, but the clock is moments."),
        (
            {**BOTH, "moments": {**MOMENTS, "clock": "time"}},
            "`moments` must be on the clock moments, but got time.",
        ),
        ({**BOTH, "moments": BOTH}, "`moments` must be on the clock moments, but got both."),
        (
            {**BOTH, "moments": {"family": "geometric"}},
            "`geometric` takes the parameters (rate), but got (none)",
        ),
        (
            {**BOTH, "moments": {**MOMENTS, "learn": True}},
            "`learn`, `scope` and `stretch` stand beside `moments`, not inside it: `learn: [moments.<name>]`.",
        ),
        ({**FLOOR, "of": {**SEVEN, "scope": "user", "learn": True}}, "stand beside `of`, not inside it"),
    ],
)
def test_wrong_nesting_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        ForgettingSettings.model_validate(values)


# What is learned, and whose curve it is


@pytest.mark.parametrize(
    ("values", "all_names"),
    [
        ({"family": "none"}, ()),
        (POWER, ("tau", "exponent")),
        (FLOOR, ("floor", "of.half_life")),
        (BOTH, ("tau", "exponent", "moments.rate")),
        ({"family": "mixture", "half_lives": [1, 9], "shares": [0.5, 0.5]}, ("half_lives", "shares")),
        ({"family": "monotone", "knots": [1, 9], "slopes": [0.5, 0.5]}, ("slopes",)),
        (
            {**FLOOR, "clock": "both", "moments": {**FLOOR, "of": POWER}},
            ("floor", "of.half_life", "moments.floor", "moments.of.tau", "moments.of.exponent"),
        ),
    ],
)
def test_all_that_can_be_learned(values: dict[str, Any], all_names: tuple[str, ...]) -> None:
    assert ForgettingSettings.model_validate({**values, "learn": True}).learned == all_names
    assert ForgettingSettings.model_validate({**values, "learn": False}).learned == ()
    for name in all_names:
        settings = ForgettingSettings.model_validate({**values, "learn": [name]})
        assert settings.learned == (name,)
        assert ForgettingSettings.model_validate_json(settings.model_dump_json()) == settings
        assert name in build(settings).values
    assert build(ForgettingSettings.model_validate({**values, "learn": True})) == build(
        ForgettingSettings.model_validate(values)
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {**POWER, "learn": ["tau", "rate"]},
            "`learn` must name parameters of `power` that can be learned (tau, exponent), but got 'rate'.",
        ),
        (
            {"family": "monotone", "knots": [1], "slopes": [1], "learn": ["knots"]},
            "`learn` must name parameters of `monotone` that can be learned (slopes), but got 'knots'.",
        ),
        (
            {**FLOOR, "learn": ["half_life"]},
            "that can be learned (floor, of.half_life), but got 'half_life'.",
        ),
        ({"learn": ["tau"]}, "that can be learned (none), but got 'tau'."),
        ({**POWER, "scope": "person"}, "'category'"),
        ({**POWER, "stretch": {"a": 2.0}}, "needs the scope event_type or category, but the scope is all."),
        ({**POWER, "scope": "user", "stretch": {"a": 2.0}}, "but the scope is user."),
        (
            {**POWER, "scope": "category", "stretch": {"a": 0.0}},
            "`stretch.a` must be a positive number, but got 0.0.",
        ),
        ({**POWER, "scope": "category", "stretch": {"a": math.inf}}, "`stretch.a` must be a positive number"),
        (
            {**POWER, "scope": "category"},
            "how its groups differ; add `learn: true` or `stretch` to the `power` curve.",
        ),
        ({**POWER, "scope": "user"}, "how its groups differ; add `learn: true` to the `power` curve."),
        ({**BOTH, "family": "none", "tau": None, "exponent": None}, "take `clock: moments`."),
        ({**BOTH, "moments": {"family": "none"}}, "take `clock: time`."),
    ],
)
def test_what_cannot_be_learned_or_stretched_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        ForgettingSettings.model_validate(values)


@pytest.mark.parametrize("scope", ["event_type", "category"])
def test_scope_and_stretch_are_kept(scope: str) -> None:
    settings = ForgettingSettings.model_validate(
        {**BOTH, "scope": scope, "stretch": {"buy": 3, "view": 0.5}, "learn": ["tau"]}
    )
    for again in (
        ForgettingSettings.model_validate(settings.model_dump()),
        ForgettingSettings.model_validate(json.loads(settings.model_dump_json())),
    ):
        assert again == settings
        assert hash(again) == hash(settings)
        assert (again.scope, again.stretch, again.learn) == (scope, {"buy": 3.0, "view": 0.5}, ("tau",))
    assert build(settings) == build(ForgettingSettings.model_validate(BOTH))
    assert settings != ForgettingSettings.model_validate({**BOTH, "scope": scope, "learn": ["tau"]})
