"""Known truths: the family that made a log is found again, its half-life within its interval."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evaluators import paired
from tests.trainers.simulate import curve, simulated, trained
from trainers.curves.choices import Choices, Crowd, Floats, Ints
from trainers.curves.comparison import Comparison, compare, learnable
from trainers.curves.likelihood import fit
from trainers.forgetting import FAMILIES, Forgetting, build
from trainers.log import PackedLog

TRUTHS: dict[str, Forgetting] = {
    "none": curve("none"),
    "exponential": curve("exponential", half_life=7.0),
    "power": curve("power", tau=1.0, exponent=0.7),
    "mixture": curve("mixture", half_lives=(1.0, 60.0), shares=(0.8, 0.2)),
}
SIZES = {"none": (400, 2.0), "exponential": (400, 2.0), "power": (6000, 1.0), "mixture": (1500, 0.5)}
"""(users, usual days between moments) of a log of 50 moments a user. Power and mixture are alike: what tells them
apart, and their half-lives, are ages of a day or two, which come from many users or from those who come often."""


def gap(one: Floats, other: Floats, users: Ints) -> Any:
    return paired(one, other, users, draws=2000)


def split(log: PackedLog) -> tuple[Choices, Choices]:
    """The choices of the first 70 % of each user's events, and those of the rest."""
    data = trained(log)
    after = replace(data, stop=log.offsets[1:]).moments()
    after = after.take(np.flatnonzero(after.end >= data.stop[log.users_of(after.begin)]))
    crowd = Crowd.of(data)
    whole: dict[str, Any] = {"repeats": True, "sample": 10**6}
    return Choices.of(data, data.moments(), crowd, **whole), Choices.of(data, after, crowd, **whole)


def compared(truth: str, users: int, seed: int, gap_days: float = 2.0) -> Comparison:
    log = simulated(TRUTHS[truth], users=users, moments=50, own=0.9, gap=gap_days, seed=seed)
    fitted, held_out = split(log)
    fits = {family: fit(fitted, learnable(family, "time", fitted)) for family in TRUTHS}
    return compare(fits, held_out, gap)


def check(truth: str, found: Comparison) -> None:
    """What holds of every seed: forgetting pays where there is any, the right family cannot be told from the best."""
    by_name = {each.name: each for each in found.standings}
    if truth == "exponential":
        assert by_name[truth].fit.half_life == pytest.approx(7, rel=0.15)
    if truth != "none":
        assert found.pays
        assert by_name["none"].told_apart


@pytest.mark.parametrize("truth", ["none", "exponential", "power"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_family_that_made_the_log_is_found(truth: str, seed: int) -> None:
    found = compared(truth, {"power": 500}.get(truth, 200), seed)
    check(truth, found)
    assert found.chosen.name == truth
    assert found.pays == (truth != "none")


@pytest.mark.slow
@pytest.mark.parametrize("truth", list(TRUTHS))
def test_the_family_is_found_nine_times_of_ten(truth: str) -> None:
    users, gap_days = SIZES[truth]
    found = [compared(truth, users, seed, gap_days) for seed in range(10)]
    for each in found:
        check(truth, each)
    assert sum(each.chosen.name == truth for each in found) >= 9
    if truth == "none":
        assert sum(each.pays for each in found) <= 1
    else:
        own = [next(s.fit.half_life for s in each.standings if s.name == truth) for each in found]
        assert sum(life == pytest.approx(TRUTHS[truth].half_life, rel=0.15) for life in own) >= 9


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    inside = 0
    for seed in range(40):
        log = simulated(TRUTHS["exponential"], users=150, moments=40, seed=100 + seed)
        choices, _ = split(log)
        low, high = fit(choices, learnable("exponential", "time", choices)).half_life_interval()
        inside += low < 7 < high
    assert inside >= 34


def test_the_simpler_curve_is_chosen_where_the_data_cannot_tell() -> None:
    choices, held_out = split(simulated(TRUTHS["exponential"], users=60, moments=30, own=0.9, seed=4))
    fits = {family: fit(choices, learnable(family, "time", choices)) for family in ("none", "exponential")}
    twin = compare({**fits, "twin": fits["exponential"]}, held_out, gap)
    assert [each.behind.difference for each in twin.standings[:2]] == [0, 0]
    assert not twin.standings[1].told_apart
    assert twin.chosen.fit is fits["exponential"]
    with pytest.raises(ValueError, match="must hold 'none'"):
        compare({"exponential": fits["exponential"]}, held_out, gap)


@pytest.mark.parametrize("clock", ["time", "moments"])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_can_be_learned(family: str, clock: str) -> None:
    choices, held_out = split(simulated(TRUTHS["exponential"], users=40, moments=20, seed=5))
    settings = learnable(family, clock, choices)
    found = fit(choices, settings)
    assert (
        found.log_likelihood.mean()
        >= fit(choices, learnable("none", clock, choices)).log_likelihood.mean() - 1e-3
    )
    assert build(settings).clock == found.forgetting.clock
    low, high = found.half_life_interval()
    assert low <= found.half_life <= high
    assert math.isfinite(compare({"none": found}, held_out, gap).best.mean)
