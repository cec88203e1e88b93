"""What a query asks for beyond its own moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators import Horizon, Split, split
from tests.evaluators.helpers import Packed, crowded, frame, pack

DAY = 86_400


def asked(log: Packed, horizon: Horizon | None, **how: Any) -> Split:
    settings = {"protocol": "successive", "stage": "test", "cuts": (0.2, 0.4), "repeats": True, **how}
    return split(*log[:3], len(log.vocabulary), horizon=horizon, **settings)


def lists(made: Split) -> list[list[int]]:
    queries = made.queries
    return [queries.lists(slice(q, q + 1)).columns.tolist() for q in range(len(queries))]


def daily() -> Packed:
    """Ann: one event a day for ten days, a b c a b c …; Bob: b on the days 0 and 9."""
    return pack(
        frame([0] * 10 + [1] * 2, list("abcabcabca") + list("bb"), [d * DAY for d in [*range(10), 0, 9]])
    )


def test_moments_by_hand() -> None:
    made = asked(daily(), Horizon(moments=2))  # the cut is at day 3
    assert made.start == 3 * DAY
    times, users = made.queries.time / DAY, made.queries.user
    assert list(zip(times.tolist(), users.tolist(), strict=True)) == [(3, 0), (5, 0), (7, 0), (9, 0), (9, 1)]
    assert lists(made) == [[0, 1], [0, 2], [1, 2], [0], [1]]


def test_days_by_hand() -> None:
    """Bob's day 9 and Ann's last days are not over when the log is."""
    made = asked(daily(), Horizon(days=3))
    assert (made.queries.time / DAY).tolist() == [3, 6]
    assert lists(made) == [[0, 1, 2], [0, 1, 2]]
    assert made.queries.until is not None
    assert made.queries.until.tolist() == [6, 9]


def test_the_end_of_validation_is_the_end_of_its_answers() -> None:
    """Nothing of the test period may be what a choice is judged by."""
    days = asked(daily(), Horizon(days=2), stage="val", cuts=(0.2, 0.65))
    assert (days.start / DAY, days.stop / DAY) == (1, 6)
    assert (days.queries.time / DAY).tolist() == [1, 3]
    moments = asked(daily(), Horizon(moments=3), stage="val", cuts=(0.4, 0.75))
    assert (moments.start / DAY, moments.stop / DAY) == (3, 8)
    assert (moments.queries.time / DAY).tolist() == [3, 6]
    assert moments.queries.until is not None
    assert moments.queries.until.tolist() == [6, 8]


def test_items_of_the_history_are_not_asked_for_without_repeats() -> None:
    log = pack(frame([0] * 6 + [1], list("abcabdd"), [*range(6), 0]))
    made = asked(log, Horizon(moments=4), cuts=(0.1, 0.3), repeats=False)
    assert made.start == 1.0
    assert made.catalogue.tolist() == [0, 3]
    assert lists(made) == [[1]]  # d: b and c came after the cut, and a is in the history


@given(seed=st.integers(0, 10_000), repeats=st.booleans())
@settings(max_examples=30, deadline=None)
def test_one_moment_is_the_next_basket(seed: int, repeats: bool) -> None:
    log = pack(crowded(seed, 200))
    one, none = (asked(log, horizon, repeats=repeats).queries for horizon in (Horizon(moments=1), None))
    for name in ("user", "time", "begin", "end", "relevant_offsets", "relevant", "until"):
        assert np.array_equal(getattr(one, name), getattr(none, name))


def test_a_horizon_without_a_cut_in_time_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"`horizon` needs a protocol with a cut in time, but got \(protocol=loo\)"
    ):
        asked(daily(), Horizon(moments=2), protocol="loo")


@pytest.mark.parametrize("given", [{}, {"moments": 1, "days": 1.0}, {"moments": 0}, {"days": -1.0}])
def test_bad_horizons(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`horizon` must have one of `moments >= 1` and `days > 0`, but got"):
        Horizon(**given)


def test_a_horizon_longer_than_the_period_leaves_nothing() -> None:
    with pytest.raises(ValueError, match="take fewer periods or a shorter horizon"):
        asked(daily(), Horizon(days=30))
