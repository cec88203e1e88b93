"""What is proposed: the same whatever the timing, and better the more is known."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tests.trainers import fakes
from tests.trainers.search.searching import MODEL, proposals, propose_all, settings
from trainers.search.proposals import Proposals


def test_proposals_do_not_depend_on_which_trial_ends_first() -> None:
    assert propose_all(proposals(trials=30)) == propose_all(proposals(trials=30), order=-1)


def test_proposals_do_not_depend_on_how_many_run_at_once() -> None:
    expected = propose_all(proposals(trials=30))
    assert propose_all(proposals(trials=30), limit=1) == expected
    assert propose_all(proposals(trials=30), limit=3) == expected


def test_proposals_depend_on_the_seed() -> None:
    assert propose_all(proposals(trials=20, seed=1)) != propose_all(proposals(trials=20, seed=2))


def test_proposals_depend_on_how_far_ahead_they_are_made() -> None:
    assert propose_all(proposals(trials=30, ahead=2)) != propose_all(proposals(trials=30, ahead=10))


def test_a_proposal_waits_for_the_trials_it_depends_on_and_no_others() -> None:
    one = proposals()
    numbers = [one.propose() for _ in range(4)]
    assert [entry and entry.number for entry in numbers] == [0, 1, 2, 3]
    assert one.propose() is None
    for number in (3, 1):  # trial 4 is proposed from trial 0
        one.values[number] = 0.5
        assert one.propose() is None
    one.values[0] = None  # failed: the search goes on without it
    for number in (4, 5):  # trial 5 is proposed from trials 0 and 1, which are over
        entry = one.propose()
        assert entry is not None
        assert entry.number == number
    assert one.propose() is None  # trial 2 is not over
    assert not one.over


def test_a_proposal_that_is_put_back_is_made_again() -> None:
    one = proposals()
    first = one.propose()
    one.put_back()
    assert one.propose() == first
    second = one.propose()
    assert second is not None
    assert second.number == 1


def test_the_starting_points_come_first() -> None:
    chosen = settings(trials=6)
    assert propose_all(Proposals(chosen, chosen.space))[:4] == chosen.space.starts()
    few = settings(trials=2)
    assert propose_all(Proposals(few, few.space)) == chosen.space.starts()[:2]


def test_later_proposals_learn_from_the_earlier() -> None:
    late = propose_all(proposals(trials=100))[-34:]
    families = Counter(params["own.family"] for params in late)
    assert families["exponential"] > 17  # one of four, if nothing were learned
    half_lives = [params["own.half_life_days"] for params in late if params["own.family"] == "exponential"]
    assert 3.5 < np.median(half_lives) < 14


def test_importance_puts_what_decides_first() -> None:
    one = proposals(trials=60)
    propose_all(one)
    shares = one.importance()
    assert next(iter(shares)) == "own.half_life_days"
    assert set(shares) >= {"own.family", "own.half_life_days", "linear.l2"}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert shares["own.half_life_days"] > 0.5

    other = proposals(trials=60)
    propose_all(other, judge=lambda model: -abs(float(getattr(model.terms[1], "l2", 0)) - 30))
    assert next(iter(other.importance())) == "linear.l2"


def test_few_trials_say_nothing_of_importance() -> None:
    one = proposals(trials=19)
    propose_all(one)
    assert one.importance() == {}


def test_trials_that_failed_do_not_stop_the_importance() -> None:
    one = proposals(trials=28)
    while (task := one.propose()) is not None:
        value = fakes.known(one.space.apply(MODEL, task.params))
        one.values[task.number] = None if task.number in (1, 27) else value
    shares = one.importance()
    assert shares
    assert "own.family" in shares
