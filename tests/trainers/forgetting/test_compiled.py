"""Curves as a few exponentials: how near they are, that they say so, that states are sums."""

from __future__ import annotations

import json
import math
import pickle
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests.trainers.forgetting.cases import EXAMPLES, function
from trainers.forgetting import FAMILIES, Forgetting, Product
from trainers.forgetting.compiled import AGES, Compiled, ItemStates, compile
from trainers.histories import Histories

POWER = FAMILIES["power"]("time", tau=7.0, exponent=0.5)
MOMENTS = FAMILIES["geometric"]("moments", rate=0.9)
SHARP = FAMILIES["weibull"]("time", tau=80.0, shape=2.5)
compiled = cache(compile)
ONE_CLOCK = [
    *(function((name, values, "time")) for name in FAMILIES for values in EXAMPLES[name][:2]),
    *(function((name, EXAMPLES[name][0], "moments")) for name in ("power", "weibull", "renewal")),
]


def ages_of(curve: Forgetting, count: int = 5000) -> npt.NDArray[np.float64]:
    """Age 0, and random ages of those that matter."""
    low, high = AGES[curve.clock]
    return np.concatenate(([0.0], low * (high / low) ** np.random.default_rng(1).random(count)))


# How near


@pytest.mark.parametrize(
    ("curve", "states"),
    [
        (FAMILIES["none"](), 1),
        (FAMILIES["exponential"](half_life=3.0), 1),
        (FAMILIES["exponential"]("moments", half_life=0.4), 1),
        (FAMILIES["geometric"]("moments", rate=0.97), 1),
        (FAMILIES["weibull"](tau=4.0, shape=1.0), 1),
        (FAMILIES["mixture"](half_lives=(1.0, 30.0, 400.0), shares=(0.2, 0.3, 0.5)), 3),
        (FAMILIES["floor"](floor=0.2, of=FAMILIES["exponential"](half_life=3.0)), 2),
    ],
)
def test_a_sum_of_exponentials_is_exact(curve: Forgetting, states: int) -> None:
    found = compiled(curve, states)
    assert found.states == states
    assert found.error < 1e-9
    np.testing.assert_allclose(found.at(ages_of(curve)), curve.at(ages_of(curve)), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("curve", "states", "error"),
    [
        (POWER, 8, 2e-4),
        (POWER, 12, 5e-5),
        (FAMILIES["hyperbolic"](tau=0.7), 12, 3e-5),
        (FAMILIES["weibull"](tau=12.0, shape=0.4), 12, 2e-4),
        (FAMILIES["power"]("moments", tau=2.0, exponent=0.3), 8, 1e-4),
        (FAMILIES["floor"](floor=0.6, of=POWER), 8, 1e-4),
        (FAMILIES["mixture"](half_lives=np.geomspace(0.1, 900, 15), shares=np.full(15, 1 / 15)), 8, 2e-3),
        (SHARP, 12, 3e-3),
    ],
)
def test_few_states_come_near(curve: Forgetting, states: int, error: float) -> None:
    assert compiled(curve, states).error < error


@pytest.mark.parametrize("curve", ONE_CLOCK, ids=repr)
def test_the_error_is_a_bound_and_no_more_than_needed(curve: Forgetting) -> None:
    found = compiled(curve, 5)
    off = np.abs(found.at(ages_of(curve)) - curve.at(ages_of(curve))).max()
    assert off <= found.error <= 1.2 * off + 1e-12
    assert found.states <= 5
    assert (found.weights != 0).all()
    if curve.completely_monotone:
        assert (found.weights > 0).all()
        assert found.error < 0.02
    assert found.clock == curve.clock
    assert (found.rates >= 0).all()


@pytest.mark.parametrize("width", [1e-4, 1e-2, 0.3])
def test_the_error_counts_what_returns_between_two_ages_of_the_grid(width: float) -> None:
    curve = FAMILIES["renewal"](half_life=30.0, interval=7.0, depth=0.9, width=width)
    for each in (curve, FAMILIES["floor"](floor=0.2, of=curve)):
        found = compiled(each, 8)
        ages = 7 * np.exp(width * np.linspace(-4, 4, 999))
        assert np.abs(found.at(ages) - each.at(ages)).max() <= found.error


