"""Stretches of groups: recovered where they are known, and shrunk to the common curve where little is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.trainers.simulate import curve, simulated, trained
from trainers.curves.choices import Choices, Crowd
from trainers.curves.likelihood import CurveFit, fit
from trainers.curves.stretches import ALIKE, MOST_GROUPS, fit_groups
from trainers.forgetting import ForgettingSettings
from trainers.log import PackedLog

SEVEN = ForgettingSettings(family="exponential", half_life=7)


def fitted(log: PackedLog, settings: ForgettingSettings = SEVEN) -> tuple[Choices, CurveFit]:
    data = trained(log)
    choices = Choices.of(data, data.moments(), Crowd.of(data), repeats=True, sample=10**6)
    return choices, fit(choices, settings)


def test_two_event_types_with_half_lives_of_2_and_20_days_are_told_apart() -> None:
    log = simulated(
        curve("exponential", half_life=1.0),
        users=400,
        types=2,
        by_type=np.array([2.0, 20.0]),
        own=0.9,
        seed=3,
    )
    choices, common = fitted(log)
    assert 2 < common.half_life < 20
    found = fit_groups(choices, common, "event_type")
    half_lives = found.common.halved * found.factors(2)
    assert half_lives == pytest.approx([2, 20], rel=0.2)
    low, high = (found.common.halved * end for end in found.interval())
    assert (low < half_lives).all()
    assert (half_lives < high).all()
    assert high[0] < low[1]
    assert found.sigma > 0.5
    assert found.groups.tolist() == [0, 1]
    assert found.events.sum() == len(choices.days)


def test_an_age_that_is_fixed_stays_as_it_is() -> None:
    """What the groups have in common is then in their own stretches, and says the same."""
    log = simulated(
        curve("exponential", half_life=1.0),
        users=200,
        types=2,
        by_type=np.array([4.0, 40.0]),
        own=0.9,
        seed=3,
    )
    power = {"family": "power", "tau": 7.0, "exponent": 0.5, "learn": ["exponent"]}
    choices, shaped = fitted(log, ForgettingSettings.model_validate(power))
    found = fit_groups(choices, shaped, "event_type")
    assert found.common == shaped.forgetting
    assert found.common.values["tau"] == 7
    assert abs(found.log_stretch.mean()) > 0.1
    free = fit_groups(choices, replace(shaped, space=replace(shaped.space, stretchable=True)), "event_type")
    assert free.common.halved * free.factors(2) == pytest.approx(found.common.halved * found.factors(2))


def test_shrinkage_comes_nearer_to_scattered_users_than_either_extreme() -> None:
    random = np.random.default_rng(1)
    truth = random.normal(0.0, 0.8, 250)
    log = simulated(
        curve("exponential", half_life=7.0), users=250, moments=50, stretch=np.exp(truth), own=0.9, seed=1
    )
    choices, common = fitted(log)
    known = np.log(7.0) + truth

    def error(sigma: float | None) -> float:
        found = fit_groups(choices, common, "user", sigma=sigma)
        return float(np.mean((np.log(found.common.halved * found.factors(250)) - known) ** 2))

    shrunk = error(None)
    assert shrunk < 0.8 * error(5.0)  # each user alone
    assert shrunk < 0.8 * error(1e-3)  # one curve for all
    assert fit_groups(choices, common, "user").sigma == pytest.approx(0.8, rel=0.35)


def test_groups_that_are_alike_stay_at_the_common_curve() -> None:
    choices, common = fitted(simulated(curve("exponential", half_life=7.0), types=3, own=0.9, seed=5))
    found = fit_groups(choices, common, "event_type")
    assert np.abs(found.log_stretch).max() < 0.25
    assert found.sigma < 0.3
    if found.sigma < ALIKE:
        assert found.common == common.forgetting


def test_the_spread_covers_what_is_known() -> None:
    random = np.random.default_rng(2)
    truth = random.normal(0.0, 0.6, 300)
    choices, common = fitted(
        simulated(
            curve("exponential", half_life=7.0), users=300, moments=50, stretch=np.exp(truth), own=0.9, seed=2
        )
    )
    found = fit_groups(choices, common, "user")
    low, high = (np.log(found.common.halved * end) for end in found.interval())
    inside = (low < np.log(7.0) + truth) & (np.log(7.0) + truth < high)
    assert inside.mean() > 0.88


def test_nothing_is_stretched_without_groups_or_without_a_curve() -> None:
    log = simulated(curve("exponential", half_life=7.0), users=30, seed=7)
    choices, common = fitted(log)
    assert not len(fit_groups(choices, common, "category").groups)
    none = fit(choices, ForgettingSettings())
    assert fit_groups(choices, none, "user").log_stretch.any() == 0
    assert fit_groups(choices, common, "user").factors(31)[30] == 1


def test_only_the_largest_of_many_groups_have_their_own() -> None:
    log = simulated(curve("exponential", half_life=7.0), users=60, types=MOST_GROUPS + 10, seed=8)
    choices, common = fitted(log)
    found = fit_groups(choices, common, "event_type", sigma=0.5)
    assert len(found.groups) == MOST_GROUPS
    assert (found.factors(MOST_GROUPS + 10) == 1).sum() == 10
