"""Turns of interest that were put into a log are found, and none where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import gammaln

from evaluators.shifts import WINDOW, shifts, since_shift, turned


def people(
    random: np.random.Generator, users: int, events: int, turn: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels of 12, of which a user likes three, and from `turn` on three others; one event in ten is anything."""
    rows = []
    for _ in range(users):
        liked = random.permutation(12)[:6]
        place = np.arange(events)
        now = random.choice(liked[:3], events)
        if turn is not None:
            now = np.where(place >= turn, random.choice(liked[3:], events), now)
        rows.append(np.where(random.random(events) < 0.1, random.integers(0, 12, events), now))
    return np.arange(users + 1) * events, np.concatenate(rows)


def test_a_turn_is_found_where_it_was_made() -> None:
    offsets, labels = people(np.random.default_rng(0), 300, 60, 30)
    found = shifts(offsets, labels, np.arange(len(labels), dtype=float))
    at = np.flatnonzero(found) % 60
    assert (np.abs(at - 30) <= 2).sum() / 300 > 0.8
    assert (np.abs(at - 30) > 2).sum() / 300 < 0.1


def test_people_who_never_turn_are_left_alone() -> None:
    offsets, labels = people(np.random.default_rng(1), 300, 60, None)
    assert shifts(offsets, labels, np.arange(len(labels), dtype=float)).sum() / 300 < 0.05


def test_somebody_who_always_takes_something_new_never_turns() -> None:
    assert not shifts(np.array([0, 200]), np.arange(200), np.arange(200.0)).any()


def test_a_turn_is_at_the_first_event_of_a_moment_and_never_across_people() -> None:
    labels = np.repeat([0, 1], 20)
    times = np.concatenate([np.arange(18.0), np.full(4, 18.0), np.arange(19.0, 37.0)])
    assert np.flatnonzero(shifts(np.array([0, 40]), labels, times)).tolist() == [
        18
    ]  # the basket holds the turn
    assert not shifts(np.array([0, 20, 40]), labels, np.arange(40.0)).any()


def test_the_evidence_is_the_ratio_of_two_marginal_likelihoods() -> None:
    labels = np.random.default_rng(3).integers(0, 4, 50)

    def marginal(window: NDArray[np.int64], kinds: int) -> float:
        counts = np.bincount(window)
        return float(gammaln(kinds) - gammaln(kinds + len(window)) + gammaln(counts + 1).sum())

    found = turned(labels)
    for at in range(WINDOW, 50 - WINDOW + 1):
        before, after = labels[at - WINDOW : at], labels[at : at + WINDOW]
        both = np.concatenate([before, after])
        kinds = len(np.unique(both))
        expected = marginal(before, kinds) + marginal(after, kinds) - marginal(both, kinds)
        assert found[at] == pytest.approx(expected)
    assert np.isneginf(found[:WINDOW]).all()
    assert np.isneginf(found[50 - WINDOW + 1 :]).all()


def test_a_log_too_short_to_compare_has_no_turn() -> None:
    assert not shifts(np.array([0, 5]), np.zeros(5, int), np.arange(5.0)).any()


def test_events_are_counted_from_the_last_turn_of_the_same_person() -> None:
    found = np.array([False, True, False, False, False, True])
    begin, end = np.array([0, 0, 3, 3]), np.array([1, 2, 4, 5])
    assert since_shift(found, begin, end).tolist() == [0, 1, -1, 0]
