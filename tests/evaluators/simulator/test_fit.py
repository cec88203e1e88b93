"""What was simulated is found again."""

from __future__ import annotations

import numpy as np
import pytest

from evaluators.simulator import Exponential, Parameters, Power, World, fit


def logged(parameters: Parameters, users: int, days: int, seed: int) -> tuple[np.ndarray, ...]:
    world = World(parameters, days=days, seed=seed)
    return world.roam(world.people(users), float(days)).packed(users)


def test_a_fading_world_is_found_again() -> None:
    true = Parameters(retention=Exponential(4.0), fade=25.0, repeat=0.5)
    found = fit(*logged(true, 500, 75, 1))
    assert isinstance(found.retention, Exponential)
    assert found.retention.half_life == pytest.approx(4.0, rel=0.12)
    assert found.repeat == pytest.approx(0.5, abs=0.02)
    assert found.fade == pytest.approx(25.0, rel=0.25)
    assert found.popularity == pytest.approx(0.9, abs=0.25)
    assert found.gap == pytest.approx(2.0, rel=0.08)
    assert found.gap_within == pytest.approx(0.8, rel=0.03)
    assert found.gap_between == pytest.approx(0.6, rel=0.1)
    assert found.join == pytest.approx(30, rel=0.1)
    assert found.stay == pytest.approx(0.2, abs=0.02)


@pytest.mark.slow
def test_another_world_is_told_from_it() -> None:
    true = Parameters(
        retention=Power(2.0, 1.0), fade=1e9, repeat=0.7, popularity=0.6, gap=1.0, gap_within=0.5, gap_between=0.2,
        stay=0.4, join=8.0,
    )  # fmt: skip
    found = fit(*logged(true, 300, 60, 2), assumed=Parameters(bias=1.3, outside=0.7))
    assert isinstance(found.retention, Power)
    half_life = found.retention.tau * (2 ** (1 / found.retention.exponent) - 1)
    assert half_life == pytest.approx(2.0, rel=0.2)
    assert found.retention(np.array([20.0]))[0] == pytest.approx(1 / 11, rel=0.25)
    assert found.repeat == pytest.approx(0.7, abs=0.03)
    assert found.popularity == pytest.approx(0.6, abs=0.1)
    assert found.fade > 400
    assert (found.gap, found.gap_within) == pytest.approx((1.0, 0.5), rel=0.06)
    assert found.gap_between == pytest.approx(0.2, abs=0.04)
    assert found.stay == pytest.approx(0.4, abs=0.02)
    assert found.join == pytest.approx(8, rel=0.15)
    assert (found.bias, found.outside) == (1.3, 0.7)
    assert 295 <= found.items <= 300  # some were never taken


def test_a_log_of_single_sessions_tells_nothing() -> None:
    with pytest.raises(ValueError, match="users with two sessions"):
        fit(np.array([0, 1, 2]), np.array([0, 1]), np.array([0.0, 9e6]))