@pytest.mark.parametrize("curve", [POWER, SHARP, FAMILIES["renewal"].from_half_life(20.0)], ids=repr)
def test_more_states_are_nearer(curve: Forgetting) -> None:
    errors = [compiled(curve, states).error for states in (1, 2, 4, 8)]
    assert all(more <= 1.02 * fewer for fewer, more in pairwise(errors))
    assert errors[-1] < 0.3 * errors[0]


def test_the_ages_that_matter_are_given() -> None:
    wide, near = compiled(POWER, 3), compiled(POWER, 3, (0.1, 30.0))
    assert near.error < 0.3 * wide.error
    assert near.ages == {"time": (0.1, 30.0)}
    ages = np.geomspace(0.1, 30, 1000)
    assert np.abs(near.at(ages) - POWER.at(ages)).max() <= near.error
    both = compile(Product(POWER, MOMENTS), 3, {"time": (0.1, 30.0)})
    assert both.ages == {"time": (0.1, 30.0), "moments": AGES["moments"]}
    assert both.error == pytest.approx(near.error)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"states": 0}, "`states >= 1` must hold, but got 0."),
        ({"ages": (0.0, 1.0)}, r"`0 < low < high` must hold for `ages`, but got \(0, 1\)."),
        ({"ages": (2.0, 1.0)}, r"`0 < low < high` must hold for `ages`, but got \(2, 1\)."),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compile(POWER, **arguments)


# As a forgetting function

BOTH = Product(POWER, FAMILIES["power"]("moments", tau=3.0, exponent=1.5))
every_clock = pytest.mark.parametrize("curve", [POWER, BOTH.moments, BOTH], ids=["time", "moments", "both"])


def histories(events: int = 400) -> Histories:
    random = np.random.default_rng(0)
    return Histories(
        np.array([0, events]),
        random.integers(0, 9, events).astype(np.int32),
        random.uniform(0, 400, events),
        random.integers(0, 60, events).astype(np.float64),
        random.uniform(0.5, 2, events).astype(np.float32),
        np.arange(events),
        9,
    )


@every_clock
def test_histories_take_it_as_any_curve(curve: Forgetting) -> None:
    found, past = compiled(curve, 6), histories()
    off = np.abs(found.retention(past.days, past.moments) - curve.retention(past.days, past.moments))
    assert 0 < off.max() <= found.error
    for weighted in (False, True):
        expected = past.retained(curve, weighted)
        np.testing.assert_allclose(past.retained(found, weighted), expected, atol=2 * found.error)
        assert past.profile(found, weighted).shape == (1, 9)


@every_clock
def test_arrays_and_tensors_agree(curve: Forgetting) -> None:
    found, past = compiled(curve, 6), histories()
    kept = found.retention(past.days, past.moments)
    tensor = found.retention(torch.from_numpy(past.days), torch.from_numpy(past.moments))
    np.testing.assert_allclose(tensor.numpy(), kept, rtol=1e-12)
    np.testing.assert_allclose(np.exp(-found.lost(past.days, past.moments)), kept, rtol=1e-12)
    single = found.retention(torch.from_numpy(past.days).float(), torch.from_numpy(past.moments).float())
    assert single.dtype == torch.float32
    np.testing.assert_allclose(np.exp(-found.exponent(past.days)), found.at(past.days), rtol=1e-12)
    nothing = 0 * past.days
    alone = (
        found.retention(nothing, past.days)
        if curve.clock == "moments"
        else found.retention(past.days, nothing)
    )
    np.testing.assert_array_equal(found.at(past.days), alone)


@every_clock
def test_it_says_of_itself_what_curves_say(curve: Forgetting) -> None:
    found = compiled(curve, 8)
    assert (found.clock, found.unit) == (curve.clock, curve.unit)
    assert found.half_life == pytest.approx(curve.half_life, rel=0.02)
    assert found.at(np.array([found.half_life]))[0] == pytest.approx(0.5, rel=1e-9)
    assert found.starts_at == pytest.approx(found.at(np.zeros(1))[0])
    assert (found.parameters, found.values) == ((), {})
    assert found.monotone
    longer = found.stretched(3.0)
    past = histories()
    np.testing.assert_allclose(
        longer.retention(3 * past.days, 3 * past.moments), found.retention(past.days, past.moments)
    )
    assert longer.half_life == pytest.approx(3 * found.half_life)
    assert found.with_values({}) == found
    assert repr(found).startswith(f"Compiled(clock='{curve.clock}', states=")


