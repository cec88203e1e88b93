"""One contract for every family of forgetting functions; `FAMILIES` says which there are."""

from __future__ import annotations

import inspect
import json
import math
import pickle
import warnings
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from tests.trainers.forgetting.cases import AGES, BY_HAND, CASES, EXAMPLES, EXTREME, Values, function
from trainers.forgetting import AXES, FAMILIES, FamilyName, Forgetting, ForgettingSettings, build
from trainers.forgetting.shapes import Mixture

NEVER_HALF_GONE = ("none", "saturating")

every_case = pytest.mark.parametrize("forgetting", [function(case) for case in CASES], ids=repr)
every_family = pytest.mark.parametrize("family", list(FAMILIES))


@every_family
def test_every_family_is_covered(family: str) -> None:
    tables: dict[str, Mapping[str, Any]] = {"EXAMPLES": EXAMPLES, "EXTREME": EXTREME, "BY_HAND": BY_HAND}
    for name, table in tables.items():
        assert table.get(family), f"give `{family}` parameters in {name}: a family without them is not tested"
    assert FAMILIES[family].family == family
    assert len(EXAMPLES[family]) > 1 or not FAMILIES[family].parameters


def test_a_configuration_may_name_every_family() -> None:
    assert get_args(FamilyName) == tuple(FAMILIES)


# Values


@every_case
def test_retention_begins_where_it_says_and_stays_between_zero_and_one(forgetting: Forgetting) -> None:
    kept = forgetting.at(AGES[forgetting.clock])
    assert kept[0] == pytest.approx(forgetting.starts_at, rel=1e-14)
    assert kept[0] <= forgetting.starts_at or forgetting.starts_at < 1
    assert kept.min() >= 0
    assert kept.max() <= 1
    assert (forgetting.exponent(AGES[forgetting.clock]) >= 0).all()


def test_all_but_these_begin_at_one() -> None:
    below = {name for name, values, clock in CASES if function((name, values, clock)).starts_at != 1}
    assert below == {"saturating", "growth", "renewal", "floor"}  # a floor under `saturating`


@every_case
def test_retention_rises_only_where_the_family_says_so(forgetting: Forgetting) -> None:
    ages = np.concatenate((AGES[forgetting.clock], np.linspace(0, 200, 4001)))
    rises = np.diff(forgetting.at(np.sort(ages))).max()
    assert (rises <= 1e-15) == forgetting.monotone


@every_case
def test_the_signs_of_the_differences_alternate_where_the_family_says_so(forgetting: Forgetting) -> None:
    """Bernstein: R is a mixture of exponentials exactly where (−1)^n Δ^n R ≥ 0 for every order n and step."""
    wrong = False
    for span in (1.0, 10.0, 100.0, 1000.0):
        differences = forgetting.at(np.linspace(0.0, span, 301))
        for _ in range(4):
            differences = -np.diff(differences)
            wrong |= bool(differences.min() < -1e-13)
    assert wrong != forgetting.completely_monotone


@every_case
def test_the_derivatives_alternate_where_the_family_says_so(forgetting: Forgetting) -> None:
    if not forgetting.completely_monotone:
        return
    ages = torch.tensor([0.01, 0.3, 1.0, 7.0, 60.0, 400.0], dtype=torch.float64, requires_grad=True)
    value = forgetting.at(ages)
    for order in range(1, 5):
        if not value.requires_grad:  # a straight line: every further derivative is zero
            break
        [value] = torch.autograd.grad(value.sum(), ages, create_graph=True)
        assert ((-1) ** order * value >= -1e-15).all()


@pytest.mark.parametrize(
    ("family", "values", "age", "kept"), [(name, *row) for name, rows in BY_HAND.items() for row in rows]
)
def test_values_by_hand(family: str, values: Values, age: float, kept: float) -> None:
    forgetting = function((family, values, "time"))
    assert forgetting.at(np.array([age]))[0] == pytest.approx(kept, rel=1e-12)
    assert forgetting.exponent(np.array([age]))[0] == pytest.approx(-math.log(kept), rel=1e-12, abs=1e-15)


def test_nothing_is_left_at_the_horizon() -> None:
    kept = FAMILIES["linear"](horizon=8.0).at(np.array([8.0, 9.0, 1e9]))
    assert (kept < 1e-290).all()


# Half-lives


