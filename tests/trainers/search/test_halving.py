"""Halving: whom it stops, that timing does not matter, and what it saves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from tests.trainers import fakes
from tests.trainers.fakes import Analytic
from tests.trainers.search.searching import MODEL, settings
from trainers.model import ModelSettings
from trainers.search.halving import HalvingSettings, Reading, Stop, stop_of
from trainers.search.ledger import Entry
from trainers.search.proposals import Proposals
from trainers.search.settings import SearchSettings

ASHA = {"kind": "asha", "grace": 1, "factor": 3}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"grace": 1.5}, "whole number of epochs"),
        ({"grace": 0.5}, "whole number of epochs"),
        ({"by": "users", "grace": 1}, "a share of the users below 1"),
        ({"grace": 0}, "greater than 0"),
        ({"factor": 1}, "greater than 1"),
        ({"kind": "pbt"}, "Input should be 'asha'"),
        ({"max_t": 9}, "Extra inputs"),
    ],
)
def test_wrong_settings_fail(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        HalvingSettings.model_validate(values)


def test_rungs_lie_below_the_whole() -> None:
    assert HalvingSettings(factor=2).rungs(8) == (1, 2, 4)
    assert HalvingSettings(factor=2).rungs(9) == (1, 2, 4, 8)
    assert HalvingSettings(grace=5).rungs(5) == ()
    assert HalvingSettings(factor=1.2).rungs(4) == (1, 2, 3)  # none twice
    assert HalvingSettings(by="users", grace=0.25, factor=2).rungs() == (0.25, 0.5)


def test_the_cut_off_is_the_quantile_of_those_who_came_so_far() -> None:
    """By hand: of 1, 2, 3, 4 at the first rung the upper half begins at 2.5; two came to the second."""
    known: list[list[Reading]] = [[(1, 1.0)], [(1, 4.0), (2, 5.0)], [(1, 2.0)], [(1, 3.0), (2, 9.0)], []]
    halving = HalvingSettings(factor=2)
    assert halving.cutoffs(known) == ((1, 2.5), (2, 7.0))
    assert halving.cutoffs([]) == ()
    cutoffs = halving.cutoffs(known)
    assert stop_of([(1, 2.5), (2, 7.0)], cutoffs) is None  # no worse is good enough
    assert stop_of([(1, 2.4), (2, 9.0)], cutoffs) == Stop(1, 2.4)
    assert stop_of([(1, 9.0), (2, 6.9)], cutoffs) == Stop(2, 6.9)
    assert stop_of([(1, 9.0), (4, 0.0)], cutoffs) is None  # nobody was there before


class Named:
    """What Ray's scheduler asks of a trial."""

    def __init__(self, name: int) -> None:
        self.trial_id = str(name)


def test_one_after_the_other_rays_scheduler_stops_the_same_trials() -> None:
    rng = np.random.default_rng(3)
    halving = HalvingSettings(grace=2, factor=3)
    peer = ASHAScheduler(
        time_attr="epochs", metric="value", mode="max", max_t=60, grace_period=2, reduction_factor=3
    )
    known: list[list[Reading]] = []
    stopped = 0
    for number in range(120):
        values = rng.normal() + rng.normal(0, 0.5, 3)
        readings = [(rung, float(value)) for rung, value in zip(halving.rungs(60), values, strict=False)]
        stop = stop_of(readings, halving.cutoffs(known))
        trial = Named(number)
        peer.on_trial_add(None, trial)
        theirs = None
        for at, value in readings:
            decision = peer.on_trial_result(None, trial, {"epochs": at, "value": value})
            if decision == TrialScheduler.STOP:
                theirs = Stop(at, value)
                break
        assert stop == theirs
        known.append([reading for reading in readings if stop is None or reading[0] <= stop.at])
        stopped += stop is not None
    assert 60 < stopped < 120


def run(chosen: SearchSettings, *, epochs: int, order: int = 1, limit: int = 100) -> tuple[Proposals, float]:
    """A search without Ray: as many trials side by side as may be, told in the order asked for; what it trained."""
    objective = Analytic("", epochs=epochs, scheduler=chosen.scheduler)
    proposals = Proposals(chosen, chosen.space)
    waiting: list[tuple[int, ModelSettings]] = []
    spent = 0.0
    while not (proposals.over and not waiting):
        entry = proposals.propose() if len(waiting) < limit else None
        if entry is not None:
            waiting.append((entry.number, chosen.space.apply(MODEL, entry.params)))
            continue
        for number, model in waiting[::order]:
            cutoffs = proposals.cutoffs[number]
            whole = Entry(objective.readings(model), fakes.known(model))
            stop = whole.stop(cutoffs)
            spent += stop.at if stop else epochs
            proposals.tell(number, whole.value, _until(whole.readings, stop), stop)
        waiting = []
    return proposals, spent


def _until(readings: Sequence[Reading], stop: Stop | None) -> list[Reading]:
    return [reading for reading in readings if stop is None or reading[0] <= stop.at]


def test_as_good_a_trial_for_a_fraction_of_the_epochs() -> None:
    whole, all_epochs = run(settings(60, ahead=4), epochs=27)
    halved, fewer = run(settings(60, ahead=4, scheduler=ASHA), epochs=27)
    assert all_epochs == 60 * 27
    assert fewer < all_epochs / 2
    best = max(value for value in whole.values.values() if value is not None)
    finished = [value for number, value in halved.values.items() if number not in halved.stops and value]
    assert max(finished) > best - 0.01
    assert len(halved.stops) > 30
    assert not set(halved.stops) & set(range(4))  # the first have nobody before them


def test_whom_it_stops_does_not_depend_on_timing() -> None:
    chosen = settings(40, ahead=5, scheduler=ASHA)
    expected, _ = run(chosen, epochs=27)
    for order, limit in ((-1, 100), (1, 1), (1, 3)):
        other, _ = run(chosen, epochs=27, order=order, limit=limit)
        assert (other.params, other.stops, other.cutoffs) == (
            expected.params,
            expected.stops,
            expected.cutoffs,
        )


def test_what_was_stopped_counts_as_worse_than_what_was_whole() -> None:
    """A stopped trial's value is not comparable: were it taken as whole, TPE would go where training is slow."""
    proposals, _ = run(settings(24, ahead=2, scheduler=ASHA), epochs=27)
    proposals.importance()  # learns the last ones
    states = {trial.number: trial.state.name for trial in proposals.study.get_trials(deepcopy=False)}
    assert {number for number, state in states.items() if state == "PRUNED"} == set(proposals.stops)
    pruned = proposals.study.get_trials(deepcopy=False)[min(proposals.stops)]
    assert (
        pruned.intermediate_values[len(pruned.intermediate_values) - 1]
        == proposals.stops[pruned.number].value
    )
