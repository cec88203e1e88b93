from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluators import Seen, Split, split
from tests.evaluators.helpers import Packed, crowded, frame, pack, retail
from tests.reference import protocol as referee

PROTOCOLS, STAGES, REPEATS = ("successive", "loo"), ("val", "test"), (False, True)


def assert_agrees(events: pd.DataFrame, log: Packed, made: Split, train: pd.DataFrame, expected: Any) -> None:
    """Training events, catalogue, moments, histories and relevant items, all as the referee has them."""
    user = np.repeat(np.arange(len(log.offsets) - 1), np.diff(log.offsets))
    fitted = pd.DataFrame(
        {
            "u": user[made.train],
            "timestamp": log.times[made.train],
            "item_id": log.vocabulary[log.items[made.train]],
        }
    )
    by = ["u", "timestamp", "item_id"]
    assert (fitted.to_numpy() == train.sort_values(by)[by].to_numpy()).all()
    assert log.vocabulary[made.catalogue].tolist() == sorted(set(train.item_id))
    queries = made.queries
    assert queries.user.tolist() == expected.u.tolist()
    assert queries.time.tolist() == expected.timestamp.tolist()
    for q, (hist, relevant) in enumerate(zip(expected["hist"], expected.relevant, strict=True)):
        rows = slice(queries.begin[q], queries.end[q])
        mine = events.iloc[hist].sort_values(["timestamp", "item_id"])
        assert log.times[rows].tolist() == mine.timestamp.tolist()
        assert log.vocabulary[log.items[rows]].tolist() == mine.item_id.tolist()
        columns = queries.relevant[queries.relevant_offsets[q] : queries.relevant_offsets[q + 1]]
        assert log.vocabulary[made.catalogue[columns]].tolist() == relevant.tolist()
    assert queries.relevant_offsets[-1] == len(queries.relevant)


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_agrees_with_the_referee_on_crowded_logs(protocol: Any, stage: Any, repeats: bool) -> None:
    asked = 0
    for seed in range(12):
        events = crowded(seed)
        log = pack(events)
        train, expected = referee.split(events, protocol, stage, repeat=repeats)
        if not len(expected):
            continue
        made = split(*log[:3], len(log.vocabulary), protocol=protocol, stage=stage, repeats=repeats)
        assert_agrees(events, log, made, train, expected)
        asked += len(expected)
    assert asked > 30


@pytest.mark.parametrize(
    ("protocol", "stage", "repeats"),
    [
        ("successive", "test", True),
        ("successive", "val", False),
        ("loo", "val", True),
        ("loo", "test", False),
    ],
)
def test_agrees_with_the_referee_on_baskets_and_its_sample(protocol: Any, stage: Any, repeats: bool) -> None:
    events, log = retail()
    train, expected = referee.split(events, protocol, stage, repeat=repeats, max_queries=200, seed=5)
    made = split(
        *log[:3],
        len(log.vocabulary),
        protocol=protocol,
        stage=stage,
        repeats=repeats,
        max_queries=200,
        seed=5,
    )
    assert len(expected) == 200
    # The referee lists a sample by user; here every set of queries is listed by time.
    expected = expected.sort_values(["timestamp", "u"])
    assert_agrees(events, log, made, train, expected)


def small() -> Packed:
    """Ann (0): a at 1, b at 2, a and c at 5. Bob (1): c at 3 and 6, b at 6. Cuts at 3 and 5."""
    return pack(frame(list("aaaabbb"), list("abacccb"), [1, 2, 5, 5, 3, 6, 6]))


def make(log: Packed, **changes: Any) -> Split:
    settings: dict[str, Any] = {
        "protocol": "successive",
        "stage": "test",
        "cuts": (0.4, 0.6),
        "repeats": True,
    }
    return split(*log[:3], len(log.vocabulary), **{**settings, **changes})


def test_by_hand() -> None:
    made = make(small())
    assert (made.start, made.stop) == (5.0, np.inf)
    assert made.train.tolist() == [True, True, False, False, True, False, False]
    assert made.catalogue.tolist() == made.column.tolist() == [0, 1, 2]
    assert made.queries.user.tolist() == [0, 1]
    assert made.queries.begin.tolist() == [0, 4]
    assert made.queries.end.tolist() == [2, 5]
    assert made.queries.relevant_offsets.tolist() == [0, 2, 4]
    assert made.queries.relevant.tolist() == [0, 2, 1, 2]


