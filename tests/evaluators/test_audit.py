from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators import (
    Audit,
    Events,
    Horizon,
    LeaveOneOut,
    Protocol,
    Queries,
    Rolling,
    Split,
    Successive,
    audit,
    rolls,
    split,
)
from evaluators.arrays import Floats, offsets_of, owners
from evaluators.audit import LEAKS, NOTICES
from evaluators.packed import Moments
from evaluators.queries import Division, Stage
from tests.evaluators.helpers import Packed, crowded, frame, pack, retail

DAY = 86_400


def audited(log: Packed, **how: Any) -> Audit:
    return audit(split(*log[:3], len(log.vocabulary), repeats=True, **how), *log[:3])


def named(found: Audit) -> set[str]:
    return {each.name for each in found.leaks}


@given(seed=st.integers(0, 10_000), stage=st.sampled_from(["val", "test"]), way=st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_a_cut_in_time_for_all_cannot_leak(seed: int, stage: Stage, way: int) -> None:
    log = pack(crowded(seed))
    protocol, horizon = [
        (Successive(), None),
        (Rolling(3), None),
        (Successive(), Horizon(moments=2)),
        (Successive(), Horizon(days=3 / DAY)),
        (Rolling(2), Horizon(moments=3)),
    ][way]
    for made in rolls(
        *log[:3], len(log.vocabulary), protocol=protocol, stage=stage, cuts=(0.5, 0.7), repeats=True, horizon=horizon
    ):  # fmt: skip
        found = audit(
            made, *log[:3], popularity=np.bincount(log.items[made.train], minlength=len(made.column))
        )
        assert found.leaks == ()
        assert (found.future_of_first, found.future_of_average, found.straddling) == (0, 0, 0)
        assert found.in_training_period == 0
        assert found.verdict.startswith("No leak: all ")


def test_leave_one_out_leaks_on_baskets_by_as_much_as_counted() -> None:
    _, log = retail()
    how: dict[str, Any] = {"protocol": "loo", "stage": "test", "max_queries": 100}
    made = split(*log[:3], len(log.vocabulary), repeats=True, **how)
    shares = [np.mean(log.times[made.train] >= t) for t in made.queries.time]
    found = audit(made, *log[:3])
    assert named(found) == {"leave_one_out"}
    assert found.leaks[0].count == sum(share > 0 for share in shares)
    assert found.future_of_first == pytest.approx(max(shares))
    assert found.future_of_average == pytest.approx(np.mean(shares))
    assert found.future_of_average > 0.1
    said = f"Leaks (leave_one_out): for the average query {100 * np.mean(shares):.1f} % of the "
    assert found.verdict.startswith(said)
    assert found.training_events == made.train.sum()
    assert found.queries == 100


def test_real_baskets_cut_in_time_do_not_leak() -> None:
    _, log = retail()
    val, test = (
        split(*log[:3], len(log.vocabulary), protocol="successive", stage=stage, repeats=True)
        for stage in ("val", "test")
    )
    found = audit(test, *log[:3], tuned_on=val.queries)
    assert found.leaks == ()
    assert "ties_at_cut" in {notice.name for notice in found.notices}  # the cut falls into a basket


def small() -> Packed:
    """Twice (a, x, 1); asked about from second 5 on: y, known, and twice z, which training never saw."""
    return pack(frame(list("aaabbb"), list("xxyyzz"), [1, 1, 5, 2, 6, 7]))


def test_unknown_items_and_duplicates_are_counted() -> None:
    found = audited(small(), protocol="successive", stage="test", cuts=(0.3, 0.5))
    assert found.training_events == 3
    assert found.unknown_items == pytest.approx(2 / 3)
    assert found.unknown_moments == pytest.approx(2 / 3)
    assert found.duplicates == pytest.approx(1 / 6)


def test_as_json_the_leaks_are_a_word_and_a_list() -> None:
    told = audited(small(), protocol="successive", stage="test", cuts=(0.3, 0.5)).to_dict()
    assert (told["leaks"], told["findings"], told["notices"]) == (False, [], [])
    told = audited(small(), protocol="loo", stage="test").to_dict()
    assert told["leaks"] is True
    assert [each["name"] for each in told["findings"]] == ["leave_one_out"]
    assert set(told["findings"][0]) == {"name", "count", "sentence"}


def test_the_same_item_at_another_moment_is_no_duplicate() -> None:
    # a's last and b's first row: same item, same second.
    log = pack(frame(list("aaabb"), list("xxxxy"), [1, 2, 5, 5, 6]))
    assert audited(log, protocol="loo", stage="test").duplicates == 0


def test_a_moment_half_in_training_is_a_leak() -> None:
    log = pack(frame(list("aabbb"), list("xyxxy"), [1, 5, 2, 6, 6]))
    good = split(*log[:3], 2, protocol="successive", stage="test", cuts=(0.2, 0.5), repeats=True)
    train = good.train.copy()
    train[3] = True
    found = audit(replace(good, train=train), *log[:3])
    assert found.straddling == 1
    assert {"straddling_moments", "answers_in_training"} <= named(found)
    assert "1 queries ask about a moment that is partly in training" in found.verdict


# What careless splitters do


@pytest.fixture(scope="module")
def log() -> Packed:
    """Nine users from 2020 on, who leave one after the other; baskets, repeats, and items that are new at the end."""
    events = crowded(4, 200)
    events = events[events.timestamp < 25 - events.u]
    events.loc[events.timestamp >= 20, "item_id"] += 1
    return pack(frame(events.user_id, events.item_id, 1_577_836_800 + events.timestamp * DAY))


@pytest.fixture(scope="module")
def good(log: Packed) -> Split:
    return in_time(log, "test")


def in_time(log: Packed, stage: Stage, protocol: Protocol | None = None) -> Split:
    how: dict[str, Any] = {"protocol": protocol or Successive(), "stage": stage, "cuts": (0.5, 0.7)}
    return split(*log[:3], len(log.vocabulary), repeats=True, **how)


class PerUser(Protocol):
    """The last 30 % of each user's moments are asked about."""

    name = "per-user"
    in_time = False

    def divide(self, moments: Moments, times: Floats, stage: Stage, cuts: Any) -> list[Division]:
        first, count = (np.unique(moments.user, return_index=True)[1], np.bincount(moments.user))
        share = (np.arange(len(moments.user)) - np.repeat(first, count)) / np.repeat(count, count)
        return [Division(float(moments.time[share >= 0.7].min()), np.inf, share < 0.7, share >= 0.7)]


class Random(Protocol):
    """A third of the moments, drawn at random, are asked about."""

    name = "random"
    in_time = False

    def divide(self, moments: Moments, times: Floats, stage: Stage, cuts: Any) -> list[Division]:
        asked = np.random.default_rng(0).random(len(moments.user)) < 1 / 3
        return [Division(float(moments.time[asked].min()), np.inf, ~asked, asked)]


Planted = tuple[Split, dict[str, Any]]


def rows_of(log: Packed, rows: Any) -> Events:
    return Events(owners(log.offsets)[rows], log.items[rows], log.times[rows])


def appended(log: Packed, good: Split) -> Planted:
    return good, {"training_events": rows_of(log, good.train | good.asked)}


def asked_again_as_training(log: Packed, good: Split) -> Planted:
    return replace(good, train=good.train | good.asked), {}


def one_basket(log: Packed, good: Split, width: int = 2) -> tuple[Queries, int]:
    """A query about several items that are all known, and its first row."""
    queries = good.queries
    asked = np.diff(queries.relevant_offsets)
    rows = queries.until - queries.end if queries.until is not None else asked
    (at,) = np.flatnonzero((asked == rows) & (asked >= width))[:1]
    return queries.subset(np.array([at])), int(queries.end[at])


def random_rows(log: Packed, good: Split) -> Planted:
    """Rows dealt at random, whatever moment they belong to."""
    asked = np.random.default_rng(0).random(len(log.items)) < 0.3
    return replace(good, train=~asked, asked=asked), {}


def basket_given_in_part(log: Packed, good: Split) -> Planted:
    """The first item of the basket is shown, the rest is asked for."""
    query, _ = one_basket(log, good)
    left = query.relevant[1:]
    query = replace(query, end=query.end + 1, relevant=left, relevant_offsets=np.array([0, len(left)]))
    return replace(good, queries=query), {}


def history_with_the_answer(log: Packed, good: Split) -> Planted:
    query, _ = one_basket(log, good)
    assert query.until is not None
    return replace(good, queries=replace(query, end=query.until)), {}


def whole_history(log: Packed, good: Split) -> Planted:
    queries = good.queries
    return replace(good, queries=replace(queries, end=log.offsets[queries.user + 1])), {}


def history_of_the_neighbour(log: Packed, good: Split) -> Planted:
    queries = good.queries.subset(good.queries.user > 0)
    return replace(good, queries=replace(queries, begin=queries.begin - 1)), {}


def everything_in_the_vocabulary(log: Packed, good: Split) -> Planted:
    every = np.arange(len(log.vocabulary))
    queries = replace(good.queries, relevant=good.catalogue[good.queries.relevant].astype(np.int32))
    return replace(good, catalogue=every, column=every.astype(np.int32), queries=queries), {}


def popularity_of_all_time(log: Packed, good: Split) -> Planted:
    return good, {"popularity": np.bincount(log.items, minlength=len(log.vocabulary))}


def queries_in_milliseconds(log: Packed, good: Split) -> Planted:
    return replace(good, queries=replace(good.queries, time=good.queries.time * 1000)), {}


def shuffled_training(log: Packed, good: Split) -> Planted:
    rows = rows_of(log, good.train)
    return good, {"training_events": replace(rows, time=np.random.default_rng(0).permutation(rows.time))}


def tuned_on_test(log: Packed, good: Split) -> Planted:
    return good, {"tuned_on": good.queries}


def tuned_on_long_answers(log: Packed, good: Split) -> Planted:
    """Validation asks about everything that its users ever take."""
    queries = in_time(log, "val").queries
    return good, {"tuned_on": replace(queries, until=log.offsets[queries.user + 1])}


def answers_without_end(log: Packed, good: Split) -> Planted:
    made = in_time(log, "val")
    queries = made.queries
    return replace(made, queries=replace(queries, until=log.offsets[queries.user + 1])), {}


def by(protocol: Protocol) -> Callable[[Packed, Split], Planted]:
    def planted(log: Packed, good: Split) -> Planted:
        return in_time(log, "test", protocol), {}

    planted.__name__ = protocol.name
    return planted


def tuned_and_tested_by_loo(log: Packed, good: Split) -> Planted:
    return in_time(log, "test", LeaveOneOut()), {"tuned_on": in_time(log, "val", LeaveOneOut()).queries}


PLANTS: list[tuple[Callable[[Packed, Split], Planted], set[str]]] = [
    (by(PerUser()), {"per_user_cut"}),
    (by(LeaveOneOut()), {"leave_one_out"}),
    (by(Random()), {"own_future", "others_future"}),
    (random_rows, {"own_future", "others_future", "straddling_moments", "answers_in_training"}),
    (tuned_and_tested_by_loo, {"leave_one_out", "validation_in_test"}),
    (basket_given_in_part, {"history_at_moment"}),
    (history_with_the_answer, {"answer_in_history"}),
    (whole_history, {"history_after_moment", "answer_in_history"}),
    (history_of_the_neighbour, {"history_of_others"}),
    (appended, {"answers_in_training", "own_future", "others_future"}),
    (asked_again_as_training, {"answers_in_training", "own_future", "others_future"}),
    (everything_in_the_vocabulary, {"future_vocabulary"}),
    (popularity_of_all_time, {"future_popularity"}),
    (queries_in_milliseconds, {"mixed_units", "moments_not_in_log"}),
    (shuffled_training, {"training_not_in_log"}),
    (tuned_on_test, {"validation_in_test"}),
    (tuned_on_long_answers, {"validation_in_test"}),
    (answers_without_end, {"answers_after_stop"}),
]


def test_what_nothing_was_planted_in_is_clean(log: Packed, good: Split) -> None:
    popularity = np.bincount(log.items[good.train], minlength=len(log.vocabulary))
    val = in_time(log, "val")
    assert audit(val, *log[:3]).leaks == ()
    whole = rows_of(log, good.train)
    found = audit(good, *log[:3], training_events=whole, tuned_on=val.queries, popularity=popularity)
    assert found.leaks == ()
    assert found.unknown_items > 0  # there is something that only the future knows


@pytest.mark.parametrize(("plant", "names"), PLANTS, ids=[plant.__name__ for plant, _ in PLANTS])
def test_what_a_careless_splitter_plants_is_named(
    log: Packed, good: Split, plant: Callable[[Packed, Split], Planted], names: set[str]
) -> None:
    made, more = plant(log, good)
    found = audit(made, *log[:3], **more)
    assert named(found) == names
    assert found.to_dict()["leaks"] is True
    assert found.verdict.startswith("Leaks (")
    assert all(name in found.verdict for name in names)
    assert all(each.count > 0 and each.sentence for each in found.leaks)


def test_copies_of_a_row_on_both_sides_of_the_cut() -> None:
    """The log was cut by the number of the row, between two rows that are the same."""
    log = pack(frame(list("aaaabb"), list("xyzzxx"), [1, 2, 5, 5, 3, 6]))
    good = split(*log[:3], 3, protocol="successive", stage="test", cuts=(0.3, 0.5), repeats=True)
    made = replace(good, train=good.train.copy(), asked=good.asked.copy())
    made.train[2], made.asked[2] = True, False
    column = np.array([0, 1, 2], dtype=np.int32)
    queries = Queries(
        np.array([0]), np.array([5.0]), np.array([0]), np.array([2]), np.array([0, 1]), np.array([2], np.int32)
    )  # fmt: skip
    found = audit(replace(made, catalogue=column.astype(np.int64), column=column, queries=queries), *log[:3])
    assert named(found) == {"duplicates_across_cut", "straddling_moments"}
    assert [each.count for each in found.leaks] == [1, 1]


def test_a_log_out_of_order_and_in_two_units(log: Packed, good: Split) -> None:
    times = log.times.copy()
    first = slice(int(log.offsets[0]), int(log.offsets[1]))
    times[first] = times[first][::-1]
    found = audit(good, log.offsets, log.items, times)
    assert "unordered_times" in named(found)
    times = log.times.copy()
    times[-1] *= 1000
    found = audit(good, log.offsets, log.items, times)
    assert "mixed_units" in named(found)
    count = next(each.count for each in found.leaks if each.name == "mixed_units")
    assert count == 1


def test_notices_are_no_leaks() -> None:
    """b's z at 65 repeats the one at 10; three events fall on the cut."""
    log = pack(frame(list("aaabbbb"), list("xyzyzzy"), [1, 65, 65, 2, 10, 65, 80]))
    made = split(*log[:3], 3, protocol="successive", stage="test", cuts=(0.3, 0.5), repeats=True)
    assert made.start == 65
    made = replace(made, queries=made.queries.subset(np.array([0, 1, 1])))
    found = audit(made, *log[:3])
    assert found.leaks == ()
    assert {(each.name, each.count) for each in found.notices} == {
        ("ties_at_cut", 3),
        ("near_duplicates", 1),
        ("asked_twice", 1),
    }


def test_every_name_is_explained_once(log: Packed, good: Split) -> None:
    """The tables list what the checks can find, and each is found by some test here."""
    assert not LEAKS.keys() & NOTICES.keys()
    planted = set().union(*(names for _, names in PLANTS))
    elsewhere = {"duplicates_across_cut", "straddling_moments", "unordered_times"}
    assert planted | elsewhere == LEAKS.keys()


def test_another_log_is_refused() -> None:
    log = small()
    made = split(*log[:3], 3, protocol="loo", stage="test", repeats=True)
    with pytest.raises(ValueError, match=r"== len\(items\)` must hold, but got \(6, 6, 5\)"):
        audit(made, offsets_of(np.array([3, 2])), log.items[:5], log.times[:5])
