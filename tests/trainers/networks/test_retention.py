"""Forgetting functions inside networks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers.forgetting.cases import EXAMPLES
from trainers.forgetting import ForgettingSettings, build
from trainers.networks.retention import Retention

POWER: dict[str, Any] = {"family": "power", "tau": 3.0, "exponent": 0.7}
BOTH: dict[str, Any] = {
    **POWER,
    "clock": "both",
    "moments": {"family": "mixture", "half_lives": (1.0, 9.0), "shares": (0.3, 0.7)},
}
DAYS = torch.tensor([[[0.0, 0.3, 2.0, 90.0], [1.0, 5.0, 0.0, 700.0]]])
LATER = torch.tensor([[[0.0, 0.0, 3.0, 40.0], [2.0, 1.0, 0.0, 6.0]]])
FAMILIES = [(name, values) for name, several in EXAMPLES.items() for values in several]
every_family = pytest.mark.parametrize(("family", "values"), FAMILIES)


def settings(**values: Any) -> ForgettingSettings:
    return ForgettingSettings.model_validate(values)


@pytest.mark.parametrize("clock", ["time", "moments"])
@pytest.mark.parametrize("learn", [False, True])
@every_family
def test_it_begins_as_the_curve(family: str, values: dict[str, Any], clock: str, learn: bool) -> None:
    chosen = settings(family=family, clock=clock, learn=learn, **values)
    log_kept = Retention(chosen)(DAYS, LATER)
    assert log_kept.shape == (1, 1, 2, 4)
    expected = build(chosen).at((DAYS if clock == "time" else LATER).double().numpy())
    np.testing.assert_allclose(log_kept[0].exp().detach().numpy(), expected, rtol=1e-3, atol=1e-5)
    assert log_kept.dtype == torch.float32


def test_on_both_clocks_it_is_the_product() -> None:
    chosen = settings(**BOTH, learn=True)
    kept = Retention(chosen)(DAYS, LATER)[0].exp().detach().numpy()
    expected = build(chosen).retention(DAYS.double().numpy(), LATER.double().numpy())
    np.testing.assert_allclose(kept, expected, rtol=1e-5)


@every_family
def test_learned_values_have_finite_gradients(family: str, values: dict[str, Any]) -> None:
    """At age zero too, where a logarithm of it would be none."""
    retention = Retention(settings(family=family, learn=True, **values))
    names = [each.name for each in retention.learned]
    assert names == [each.name for each in retention.curve.learnable]
    total = (retention(DAYS, LATER).exp() * torch.tensor([1.0, -2.0, 3.0, 0.5])).sum()
    if names:
        total.backward()
    for parameter in retention.parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()


def test_only_what_is_to_be_learned_is_a_parameter() -> None:
    assert list(Retention(settings(**POWER)).parameters()) == []
    one = Retention(settings(**BOTH, learn=("tau", "moments.half_lives")))
    assert {name: tuple(value.shape) for name, value in one.values().items()} == {
        "tau": (1, 1, 1, 1),
        "moments.half_lives": (1, 1, 1, 1, 2),
    }
    assert one.values()["moments.half_lives"].flatten().tolist() == pytest.approx([1, 9])
    one(DAYS, LATER).exp().sum().backward()
    for parameter in one.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().min() > 0


def test_a_step_of_a_learned_value_is_a_step_of_the_curve() -> None:
    retention = Retention(settings(**POWER, learn=("tau",)))
    with torch.no_grad():
        for parameter in retention.parameters():
            parameter.add_(float(np.log(2)))
    expected = build(settings(**{**POWER, "tau": 6.0})).at(DAYS.numpy())
    np.testing.assert_allclose(retention(DAYS, LATER)[0].exp().detach().numpy(), expected, rtol=1e-5)


def test_heads_begin_with_time_axes_of_their_own() -> None:
    """Of three heads the middle one has the curve as it is given, the others e times quicker and slower."""
    retention = Retention(settings(**POWER, learn=True, scope="head"), heads=3)
    log_kept = retention(DAYS, LATER)
    assert log_kept.shape == (3, 1, 2, 4)
    curve = build(settings(**POWER))
    for head, stretch in enumerate((np.exp(-1), 1.0, np.e)):
        expected = curve.stretched(stretch).at(DAYS.double().numpy())
        np.testing.assert_allclose(log_kept[head].exp().detach().numpy(), expected, rtol=1e-5)


def test_heads_learn_apart() -> None:
    retention = Retention(settings(**POWER, learn=True, scope="head"), heads=2)
    retention(DAYS, LATER)[1].sum().backward()
    for parameter in retention.parameters():
        assert parameter.grad is not None
        assert parameter.grad[0].abs().max() == 0
        assert parameter.grad[1].abs().max() > 0


@pytest.mark.parametrize("learn", [False, True])
def test_heads_share_what_is_not_their_own(learn: bool) -> None:
    """With the scope `all` there is one curve."""
    log_kept = Retention(settings(**BOTH, learn=learn), heads=2)(DAYS, LATER)
    for head in log_kept:
        torch.testing.assert_close(head, log_kept[0])


@every_family
def test_the_curves_are_what_was_learned(family: str, values: dict[str, Any]) -> None:
    retention = Retention(settings(family=family, learn=True, scope="head", **values), heads=3)
    with torch.no_grad():
        for parameter in retention.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    log_kept = retention(DAYS, LATER).detach().numpy()
    assert len(retention.curves()) == retention.heads
    for head, curve in enumerate(retention.curves()):
        assert curve.family == family
        np.testing.assert_allclose(
            np.exp(log_kept[head]), curve.at(DAYS.double().numpy()), rtol=1e-3, atol=1e-5
        )


def test_on_both_clocks_the_curve_is_a_product_too() -> None:
    retention = Retention(settings(**BOTH, learn=True))
    with torch.no_grad():
        for parameter in retention.parameters():
            parameter.add_(0.2)
    [curve] = retention.curves()
    assert curve.values["tau"] == pytest.approx(3.0 * math.exp(0.2))
    expected = curve.retention(DAYS.double().numpy(), LATER.double().numpy())
    np.testing.assert_allclose(retention(DAYS, LATER)[0].exp().detach().numpy(), expected, rtol=1e-4)