def test_items_of_the_history_are_not_relevant_without_repeats() -> None:
    made = make(small(), repeats=False)
    assert made.queries.relevant_offsets.tolist() == [0, 1, 2]
    assert made.queries.relevant.tolist() == [2, 1]


def test_an_item_that_training_never_saw_has_no_column() -> None:
    made = make(small(), stage="val", cuts=(0.3, 0.9))
    assert made.start == 3.0
    assert made.catalogue.tolist() == [0, 1]
    assert made.column.tolist() == [0, 1, -1]
    assert made.queries.user.tolist() == [
        0
    ]  # Bob's moment at 3 has no history, his moment at 6 is past the stop
    assert made.queries.relevant.tolist() == [0]


def test_a_user_without_rows_changes_nothing() -> None:
    log = small()
    offsets = np.array([0, 0, 4, 4, 7, 7])
    made = split(offsets, log.items, log.times, 3, protocol="loo", stage="test", repeats=True)
    assert made.queries.user.tolist() == [1, 3]
    assert made.queries.begin.tolist() == [0, 4]


def test_subset_keeps_the_relevant_items_of_its_queries() -> None:
    queries = make(small()).queries
    part = queries.subset(np.array([False, True]))
    assert (len(part), part.user.tolist(), part.relevant.tolist()) == (1, [1], [1, 2])
    assert queries.subset(np.array([1, 0])).relevant.tolist() == [1, 2, 0, 2]


def test_seen_is_the_known_part_of_each_history() -> None:
    events, log = crowded(3), pack(crowded(3))
    made = make(log, cuts=(0.2, 0.5), stage="val")
    assert (made.column < 0).any() or len(made.catalogue) == len(log.vocabulary)
    seen = Seen(made.queries, log.items, made.column)(slice(2, 7))
    assert len(events) == len(log.items)
    for at, q in enumerate(range(2, 7)):
        history = made.column[log.items[made.queries.begin[q] : made.queries.end[q]]]
        expected = sorted({int(c) for c in history if c >= 0})
        assert seen.columns[seen.offsets[at] : seen.offsets[at + 1]].tolist() == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": "random"}, "`protocol` must be one of successive, loo, rolling, but got 'random'"),
        ({"stage": "train"}, "`stage` must be one of val, test, but got 'train'"),
        ({"cuts": (0.9, 0.8)}, r"`0 < cuts\[0\] < cuts\[1\] < 1` must hold, but got \(cuts=\[0.9, 0.8\]\)"),
        ({"cuts": (0.8, 1.0)}, "give two shares of the log"),
        ({"cuts": (0.0, 0.9)}, "give two shares of the log"),
        ({"max_queries": 0}, r"`max_queries >= 1` must hold, but got \(max_queries=0\)"),
        (
            {"cuts": (0.1, 0.9), "stage": "val"},
            "`training events >= 1` must hold, but successive val has none",
        ),
        ({"cuts": (0.2, 0.3), "stage": "val"}, r"`queries >= 1` must hold.*none of 1 moments.*start=2.0"),
    ],
)
def test_bad_arguments(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(small(), **changes)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("offsets", [0, 4, 6], "`offsets` must rise from 0 to 7"),
        ("offsets", [0, 5, 4, 7], "`offsets` must rise from 0 to 7"),
        ("items", [0, 1, 0, 3, 2, 1, 2], r"`0 <= items < item_count` must hold, but got \(min=0, max=3"),
        ("items", [0, 1, 2, 0, 2, 1, 2], r"sorted by \(user, time, item\), but row 3 falls back"),
        ("times", [1, 2, 5, 4, 3, 6, 6], "but row 3 falls back"),
        ("times", [1, 2, np.nan, 5, 3, 6, 6], "`times` must be finite, but row 2 is not"),
        ("times", [1, 2], r"`len\(items\) == len\(times\) >= 1` must hold, but got \(7, 2\)"),
    ],
)
def test_bad_logs(field: str, value: list[Any], message: str) -> None:
    log = small()._replace(**{field: np.array(value)})
    with pytest.raises(ValueError, match=message):
        split(*log[:3], 3, protocol="loo", stage="test", repeats=True)
