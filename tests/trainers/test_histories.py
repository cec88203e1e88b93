"""Histories at their moments: ages, profiles."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainers import helpers
from trainers.forgetting import FAMILIES, Forgetting
from trainers.histories import Histories
from trainers.log import DAY, Queries

LOG = helpers.packed(
    [
        [(0, 0), (2, 1, 3.0), (2, 0, 2.0), (5, 3), (9, 1)],
        [(1, 2, 4.0), (1, 2, 5.0), (4, 1)],
    ],
    types=[0, 1, 2, 0, 1, 2, 0, 1],
    category=[5, -1, 3, 4],
)
COLUMN = np.array([0, 1, 2, -1], np.int32)  # item 3 is not in the catalogue
QUERIES = helpers.queries_of(
    [
        (9.0 * DAY, 0, 4, []),
        (5.5 * DAY, 0, 3, []),
        (1.0 * DAY, 5, 5, []),  # no history
        (4.25 * DAY, 5, 8, []),
    ]
)
FORGETTING = FAMILIES["power"](tau=3.0, exponent=1.5)


@pytest.fixture
def histories() -> Histories:
    return Histories.of(LOG, QUERIES, COLUMN, 3)


def test_ages_by_hand(histories: Histories) -> None:
    """The item that is not known is left out, but its moment makes the others a moment older."""
    assert len(histories) == 4
    assert histories.offsets.tolist() == [0, 3, 6, 6, 9]
    assert histories.columns.tolist() == [0, 1, 0, 0, 1, 0, 2, 2, 1]
    assert histories.days.tolist() == [9, 7, 7, 5.5, 3.5, 3.5, 3.25, 3.25, 0.25]
    assert histories.moments.tolist() == [2, 1, 1, 1, 0, 0, 1, 1, 0]
    assert histories.weights.tolist() == [1, 3, 2, 1, 3, 2, 4, 5, 1]
    assert histories.rows.tolist() == [0, 1, 2, 0, 1, 2, 5, 6, 7]
    assert histories.query.tolist() == [0, 0, 0, 1, 1, 1, 3, 3, 3]


def test_groups_by_hand(histories: Histories) -> None:
    assert histories.users.tolist() == [0, 0, 1, 1]
    assert histories.groups("event_type").tolist() == [0, 1, 2, 0, 1, 2, 2, 0, 1]
    assert histories.groups("category").tolist() == [5, -1, 5, 5, -1, 5, 3, 3, -1]
    assert histories.groups("user").tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1]
    assert (histories.at / DAY).tolist() == [9, 5.5, 1, 4.25]
    assert (histories.times / DAY).tolist() == [0, 2, 2, 0, 2, 2, 1, 1, 4]
    assert [a.dtype for a in (histories.users, histories.types, histories.categories)] == [
        np.int64,
        np.int16,
        np.int32,
    ]
    assert histories.groups("all").tolist() == [0] * 9


def test_what_is_left_out_is_of_nobody(histories: Histories) -> None:
    bare = Histories(
        histories.offsets,
        histories.columns,
        histories.days,
        histories.moments,
        histories.weights,
        histories.rows,
        3,
    )
    assert (bare.users.tolist(), bare.at.tolist()) == ([-1] * 4, [0.0] * 4)
    assert bare.groups("event_type").tolist() == [0] * 9
    assert bare.groups("category").tolist() == bare.groups("user").tolist() == [-1] * 9
    assert np.allclose(bare.times, -histories.days * DAY)
    assert np.allclose(replace(bare, at=histories.at, times=bare.times[:0]).times, histories.times)


def test_a_log_without_categories_has_none() -> None:
    alike = Histories.of(replace(LOG, category=None), QUERIES, COLUMN, 3)
    assert alike.groups("category").tolist() == [-1] * 9


def test_seconds_are_not_lost_to_rounding() -> None:
    """Unix seconds of today do not fit float32: one second more must be an age of one second more."""
    now = 1_700_000_001.0
    log = helpers.packed([[((now - 1) / DAY, 0)]])
    query = helpers.queries_of([(now, 0, 1, [])])
    assert Histories.of(log, query, np.zeros(1, np.int32), 1).days[0] == pytest.approx(1 / DAY, rel=1e-3)


def test_profile_by_hand(histories: Histories) -> None:
    profile = histories.profile(FAMILIES["exponential"]("moments", half_life=1.0)).toarray()
    assert profile.tolist() == [[0.75, 0.5, 0], [1.5, 1, 0], [0, 0, 0], [0, 1, 1]]
    assert profile.dtype == np.float32


def test_weights_count_only_when_asked(histories: Histories) -> None:
    none = FAMILIES["none"]()
    assert histories.profile(none).toarray().tolist() == [[2, 1, 0], [2, 1, 0], [0, 0, 0], [0, 1, 2]]
    weighted = histories.profile(none, True).toarray()
    assert weighted.tolist() == [[3, 3, 0], [3, 3, 0], [0, 0, 0], [0, 1, 9]]
    assert histories.retained(none, True).tolist() == [1, 3, 2, 1, 3, 2, 4, 5, 1]
    assert histories.retained(none, False).tolist() == [1.0] * 9


def test_another_curve_on_the_same_histories(histories: Histories) -> None:
    """The pattern is found once; the retention must not be."""
    before = histories.profile(FORGETTING).toarray()
    histories.profile(FAMILIES["none"]())
    assert np.array_equal(histories.profile(FORGETTING).toarray(), before)


def equal(one: Histories, other: Histories) -> bool:
    names = [field.name for field in fields(Histories)]
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


@pytest.mark.parametrize(
    "index", [slice(0, 4), slice(1, 3), slice(2, 3), slice(3, 9), slice(1, 1), slice(-2, None)]
)
def test_take_is_a_fresh_construction(histories: Histories, index: slice) -> None:
    taken, fresh = histories.take(index), Histories.of(LOG, QUERIES.take(index), COLUMN, 3)
    assert equal(taken, fresh)
    assert np.array_equal(taken.profile(FORGETTING).toarray(), fresh.profile(FORGETTING).toarray())
    assert taken.items == 3


curves = st.one_of(
    st.builds(FAMILIES["exponential"], st.sampled_from(["time", "moments"]), half_life=st.floats(0.3, 50)),
    st.builds(
        FAMILIES["power"],
        st.sampled_from(["time", "moments"]),
        tau=st.floats(0.3, 50),
        exponent=st.floats(0.2, 3),
    ),
)


@given(seed=st.integers(0, 10_000), forgetting=curves, weighted=st.booleans())
@settings(max_examples=40, deadline=None)
def test_profile_against_a_double_loop(seed: int, forgetting: Forgetting, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    log = helpers.crowded(seed)
    column = rng.permutation(log.vocabulary).astype(np.int32)
    column[column >= 6] = -1
    users = rng.integers(0, log.users, 8)
    day = rng.integers(0, 22, 8) + rng.choice([0.0, 0.4])
    end = [
        int(log.offsets[u] + (log.times[log.offsets[u] : log.offsets[u + 1]] < d * DAY).sum())
        for u, d in zip(users, day, strict=True)
    ]
    queries = Queries(
        day * DAY, log.offsets[users], np.array(end), np.zeros(9, np.int64), np.zeros(0, np.int64)
    )
    profile = Histories.of(log, queries, column, 6).profile(forgetting, weighted)
    expected = helpers.naive_profile(log, queries, column, 6, forgetting, weighted)
    np.testing.assert_allclose(profile.toarray(), expected, rtol=1e-5, atol=1e-7)
