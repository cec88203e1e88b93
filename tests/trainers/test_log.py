"""The packed log, its moments, and the training data made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers import helpers
from trainers.log import DAY, NAMES, PackedLog, Queries, TrainingData, moment_numbers, ranges

# User 0: items 0; 1 and 2 together; 0 again; later 3. User 1: nothing. User 2: item 2, then 4, both after day 6.
# User 3: one basket of two. Training ends before day 6: item 3 and 4 are not in the catalogue.
LOG = helpers.packed(
    [
        [(0, 0), (2, 1, 3.0), (2, 2), (5, 0), (9, 3)],
        [],
        [(7, 2), (8, 4)],
        [(1, 5), (1, 2)],
    ],
    vocabulary=7,
)
TYPES = np.array([0, 1, 1, 2, 0, 0, 1, 2, 2], np.int16)


@pytest.fixture
def data() -> TrainingData:
    return helpers.training(LOG, 6)


def test_moments_by_hand() -> None:
    assert LOG.users == 4
    assert LOG.moments.tolist() == [0, 1, 1, 2, 3, 0, 1, 0, 0]
    assert LOG.moments.dtype == np.int32


def test_a_new_user_opens_a_moment_at_the_same_second() -> None:
    numbers = moment_numbers(np.array([0, 0, 2, 2, 3, 3]), np.array([4.0, 5.0, 5.0]))
    assert numbers.tolist() == [0, 1, 0]
    assert moment_numbers(np.array([0, 0]), np.zeros(0)).tolist() == []


@given(st.lists(st.lists(st.integers(0, 4), max_size=8), max_size=6))
def test_moments_against_a_count_of_distinct_times(users: list[list[int]]) -> None:
    users = [sorted(user) for user in users]
    offsets = np.concatenate(([0], np.cumsum([len(user) for user in users]))).astype(np.int64)
    times = np.array([time for user in users for time in user], np.float64)
    expected = [len({t for t in user if t < time}) for user in users for time in user]
    assert moment_numbers(offsets, times).tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 6)), max_size=12))
def test_ranges_against_a_loop(pairs: list[tuple[int, int]]) -> None:
    expected = [value for start, length in pairs for value in range(start, start + length)]
    got = ranges(np.array([p[0] for p in pairs], np.int32), np.array([p[1] for p in pairs], np.int32))
    assert got.tolist() == expected
    assert got.dtype == np.int64


def test_queries_take_keeps_the_order_asked_for() -> None:
    queries = helpers.queries_of([(1.0, 0, 1, [4]), (2.0, 0, 2, [5, 6]), (3.0, 9, 12, [7, 8, 9])])
    taken = queries.take(np.array([2, 0, 2]))
    assert taken.time.tolist() == [3.0, 1.0, 3.0]
    assert taken.begin.tolist() == [9, 0, 9]
    assert taken.end.tolist() == [12, 1, 12]
    assert taken.target_offsets.tolist() == [0, 3, 4, 7]
    assert taken.targets.tolist() == [7, 8, 9, 4, 7, 8, 9]
    assert helpers.same_queries(queries.take(slice(1, 3)), queries.take(np.array([1, 2])))
    assert len(queries.take(slice(1, 1))) == 0
    assert queries.take(np.zeros(0, np.int64)).target_offsets.tolist() == [0]


def test_training_data_by_hand(data: TrainingData) -> None:
    assert data.stop.tolist() == [4, 5, 5, 9]
    assert data.catalogue.tolist() == [0, 1, 2, 5]
    assert data.column.tolist() == [0, 1, 2, -1, -1, 3, -1]
    assert data.end == 5 * DAY
    assert data.rows.tolist() == [0, 1, 2, 3, 7, 8]
    assert data.rows_of(slice(1, 4)).tolist() == [7, 8]
    assert data.rows_of(slice(1, 2)).tolist() == []


def test_training_moments_by_hand(data: TrainingData) -> None:
    """User 0's first moment has no history; user 3's basket is a first moment; day 9 is after training."""
    assert helpers.lists(data.moments()) == [
        {"day": 2.0, "rows": (0, 1), "targets": [1, 2]},
        {"day": 5.0, "rows": (0, 3), "targets": [0]},
    ]
    assert helpers.lists(data.moments(slice(0, 1))) == helpers.lists(data.moments())
    for users in (slice(1, 2), slice(2, 4), slice(0, 0)):
        assert len(data.moments(users)) == 0
        assert data.moments(users).target_offsets.tolist() == [0]


@pytest.mark.parametrize("seed", range(5))
def test_training_moments_against_a_loop(seed: int) -> None:
    log = helpers.crowded(seed)
    data = helpers.training(log, 15)
    expected = []
    for begin, stop in zip(log.offsets[:-1].tolist(), data.stop.tolist(), strict=True):
        for time in sorted(set(log.times[begin:stop].tolist()))[1:]:
            rows = [row for row in range(begin, stop) if log.times[row] == time]
            targets = [int(data.column[log.items[row]]) for row in rows]
            expected.append({"day": time / DAY, "rows": (begin, rows[0]), "targets": targets})
    assert helpers.lists(data.moments()) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 5, 30])
def test_shards_part_the_users_and_cover_all_events(size: int) -> None:
    data = helpers.training(helpers.crowded(1), 15)
    shards = [data.shard(rank, size) for rank in range(size)]
    assert [user for shard in shards for user in range(data.log.users)[shard]] == list(range(data.log.users))
    assert np.concatenate([data.rows_of(shard) for shard in shards]).tolist() == data.rows.tolist()
    moments = [entry for shard in shards for entry in helpers.lists(data.moments(shard))]
    assert moments == helpers.lists(data.moments())


def test_shards_balance_events_not_users() -> None:
    log = helpers.packed([[(float(day), 0) for day in range(30)], *([[(0.0, 0)]] * 30)])
    data = helpers.training(log)
    assert [len(data.rows_of(data.shard(rank, 2))) for rank in range(2)] == [30, 30]


def test_a_packed_log_opens_as_it_was_written(tmp_path: Path) -> None:
    written = replace(LOG, types=TYPES, category=np.array([0, 1, -1, 0, 2, 1, 0], np.int32))
    helpers.write_log(written, tmp_path / "log")
    log = PackedLog.open(tmp_path / "log", 7)
    for name in ("offsets", "items", "times", "weights", "moments", "types", "category"):
        assert np.array_equal(getattr(log, name), getattr(written, name)), name
        assert getattr(log, name).dtype == getattr(written, name).dtype
    assert log.vocabulary == 7
    with pytest.raises(ValueError, match="read-only"):
        log.times[0] = 0


def test_a_packed_log_without_its_categories_does_not_open(tmp_path: Path) -> None:
    helpers.write_log(LOG, tmp_path / "log")
    with pytest.raises(ValueError, match="mmap length is greater"):
        PackedLog.open(tmp_path / "log", 8)  # of a smaller vocabulary
    (tmp_path / "log" / "category.bin").unlink()
    with pytest.raises(FileNotFoundError):
        PackedLog.open(tmp_path / "log", 7)


def test_without_types_all_events_are_alike() -> None:
    assert LOG.types.tolist() == [0] * 9
    assert LOG.types.dtype == np.int16
    assert LOG.category is None
    assert replace(LOG, types=TYPES).types is TYPES
    with pytest.raises(ValueError, match=r"as many as `items`, but got \(2, 9\)"):
        replace(LOG, types=TYPES[:2])


def test_whose_rows_they_are() -> None:
    """User 1 has no events, so the row where they would begin is user 2's."""
    assert LOG.users_of(np.array([0, 4, 5, 6, 7, 8, 9])).tolist() == [0, 0, 2, 2, 3, 3, -1]
    assert LOG.users_of(np.zeros(0, np.int64)).dtype == np.int64