def last_age_above(forgetting: Forgetting, share: float) -> float:
    """By a scan and a root finder that know nothing of the family."""

    def excess(age: float) -> float:
        return float(forgetting.at(np.array([age]))[0]) - share

    ages = np.concatenate(([0.0], np.geomspace(1e-9, 1e12, 40_001)))
    above = np.flatnonzero(forgetting.at(ages) > share)
    if not len(above):
        return 0.0
    if above[-1] == len(ages) - 1:
        return math.inf
    return float(brentq(excess, ages[above[-1]], ages[above[-1] + 1], xtol=1e-14, rtol=1e-14))


@every_case
@pytest.mark.parametrize("share", [0.5, 0.9, 0.25, 0.02])
def test_the_age_at_a_share_is_where_a_root_finder_finds_it(forgetting: Forgetting, share: float) -> None:
    found, expected = forgetting.age_at(share), last_age_above(forgetting, share)
    if found > 1e12:  # out of the range of the scan
        assert math.isinf(expected)
    else:
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    if share == 0.5:
        assert forgetting.half_life == found


@every_case
def test_people_are_told_when_half_of_what_a_new_event_has_is_left(forgetting: Forgetting) -> None:
    if forgetting.starts_at == 1:
        assert forgetting.halved == forgetting.half_life
    if math.isfinite(forgetting.halved):
        assert forgetting.halved > 0
        later = forgetting.halved * np.geomspace(1 + 1e-6, 1e3, 200)
        assert (forgetting.at(later) < forgetting.starts_at / 2).all()
        just = forgetting.halved * (1 - 1e-6)
        assert forgetting.at(np.array([just]))[0] >= forgetting.starts_at / 2


@every_case
@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, math.nan])
def test_a_share_lies_between_zero_and_one(forgetting: Forgetting, share: float) -> None:
    with pytest.raises(ValueError, match="`share` must lie between 0 and 1"):
        forgetting.age_at(share)


@pytest.mark.parametrize("clock", AXES)
@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in NEVER_HALF_GONE])
@given(half_life=st.floats(0.02, 5000), data=st.data())
@settings(max_examples=25, deadline=None)
def test_from_half_life_gives_that_half_life_with_every_shape(
    family: str, clock: str, half_life: float, data: st.DataObject
) -> None:
    shapes = {
        shape.name: data.draw(st.floats(shape.least, shape.most), shape.name)
        for shape in FAMILIES[family].shapes
    }
    forgetting = FAMILIES[family].from_half_life(half_life, clock, **shapes)
    assert forgetting.half_life == pytest.approx(half_life, rel=1e-9)
    assert forgetting.at(np.array([half_life]))[0] == pytest.approx(0.5, rel=1e-9)
    assert (forgetting.at(half_life * np.geomspace(1 + 1e-6, 1e3, 500)) < 0.5).all()
    assert forgetting.clock == clock
    for name in {"exponent", "shape", "floor", "depth", "amount"} & set(forgetting.values):
        assert forgetting.values[name] == shapes[name]


def test_what_is_never_half_gone_says_what_its_half_life_is() -> None:
    assert FAMILIES["none"].from_half_life(3.0, "moments") == FAMILIES["none"]("moments")
    assert FAMILIES["none"]().half_life == math.inf
    rising = FAMILIES["saturating"].from_half_life(3.0)
    assert rising.half_life == math.inf
    begin, later = rising.exponent(np.array([0.0, 3.0]))
    assert later == pytest.approx(begin / 2)  # half of g is gone


