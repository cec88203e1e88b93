"""Several cuts: what each fits on and asks, and that with one it is the single cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators import Horizon, LeaveOneOut, Rolling, Split, Successive, rolls, split
from evaluators.queries import Stage
from evaluators.queries.base import edges
from tests.evaluators.helpers import Packed, crowded, frame, pack

STAGES: tuple[Stage, ...] = ("val", "test")


def made(log: Packed, protocol: Any, stage: Stage, **how: Any) -> list[Split]:
    settings = {"cuts": (0.5, 0.75), "repeats": True, **how}
    return rolls(*log[:3], len(log.vocabulary), protocol=protocol, stage=stage, **settings)


def assert_same(one: Split, other: Split) -> None:
    assert (one.start, one.stop) == (other.start, other.stop)
    for name in ("train", "asked", "catalogue", "column"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    for name in ("user", "time", "begin", "end", "relevant_offsets", "relevant", "until"):
        assert np.array_equal(getattr(one.queries, name), getattr(other.queries, name))


@given(seed=st.integers(0, 10_000), stage=st.sampled_from(STAGES), repeats=st.booleans())
@settings(max_examples=40, deadline=None)
def test_with_one_cut_it_is_the_single_cut(seed: int, stage: Stage, repeats: bool) -> None:
    log = pack(crowded(seed, 200))
    (rolled,) = made(log, Rolling(1), stage, repeats=repeats)
    (single,) = made(log, Successive(), stage, repeats=repeats)
    assert_same(rolled, single)
    how: dict[str, Any] = {"cuts": (0.5, 0.75), "repeats": repeats, "stage": stage}
    assert_same(split(*log[:3], len(log.vocabulary), protocol=Rolling(3), **how), single)


@given(seed=st.integers(0, 10_000), stage=st.sampled_from(STAGES), way=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_no_history_reaches_its_moment_and_no_event_is_asked_about_twice(
    seed: int, stage: Stage, way: int
) -> None:
    log = pack(crowded(seed, 200))
    protocol, horizon = [
        (Successive(), None),
        (LeaveOneOut(), None),
        (Rolling(3), None),
        (Successive(), Horizon(moments=3)),
        (Successive(), Horizon(days=2 / 86_400)),
        (Rolling(2), Horizon(moments=2)),
    ][way]
    asked: list[int] = []
    for each in made(log, protocol, stage, horizon=horizon):
        queries = each.queries
        assert queries.until is not None
        for q in range(len(queries)):
            rows = slice(queries.begin[q], queries.end[q])
            assert len(log.times[rows]) > 0
            assert (log.times[rows] < queries.time[q]).all()
            assert (log.times[queries.end[q] : queries.until[q]] >= queries.time[q]).all()
            first, last = log.offsets[queries.user[q]], log.offsets[queries.user[q] + 1]
            assert first == queries.begin[q]
            assert queries.until[q] <= last
            mine = range(queries.end[q], queries.until[q])
            asked += mine
            right = each.catalogue[queries.lists(slice(q, q + 1)).columns]
            assert set(right.tolist()) == {int(log.items[row]) for row in mine} & set(each.catalogue.tolist())
            assert (log.times[list(mine)] < each.stop).all()
            assert each.asked[list(mine)].all()
        if protocol.in_time:
            assert log.times[each.train].max() < queries.time.min()
    assert len(asked) == len(set(asked))


def test_by_hand() -> None:
    """Ten events a second apart; the test period begins with the seventh and falls into two."""
    log = pack(frame([0] * 10, list("abababcabc"), list(range(10))))
    first, second = made(log, Rolling(2), "test", cuts=(0.3, 0.6))
    assert (first.start, first.stop, second.start, second.stop) == (6.0, 8.0, 8.0, np.inf)
    assert (first.train.sum(), second.train.sum()) == (6, 8)
    assert first.queries.time.tolist() == [7.0]  # c is new at 6
    assert second.queries.time.tolist() == [8.0, 9.0]
    assert (len(first.catalogue), len(second.catalogue)) == (2, 3)
    whole = split(*log[:3], 3, protocol=Rolling(2), stage="test", cuts=(0.3, 0.6), repeats=True)
    assert (whole.start, whole.stop, whole.train.sum()) == (6.0, np.inf, 6)
    assert whole.queries.time.tolist() == [7.0, 8.0]


def test_periods_that_would_begin_with_one_second_are_one() -> None:
    times = np.array([0.0, 1, 2, 3, 4, 4, 4, 4, 4, 5])
    assert edges(times, "test", (0.2, 0.4), periods=6) == [4.0, 5.0, np.inf]
    assert edges(times, "val", (0.4, 0.9), periods=5) == [4.0, 5.0]


def test_a_protocol_without_periods_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`periods >= 1` must hold, but got \(periods=0\)"):
        Rolling(0)