@pytest.mark.parametrize("validate", [False, True])
def test_training_data_opens_as_it_was_saved(tmp_path: Path, validate: bool) -> None:
    data = helpers.training(LOG, 6, validate=validate)
    data.save(tmp_path / "data")
    again = TrainingData.open(LOG, tmp_path / "data")
    assert again.end == data.end
    for name in ("stop", "catalogue", "column", "rows"):
        assert np.array_equal(getattr(again, name), getattr(data, name)), name
    if data.validation is None:
        assert again.validation is None
    else:
        assert isinstance(again.validation, Queries)
        assert helpers.same_queries(again.validation, data.validation)
    assert helpers.same_queries(again.moments(), data.moments())


def test_validation_of_the_helper_sees_what_happened_since() -> None:
    """User 2 has no training events: at day 8 its history is what it did on day 7; but item 4 is not known."""
    log = helpers.packed([[(0, 0), (1, 1)], [(7, 0), (8, 1)], [(7, 1), (8, 2)]])
    data = helpers.training(log, 6, validate=True)
    assert data.validation is not None
    assert helpers.lists(data.validation) == [{"day": 8.0, "rows": (2, 3), "targets": [1]}]


def test_a_packed_log_knows_the_names_of_its_groups(tmp_path: Path) -> None:
    helpers.write_log(helpers.crowded(), tmp_path / "log")
    assert PackedLog.open(tmp_path / "log", 9).names == {}
    table = pa.table({"id": ["sold", "viewed"]})
    with pa.ipc.new_file(str(tmp_path / "log" / NAMES["event_type"]), table.schema) as file:
        file.write_table(table)
    assert PackedLog.open(tmp_path / "log", 9).names == {"event_type": ["sold", "viewed"]}


def test_a_window_is_learned_from_and_what_was_before_is_history() -> None:
    """Three users, the first with events on both sides, the second with old ones alone, the third with new ones."""
    log = helpers.packed([[(0, 0), (2, 1), (5, 0), (9, 2)], [(1, 1), (2, 2)], [(6, 0), (7, 1), (9, 1)]])
    data = replace(helpers.training(log, 8), since=5 * DAY)
    assert data.start.tolist() == [2, 6, 6]
    assert data.counts(slice(None)).tolist() == [1, 0, 2]
    assert data.rows.tolist() == [2, 6, 7]
    assert data.rows_of(slice(1, 3)).tolist() == [6, 7]
    moments = data.moments()
    assert list(zip(moments.begin.tolist(), moments.end.tolist(), strict=True)) == [(0, 2), (6, 7)]
    assert (moments.time / DAY).tolist() == [5, 7]
    whole = helpers.training(log, 8)
    assert whole.start.tolist() == [0, 4, 6]
    nothing = replace(whole, since=99 * DAY)
    assert len(nothing.rows) == len(nothing.moments()) == 0