@pytest.mark.parametrize(
    ("family", "shape", "message"),
    [
        ("logistic", {"width": 1.0}, r"`0 < width < 0.910` must hold, but got 1.0."),
        ("floor", {"floor": 0.5}, r"`0 < floor < 0.5` must hold, but got 0.5."),
        ("growth", {"amount": 0.7}, r"`0 < amount < 0.693` must hold, but got 0.7."),
    ],
)
def test_a_shape_without_that_half_life_is_refused(family: str, shape: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FAMILIES[family].from_half_life(10.0, **shape)


def test_a_mixture_takes_the_spread_of_its_scales_and_the_share_of_the_quick_one() -> None:
    quick, slow = Mixture.from_half_life(10.0, spread=9.0, share=0.25).numbers("half_lives")
    assert slow / quick == pytest.approx(9)
    assert 0.25 * 2 ** (-10 / quick) + 0.75 * 2 ** (-10 / slow) == pytest.approx(0.5)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_family_says_which_shapes_it_takes(family: str) -> None:
    taken = inspect.signature(FAMILIES[family].from_half_life).parameters
    assert list(taken) == ["half_life", "clock", *(shape.name for shape in FAMILIES[family].shapes)]


@pytest.mark.parametrize(
    ("family", "shape"),
    [
        ("logistic", {"width": 0.05}),
        ("floor", {"floor": 0.4}),
        ("growth", {"amount": 0.5}),
        ("renewal", {"depth": 0.9}),
        ("renewal", {"width": 0.1}),
        ("saturating", {"amount": 0.3}),
        ("mixture", {"spread": 4.0}),
        ("mixture", {"share": 0.8}),
    ],
)
def test_a_shape_is_alive(family: str, shape: dict[str, Any]) -> None:
    usual, other = FAMILIES[family].from_half_life(10.0), FAMILIES[family].from_half_life(10.0, **shape)
    assert np.abs(usual.at(AGES["time"][:50]) - other.at(AGES["time"][:50])).max() > 0.01
    assert other.half_life == pytest.approx(usual.half_life)


# Stretching


@every_case
@pytest.mark.parametrize("factor", [0.1, 1.0, 3.5])
def test_a_stretched_curve_is_the_same_curve_on_a_longer_axis(forgetting: Forgetting, factor: float) -> None:
    longer = forgetting.stretched(factor)
    assert type(longer) is type(forgetting)
    assert longer.clock == forgetting.clock
    ages = np.concatenate(([0.0], np.geomspace(1e-3, 1e3, 200)))
    np.testing.assert_allclose(
        longer.exponent(ages * factor), forgetting.exponent(ages), rtol=1e-9, atol=1e-14
    )
    assert longer.half_life == pytest.approx(forgetting.half_life * factor)


@every_family
@pytest.mark.parametrize("factor", [0.0, -1.0, math.inf, math.nan])
def test_a_factor_is_positive(family: str, factor: float) -> None:
    with pytest.raises(ValueError, match="`factor` must be a positive number"):
        function((family, EXAMPLES[family][0], "time")).stretched(factor)


# Gradients


@every_case
def test_gradients_agree_with_finite_differences(forgetting: Forgetting) -> None:
    ages = torch.tensor([0.01, 0.5, 2.9, 41.0, 301.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(forgetting.at, (ages,))
    assert torch.autograd.gradcheck(forgetting.exponent, (ages,))
    at_zero = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    [gradient] = torch.autograd.grad(forgetting.at(at_zero).sum(), at_zero)
    assert torch.isfinite(gradient).all()


def learnable_tensors(forgetting: Forgetting) -> tuple[list[str], list[torch.Tensor]]:
    names = [parameter.name for parameter in forgetting.learnable]
    return names, [
        torch.tensor(forgetting.values[name], dtype=torch.float64, requires_grad=True) for name in names
    ]


@every_case
def test_gradients_of_every_parameter_agree_with_finite_differences(forgetting: Forgetting) -> None:
    names, tensors = learnable_tensors(forgetting)
    ages = torch.tensor([0.0, 0.01, 0.5, 2.9, 41.0, 301.0], dtype=torch.float64)
    if not names:
        assert forgetting.family == "none"
        return
    # The least slope and the greatest rate stand at the end of their domain: beyond, there is nothing to compare with.
    inside = [name for name in names if forgetting.values[name] != 1.0 and name != "slopes"]

    def lost(*values: torch.Tensor) -> torch.Tensor:
        found = forgetting.curve(ages, {**forgetting.values, **dict(zip(names, values, strict=True))})
        assert isinstance(found, torch.Tensor)
        return found

    assert torch.autograd.gradcheck(lost, tensors)
    kept = torch.exp(-lost(*tensors)).sum()
    for name, gradient in zip(names, torch.autograd.grad(kept, tensors), strict=True):
        assert torch.isfinite(gradient).all()
        if name in inside and not name.endswith("shares"):
            assert (gradient != 0).all(), f"{name} is dead"


@every_case
def test_gradients_stay_finite_at_every_age(forgetting: Forgetting) -> None:
    for values in EXTREME[forgetting.family]:
        extreme = function((forgetting.family, values, forgetting.clock))
        names, tensors = learnable_tensors(extreme)
        ages = torch.from_numpy(AGES[forgetting.clock]).requires_grad_()
        known = {**extreme.values, **dict(zip(names, tensors, strict=True))}
        kept = torch.exp(-extreme.curve(ages, known)).sum()
        for gradient in torch.autograd.grad(kept, [ages, *tensors], allow_unused=True):
            assert gradient is None or torch.isfinite(gradient).all()


@every_case
def test_a_value_for_each_row_is_as_good_as_a_row_for_each_value(forgetting: Forgetting) -> None:
    """[N] numbers and [N, K] lists against [N] ages, arrays and tensors, mixed in any way."""
    ages = np.array([0.3, 5.0, 70.0])
    factors = np.array([1.0, 0.5, 2.0])
    curves = [forgetting.stretched(float(factor)) for factor in factors]
    rows = {name: np.array([curve.values[name] for curve in curves]) for name in forgetting.values}
    expected = [curve.exponent(ages[i : i + 1])[0] for i, curve in enumerate(curves)]
    np.testing.assert_allclose(forgetting.curve(ages, rows), expected, rtol=1e-12, atol=1e-15)
    tensors = {name: torch.from_numpy(value) for name, value in rows.items()}
    for age in (ages, torch.from_numpy(ages)):
        np.testing.assert_allclose(forgetting.curve(age, tensors), expected, rtol=1e-12, atol=1e-15)
    assert all(isinstance(forgetting.curve(ages, tensors), torch.Tensor) for _ in forgetting.parameters)


# Arrays, tensors, clocks


@every_case
def test_arrays_and_tensors_agree(forgetting: Forgetting) -> None:
    ages = AGES[forgetting.clock].reshape(-1, 1)
    kept = forgetting.at(ages)
    tensor = forgetting.at(torch.from_numpy(ages))
    assert isinstance(kept, np.ndarray)
    assert isinstance(tensor, torch.Tensor)
    assert kept.shape == tuple(tensor.shape) == ages.shape
    np.testing.assert_allclose(tensor.numpy(), kept, rtol=1e-12, atol=1e-280)


@every_case
def test_single_precision_stays_single_and_is_near(forgetting: Forgetting) -> None:
    ages: npt.NDArray[Any] = AGES[forgetting.clock].astype(np.float32)
    kept: npt.NDArray[Any] = forgetting.at(ages)
    tensor = forgetting.at(torch.from_numpy(ages))
    assert kept.dtype == np.float32
    assert tensor.dtype == torch.float32
    assert forgetting.curve(torch.from_numpy(ages), forgetting.values).dtype == torch.float32
    exact = forgetting.at(ages.astype(np.float64))
    np.testing.assert_allclose(kept, exact, rtol=0, atol=2e-6)
    np.testing.assert_allclose(tensor.numpy(), exact, rtol=0, atol=2e-6)


@every_case
def test_whole_numbers_are_ages(forgetting: Forgetting) -> None:
    whole: npt.NDArray[Any] = np.arange(5)
    expected = forgetting.at(whole.astype(np.float64))
    np.testing.assert_allclose(forgetting.at(whole), expected, rtol=1e-12)
    np.testing.assert_allclose(forgetting.at(torch.arange(5)).numpy(), expected, rtol=1e-6)


@every_case
def test_the_clock_chooses_the_age(forgetting: Forgetting) -> None:
    days, moments = np.array([3.0, 11.0]), np.array([1.0, 2.0])
    ages = days if forgetting.clock == "time" else moments
    assert np.array_equal(forgetting.retention(days, moments), forgetting.at(ages))
    assert np.array_equal(forgetting.lost(days, moments), forgetting.exponent(ages))
    assert forgetting.unit == {"time": "days", "moments": "moments"}[forgetting.clock]
    assert forgetting.factors == (forgetting,)
    longer = forgetting.stretched(2.0)
    assert np.array_equal(forgetting.lost(days, moments, longer.values), longer.exponent(ages))


@every_family
def test_extremes_stay_finite_without_a_warning(family: str) -> None:
    for values in EXTREME[family] + EXAMPLES[family]:
        for clock, ages in AGES.items():
            forgetting = function((family, values, clock))
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                kept, lost = forgetting.at(ages), forgetting.exponent(ages)
                half_life = forgetting.half_life
            assert kept[0] == pytest.approx(forgetting.starts_at, abs=1e-15)
            assert np.isfinite(lost).all()
            assert (lost >= 0).all()
            assert ((kept >= 0) & (kept <= 1)).all()
            assert half_life >= 0  # infinite where the curve is never half gone; never nan
            assert torch.isfinite(forgetting.exponent(torch.from_numpy(ages))).all()


@every_family
def test_extremes_stay_finite_in_single_precision(family: str) -> None:
    """As a network computes: free numbers of single precision, values, retention, and what flows back."""
    for values in EXTREME[family] + EXAMPLES[family]:
        for clock, ages in AGES.items():
            forgetting = function((family, values, clock))
            free = {
                each.name: torch.as_tensor(each.to_free(forgetting.values[each.name]))
                .float()
                .requires_grad_()
                for each in forgetting.learnable
            }
            learned = {each.name: each.from_free(free[each.name]) for each in forgetting.learnable}
            age = torch.from_numpy(ages[::20]).float().requires_grad_()
            kept = torch.exp(-forgetting.curve(age, {**forgetting.values, **learned}))
            assert kept.dtype == torch.float32
            assert ((kept >= 0) & (kept <= 1)).all()
            for gradient in torch.autograd.grad(kept.sum(), [age, *free.values()], allow_unused=True):
                assert gradient is None or torch.isfinite(gradient).all()


# Keeping


@every_case
def test_configuration_round_trip(forgetting: Forgetting) -> None:
    plain = json.loads(json.dumps(forgetting.to_dict()))
    again = build(ForgettingSettings.model_validate(plain))
    assert again == forgetting
    assert hash(again) == hash(forgetting)
    assert type(again) is type(forgetting)
    settings = ForgettingSettings.model_validate(forgetting.to_dict())
    assert ForgettingSettings.model_validate_json(settings.model_dump_json()) == settings
    assert ForgettingSettings.model_validate(settings.model_dump()) == settings
    assert hash(ForgettingSettings.model_validate(settings.model_dump())) == hash(settings)


@every_case
def test_a_copy_of_another_process_is_the_same(forgetting: Forgetting) -> None:
    again = pickle.loads(pickle.dumps(forgetting))
    assert again == forgetting
    ages = AGES[forgetting.clock][:50]
    assert np.array_equal(again.at(ages), forgetting.at(ages))
    assert again.parameters == forgetting.parameters


@every_case
def test_learned_values_become_a_curve(forgetting: Forgetting) -> None:
    """The way of a learner: free numbers, tensors, values, a curve."""
    free = {
        each.name: torch.from_numpy(each.to_free(forgetting.values[each.name]))
        for each in forgetting.learnable
    }
    values = {each.name: each.from_free(free[each.name].requires_grad_()) for each in forgetting.learnable}
    again = forgetting.with_values(values)
    assert type(again) is type(forgetting)
    ages = np.geomspace(0.01, 100, 50)
    np.testing.assert_allclose(again.exponent(ages), forgetting.exponent(ages), rtol=1e-9, atol=1e-6)
    assert forgetting.with_values({}) == forgetting
    moved = forgetting.stretched(2.0)
    assert forgetting.with_values(moved.values) == moved


def test_no_two_different_functions_are_equal() -> None:
    functions = [function(case) for case in CASES]
    assert len(set(functions)) == len(functions)
    assert functions[0] != "none"
    assert len({repr(forgetting) for forgetting in functions}) == len(functions)


def test_repr_names_clock_and_parameters() -> None:
    forgetting = FAMILIES["power"]("moments", tau=7, exponent=0.5)
    assert repr(forgetting) == "Power(clock='moments', tau=7, exponent=0.5)"
    floor = FAMILIES["floor"](floor=0.1, of=FAMILIES["exponential"](half_life=7))
    assert repr(floor) == "Floor(clock='time', floor=0.1, of=Exponential(clock='time', half_life=7))"
    mixture = FAMILIES["mixture"](half_lives=(1, 2), shares=(0.5, 0.5))
    assert repr(mixture) == "Mixture(clock='time', half_lives=(1, 2), shares=(0.5, 0.5))"


@every_case
def test_a_curve_that_is_a_sum_of_exponentials_knows_which(forgetting: Forgetting) -> None:
    found = forgetting.exponentials()
    if found is None:
        assert forgetting.family not in ("none", "exponential", "geometric", "mixture")
        return
    rates, weights = found
    ages = np.geomspace(1e-3, 1e3, 100)
    np.testing.assert_allclose(
        np.exp(-np.outer(ages, rates)) @ weights, forgetting.at(ages), rtol=0, atol=1e-15
    )
