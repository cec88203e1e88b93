"""The product of a curve on each clock."""

from __future__ import annotations

import json
import math
import pickle
import warnings

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from tests.trainers.forgetting.cases import AGES, EXTREME, function
from trainers.forgetting import FAMILIES, Forgetting, ForgettingSettings, Product, build

TIME = FAMILIES["power"]("time", tau=7.0, exponent=0.5)
MOMENTS = FAMILIES["geometric"]("moments", rate=0.9)
BOTH = Product(TIME, MOMENTS)
WIDE = Product(
    FAMILIES["floor"]("time", floor=0.2, of=FAMILIES["weibull"](tau=3.0, shape=0.5)),
    FAMILIES["mixture"]("moments", half_lives=(1.0, 9.0), shares=(0.4, 0.6)),
)
DAYS, LATER = np.array([0.0, 21.0, 2.0, 400.0]), np.array([0.0, 2.0, 7.0, 30.0])
every_product = pytest.mark.parametrize("curve", [BOTH, WIDE], ids=["power×geometric", "floor×mixture"])


def test_values_by_hand() -> None:
    assert BOTH.retention(DAYS, LATER)[0] == 1.0
    assert BOTH.retention(DAYS, LATER)[1] == pytest.approx(0.5 * 0.81, rel=1e-14)
    assert BOTH.lost(DAYS, LATER)[1] == pytest.approx(math.log(2) - 2 * math.log(0.9), rel=1e-14)


@every_product
def test_retention_is_the_product(curve: Product) -> None:
    expected = curve.time.at(DAYS) * curve.moments.at(LATER)
    np.testing.assert_allclose(curve.retention(DAYS, LATER), expected, rtol=1e-13)
    np.testing.assert_allclose(np.exp(-curve.lost(DAYS, LATER)), expected, rtol=1e-13)
    tensor = curve.retention(torch.from_numpy(DAYS), torch.from_numpy(LATER))
    np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-13)
    single = curve.retention(torch.from_numpy(DAYS).float(), torch.from_numpy(LATER).float())
    assert single.dtype == torch.float32
    assert curve.factors == (curve.time, curve.moments)


@every_product
def test_alone_it_is_the_factor_of_time(curve: Product) -> None:
    assert (curve.clock, curve.unit, curve.family) == ("both", "days", curve.time.family)
    np.testing.assert_array_equal(curve.at(DAYS), curve.time.at(DAYS))
    np.testing.assert_array_equal(curve.at(DAYS), curve.retention(DAYS, 0 * DAYS))
    np.testing.assert_array_equal(curve.exponent(DAYS), curve.time.exponent(DAYS))
    assert curve.half_life == curve.time.half_life
    assert curve.age_at(0.7) == curve.time.age_at(0.7)
    assert curve.moments_half_life == curve.moments.half_life
    assert curve.starts_at == 1.0


@every_product
def test_gradients_of_every_parameter_agree_with_finite_differences(curve: Product) -> None:
    names = [parameter.name for parameter in curve.learnable]
    values = [torch.tensor(curve.values[name], dtype=torch.float64, requires_grad=True) for name in names]
    days, moments = torch.from_numpy(DAYS), torch.from_numpy(LATER)

    def lost(*given: torch.Tensor) -> torch.Tensor:
        found = curve.lost(days, moments, dict(zip(names, given, strict=True)))
        assert isinstance(found, torch.Tensor)
        return found

    assert torch.autograd.gradcheck(lost, values)
    for gradient in torch.autograd.grad(lost(*values).sum(), values):
        assert (gradient != 0).any()


@every_product
def test_round_trips(curve: Product) -> None:
    plain = json.loads(json.dumps(curve.to_dict()))
    assert plain["clock"] == "both"
    assert plain["moments"]["clock"] == "moments"
    settings = ForgettingSettings.model_validate(plain)
    assert ForgettingSettings.model_validate_json(settings.model_dump_json()) == settings
    for again in (build(settings), pickle.loads(pickle.dumps(curve)), curve.with_values({})):
        assert isinstance(again, Product)
        assert again == curve
        assert hash(again) == hash(curve)
        assert repr(again) == repr(curve)
        assert again.parameters == curve.parameters
        assert again.values == curve.values