def test_what_never_falls_to_half_has_no_half_life() -> None:
    assert compiled(FAMILIES["floor"](floor=0.6, of=POWER), 8).half_life == math.inf
    assert compiled(FAMILIES["none"](), 1).half_life == math.inf


@every_clock
def test_it_is_kept_in_a_file(curve: Forgetting) -> None:
    found = compiled(curve, 6)
    for again in (
        Compiled.from_dict(json.loads(json.dumps(found.to_dict()))),
        pickle.loads(pickle.dumps(found)),
    ):
        assert again == found
        assert hash(again) == hash(found)
        assert again.error == found.error
        past = histories()
        np.testing.assert_array_equal(
            again.retention(past.days, past.moments), found.retention(past.days, past.moments)
        )
    assert found != compiled(curve, 5)


@pytest.mark.parametrize(
    "both", [BOTH, Product(FAMILIES["exponential"](half_life=9.0), BOTH.moments)], ids=repr
)
def test_a_product_is_every_state_with_every_other(both: Product) -> None:
    found, time, moments = compiled(both, 4), compiled(both.time, 4), compiled(both.moments, 4)
    assert found.states == time.states * moments.states
    past = histories()
    expected = time.at(past.days) * moments.at(past.moments)
    np.testing.assert_allclose(found.retention(past.days, past.moments), expected, rtol=1e-12)
    assert found.error >= max(time.error, moments.error)
    random = np.random.default_rng(2)
    days, later = (low * (high / low) ** random.random(4000) for low, high in AGES.values())
    days[:400], later[400:800] = 0.0, 0.0  # where one factor is whole, the other is off by all of its error
    off = np.abs(found.retention(days, later) - both.retention(days, later)).max()
    assert off <= found.error


# States


@pytest.mark.parametrize(
    "curve", [POWER, BOTH.moments, BOTH, SHARP], ids=["time", "moments", "both", "signed"]
)
def test_a_state_is_the_sum_over_all_events(curve: Forgetting) -> None:
    found = compiled(curve, 6)
    states, random = ItemStates(found), np.random.default_rng(3)
    days = np.cumsum(random.exponential(3.0, 200))
    moments = np.cumsum(random.integers(0, 2, 200)).astype(np.float64)
    weights = random.uniform(0.5, 2, 200)
    for i in range(200):
        states.add(0, weights[i], days[i], int(moments[i]))
        kept = found.retention(days[i] - days[: i + 1], moments[i] - moments[: i + 1])
        columns, left = states.read(days[i], int(moments[i]))
        assert columns.tolist() == [0]
        assert left[0] == pytest.approx(kept @ weights[: i + 1], abs=1e-9)


@pytest.mark.parametrize(
    "curve", [POWER, BOTH.moments, BOTH, SHARP], ids=["time", "moments", "both", "signed"]
)
def test_a_profile_is_the_direct_sum(curve: Forgetting) -> None:
    found, items, random = compiled(curve, 6), 12, np.random.default_rng(4)
    states = ItemStates(found)

    def profile(now: float, moment: int) -> npt.NDArray[Any]:
        columns, left = states.read(now, moment)
        return np.bincount(columns, left, minlength=items)

    # Some events share a timestamp: they are one moment.
    at = 15_000 + np.cumsum(random.exponential(2.0, 300) * (random.random(300) < 0.6))
    columns, weights = random.integers(0, items - 2, 300), random.uniform(0.5, 2, 300)
    moment = np.concatenate(([0], np.cumsum(np.diff(at) > 0)))
    assert moment[-1] < 250
    assert (profile(15_000.0, 0) == 0).all()
    for i in range(300):
        states.add(int(columns[i]), float(weights[i]), float(at[i]), int(moment[i]))
        if i % 37 == 0 or i == 299:
            now = at[i] + 11.3
            kept = weights[: i + 1] * found.retention(now - at[: i + 1], (moment[i] - moment[: i + 1]) * 1.0)
            expected = np.bincount(columns[: i + 1], kept, minlength=items)
            for _ in range(2):  # a look changes nothing
                np.testing.assert_allclose(profile(now, int(moment[i])), expected, rtol=0, atol=1e-9)