@every_product
def test_it_is_stretched_on_both_clocks(curve: Product) -> None:
    longer = curve.stretched(3.0)
    np.testing.assert_allclose(longer.lost(3 * DAYS, 3 * LATER), curve.lost(DAYS, LATER), rtol=1e-12)
    assert longer.half_life == pytest.approx(3 * curve.half_life)
    assert longer.moments_half_life == pytest.approx(3 * curve.moments_half_life)
    np.testing.assert_allclose(
        curve.lost(3 * DAYS, 3 * LATER, longer.values), longer.lost(3 * DAYS, 3 * LATER)
    )
    assert curve.with_values(longer.values) == longer


def test_learned_values_become_a_curve() -> None:
    moved = BOTH.with_values({"tau": torch.tensor(3.0), "moments.rate": np.array(0.5)})
    assert moved == Product(TIME.with_values({"tau": 3.0}), MOMENTS.with_values({"rate": 0.5}))


def test_it_falls_where_both_fall() -> None:
    rising = FAMILIES["saturating"]("moments", amount=1.0, rate=1.0)
    assert (BOTH.monotone, BOTH.completely_monotone) == (True, True)
    assert (Product(TIME, rising).monotone, Product(TIME, rising).completely_monotone) == (False, False)


def test_it_differs_from_its_factors() -> None:
    curves: set[Forgetting] = {TIME, MOMENTS, BOTH, WIDE, Product(TIME, MOMENTS.stretched(2.0))}
    assert len(curves) == 5


@pytest.mark.parametrize("pair", [(TIME, TIME), (MOMENTS, MOMENTS), (MOMENTS, TIME), (BOTH, MOMENTS)])
def test_each_factor_has_its_clock(pair: tuple[Forgetting, Forgetting]) -> None:
    with pytest.raises(ValueError, match="`both` takes a curve on `time` and one on `moments`, but got"):
        Product(*pair)


def test_the_floor_follows_what_is_above_it() -> None:
    rising = FAMILIES["saturating"](amount=1.0, rate=1.0)
    floor = FAMILIES["floor"](floor=0.25, of=rising)
    assert floor.starts_at == pytest.approx(0.25 + 0.75 * math.exp(-1))
    assert (floor.monotone, floor.half_life) == (False, math.inf)
    assert FAMILIES["floor"](floor=0.5, of=TIME).half_life == math.inf
    assert [parameter.name for parameter in floor.parameters] == ["floor", "of.amount", "of.rate"]


FORGETS = [family for family in FAMILIES if family != "none"]


@pytest.mark.parametrize("family", FORGETS)
def test_extremes_stay_finite_on_both_clocks(family: str) -> None:
    """Every pair of extreme curves of a family, at ages from 0 to 30 years and to a million later moments."""
    days, moments = (
        ages[::200, None] if clock == "time" else ages[None, ::200] for clock, ages in AGES.items()
    )
    for values in EXTREME[family]:
        for others in EXTREME[family]:
            curve = Product(function((family, values, "time")), function((family, others, "moments")))
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                kept, lost = curve.retention(days, moments), curve.lost(days, moments)
            assert np.isfinite(lost).all()
            assert (lost >= 0).all()
            assert ((kept >= 0) & (kept <= 1)).all()
            tensors = [torch.from_numpy(ages.copy()).requires_grad_() for ages in (days, moments)]
            left = curve.retention(*tensors)
            np.testing.assert_allclose(left.detach().numpy(), kept, rtol=1e-12, atol=1e-280)
            assert all(
                torch.isfinite(gradient).all() for gradient in torch.autograd.grad(left.sum(), tensors)
            )


@every_product
def test_gradients_of_ages_agree_with_finite_differences(curve: Product) -> None:
    ages = [torch.from_numpy(given[1:].copy()).requires_grad_() for given in (DAYS, LATER)]
    assert torch.autograd.gradcheck(curve.retention, ages)
    for gradient in torch.autograd.grad(curve.retention(*ages).sum(), ages):
        assert (gradient < 0).all()


@every_product
def test_half_lives_are_where_half_is_left(curve: Product) -> None:
    """Each while the other clock stands still; a root finder knows no closed form."""
    zero = np.zeros(1)

    def excess(age: float, moved: int) -> float:
        given = [zero, zero]
        given[moved] = np.array([age])
        return float(curve.retention(*given)[0]) - 0.5

    for moved, half_life in enumerate((curve.half_life, curve.moments_half_life)):
        assert half_life == pytest.approx(brentq(excess, 0.0, 1e4, args=(moved,)), rel=1e-9)
