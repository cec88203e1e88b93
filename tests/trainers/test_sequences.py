"""Windows of users' sequences, and the batches that networks read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainers import helpers
from tests.trainers.neural import NEURAL, OWN, all_moments, logits, neural, scored, whole
from trainers.histories import Histories
from trainers.log import DAY, PackedLog, Queries, TrainingData
from trainers.sequences import Batch, Windows, batches, by_user

LOG = helpers.packed(
    [
        [(0, 0), (1, 1, 3.0), (1, 2), (3, 0), (4, 3), (6, 1)],
        [(2, 2), (5, 2, 2.0), (9, 0)],
    ]
)
COLUMN = np.arange(4, dtype=np.int32)


@pytest.fixture(scope="module")
def batch() -> Batch:
    """The log's windows of moments that read two events."""
    return whole(LOG, helpers.training(LOG).moments(), COLUMN, 2, repeats=False)


def test_windows_by_hand() -> None:
    """At most four events each: the last moment of the first user, which has five before it, reads only two."""
    windows = Windows.of(helpers.training(LOG).moments(), 2)
    assert len(windows) == 3
    assert list(zip(windows.first, windows.last, strict=True)) == [(0, 3), (3, 4), (4, 6)]
    assert list(zip(windows.begin, windows.end, strict=True)) == [(0, 4), (3, 5), (6, 8)]
    assert windows.lengths.tolist() == [4, 2, 2]


def test_windows_without_overlap_share_the_event_that_the_first_moment_reads() -> None:
    windows = Windows.of(helpers.training(LOG).moments(), 2, overlap=0.0)
    assert list(zip(windows.first, windows.last, strict=True)) == [(0, 2), (2, 4), (4, 6)]
    assert list(zip(windows.begin, windows.end, strict=True)) == [(0, 3), (3, 5), (6, 8)]


def test_a_batch_by_hand(batch: Batch) -> None:
    assert batch.items.tolist() == [[0, 1, 2, 0], [0, 3, 0, 0], [2, 2, 0, 0]]
    assert batch.real.tolist() == [[True] * 4, [True, True, False, False], [True, True, False, False]]
    assert batch.times[batch.real].tolist() == [0, 1, 1, 3, 3, 4, 2, 5]
    assert batch.moments[batch.real].tolist() == [0, 1, 1, 2, 2, 3, 0, 1]
    assert batch.weights[batch.real].tolist() == [1, 3, 1, 1, 1, 1, 1, 2]
    assert batch.begin[batch.real].tolist() == [0, 1, 1, 3, 0, 1, 0, 1]
    assert batch.again[batch.real].tolist() == [3, 4, 4, 4, 4, 4, 1, 4]
    assert batch.opens[batch.real].tolist() == [0, 1, 2, 0, 0, 1, 0, 0]
    assert batch.valid.tolist() == [[True] * 3, [True, False, False], [True, True, False]]
    assert batch.asked[batch.valid].tolist() == [1, 3, 4, 6, 5, 9]
    assert batch.number[batch.valid].tolist() == [0, 1, 2, 3, 0, 1]
    assert batch.first[batch.valid].tolist() == [0, 1, 2, 0, 0, 0]
    assert batch.seen[batch.valid].tolist() == [1, 3, 4, 2, 1, 2]
    assert batch.query.tolist() == [0, 1, 2, 3, 4, 5]
    assert len(batch) == 6


def test_ages_on_both_clocks_by_hand(batch: Batch) -> None:
    visible = batch.visible
    assert visible[0].tolist() == [
        [True, False, False, False],
        [False, True, True, False],
        [False, False, True, True],
    ]
    assert batch.days[visible].tolist() == [1, 2, 2, 3, 1, 3, 2, 3, 7, 4]
    assert batch.later[visible].tolist() == [0, 0, 0, 1, 0, 1, 0, 0, 1, 0]
    assert not visible[~batch.valid].any()


def test_answers_by_hand(batch: Batch) -> None:
    """Each moment's items, and all that the user had before, be it out of the window."""
    assert batch.target_row.tolist() == [0, 0, 1, 2, 3, 4, 5]
    assert batch.targets.tolist() == [1, 2, 0, 3, 1, 2, 0]
    assert batch.had_row.tolist() == [0, *[1] * 3, *[2] * 4, *[3] * 5, 4, *[5] * 2]
    assert batch.had.tolist() == [0, 0, 1, 2, 0, 1, 2, 0, 0, 1, 2, 0, 3, 2, 2, 2]


def test_nothing_was_had_where_items_are_taken_again() -> None:
    batch = whole(LOG, helpers.training(LOG).moments(), COLUMN, 2)
    assert len(batch.had) == len(batch.had_row) == 0


def test_a_batch_moves_to_a_device(batch: Batch) -> None:
    moved = batch.to(torch.device("meta"))
    assert {tensor.device.type for tensor in vars(moved).values()} == {"meta"}


def test_no_windows_of_no_queries() -> None:
    windows = Windows.of(helpers.training(LOG).moments().take(slice(0, 0)), 5)
    assert len(windows) == 0
    assert windows.lengths.tolist() == []


def test_queries_are_sorted_by_user_and_time() -> None:
    moments = helpers.training(helpers.crowded(2)).moments()
    stirred = moments.take(np.random.default_rng(0).permutation(len(moments)))
    assert not helpers.same_queries(stirred, moments)
    assert helpers.same_queries(by_user(stirred), moments)


def known(queries: Queries, query: int, log: PackedLog, column: npt.NDArray[np.int32], low: int) -> list[int]:
    """The rows from `low` on of what the catalogue knows of a query's history."""
    rows = range(max(low, int(queries.begin[query])), int(queries.end[query]))
    assert all(log.times[row] < queries.time[query] for row in rows)
    return [row for row in rows if column[log.items[row]] >= 0]


@given(
    seed=st.integers(0, 10_000),
    most=st.integers(1, 9),
    strangers=st.booleans(),
    overlap=st.sampled_from((0.0, 0.4, 1.0)),
)
@settings(max_examples=90, deadline=None)
def test_batches_against_a_double_loop(seed: int, most: int, strangers: bool, overlap: float) -> None:
    """Every moment is answered once, from the latest events strictly before it."""
    log = helpers.crowded(seed, most=40)
    data = helpers.training(log)
    column = np.random.default_rng(seed).permutation(log.vocabulary).astype(np.int32)
    if strangers:
        column[column >= 6] = -1
    queries = data.moments()
    queries = Queries(queries.time, queries.begin, queries.end, queries.target_offsets, queries.targets % 6)
    windows = Windows.of(queries, most, overlap)
    shared = max(round(overlap * most), 1)
    assert (windows.lengths <= most + shared).all()
    index = np.random.default_rng(seed).permutation(len(windows))
    batch = Batch.of(windows, index, log, column, most, repeats=False)
    assert sorted(batch.query.tolist()) == list(range(len(queries)))
    rows = batch.valid.nonzero()
    visible, days, later = batch.visible, batch.days, batch.later
    for row, query in enumerate(batch.query.tolist()):
        window, slot = rows[row].tolist()
        low = int(windows.begin[index[window]])
        expected = known(queries, query, log, column, low)[-most:]
        whole_history = known(queries, query, log, column, 0)
        if not strangers:
            assert len(expected) >= min(shared, len(whole_history))
            assert expected == whole_history[-len(expected) :][-most:]
        seen = visible[window, slot]
        assert batch.items[window][seen].tolist() == [column[log.items[r]] for r in expected]
        assert batch.weights[window][seen].tolist() == [log.weights[r] for r in expected]
        ages = [(queries.time[query] - log.times[r]) / DAY for r in expected]
        assert days[window, slot][seen].tolist() == pytest.approx(ages)
        assert (days[window, slot][seen] > 0).all()
        times = log.times[queries.begin[query] : queries.end[query]]
        passed = [len(set(times[times > log.times[r]])) for r in expected]
        assert later[window, slot][seen].tolist() == passed
        asked = slice(queries.target_offsets[query], queries.target_offsets[query + 1])
        assert batch.targets[batch.target_row == row].tolist() == queries.targets[asked].tolist()
        assert batch.had[batch.had_row == row].tolist() == [column[log.items[r]] for r in whole_history]


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_order_within_a_window(seed: int) -> None:
    """`begin` counts what is strictly before an event's own moment; `again` finds the same item's next event, `opens`
    its first."""
    log = helpers.crowded(seed, most=40)
    batch = whole(log, helpers.training(log).moments(), np.arange(9, dtype=np.int32), 6)
    for window in range(len(batch.items)):
        count = int(batch.real[window].sum())
        items, times = batch.items[window, :count].tolist(), batch.times[window, :count].tolist()
        assert batch.real[window].tolist() == [True] * count + [False] * (len(batch.real[window]) - count)
        for event in range(count):
            assert batch.begin[window, event] == sum(time < times[event] for time in times)
            later = [other for other in range(event + 1, count) if items[other] == items[event]]
            assert batch.again[window, event] == min(later, default=batch.items.shape[1])
            assert batch.opens[window, event] == items.index(items[event])


@pytest.fixture(scope="module")
def strange() -> TrainingData:
    """A log with crowded moments of whose items two are not in the catalogue."""
    data = helpers.training(helpers.crowded(3, users=16), 15, validate=True)
    column = data.column.copy()
    column[[2, 7]] = -1
    column[column > 0] = np.arange(1, (column > 0).sum() + 1)
    assert (column >= 0).sum() == 7
    return TrainingData(
        data.log, data.stop, np.flatnonzero(column >= 0), column, data.end, validation=data.validation
    )


@pytest.mark.parametrize("own", [None, OWN], ids=["alone", "own"])
@pytest.mark.parametrize("kind", NEURAL)
def test_a_moment_is_answered_the_same_in_a_window_and_alone(
    kind: str, own: dict[str, Any] | None, strange: TrainingData
) -> None:
    """As in training, and as when serving, from a history alone. None is longer than `max_history`: the states of `gru`
    and `lstm` begin with the window, which may hold twice as much, and so do the lower layers of `transformer`."""
    encoder = neural(kind, 7, own=own, max_history=20)
    queries = all_moments(strange)
    windows = Windows.of(queries, 20)
    assert len(windows) < len(queries) / 2
    answered = torch.empty(len(queries), 7)
    for part in batches(windows, 30, np.random.default_rng(0)):
        batch = Batch.of(windows, part, strange.log, strange.column, 20)
        answered[batch.query] = logits(encoder, batch)
    alone = scored(encoder, strange.log, queries, strange.column)
    torch.testing.assert_close(answered, alone, rtol=1e-4, atol=1e-5)
    assert answered.std(0).min() > 1e-3


@pytest.mark.parametrize("kind", ["mlp", "vae", "recurrent"])
def test_long_histories_are_answered_from_their_latest_events(kind: str) -> None:
    """What these read of a window is what each moment sees, in whichever window it stands."""
    data = helpers.training(helpers.crowded(1, most=60), 15, validate=True)
    encoder = neural(kind, 9, own=OWN, max_history=5)
    queries = all_moments(data)
    assert (np.diff(queries.begin) == 0).sum() > len(Windows.of(queries, 5)) > data.log.users
    batch = whole(data.log, queries, data.column, 5)
    alone = scored(encoder, data.log, queries, data.column)
    torch.testing.assert_close(logits(encoder, batch), alone, rtol=1e-4, atol=1e-5)


def test_histories_that_name_no_times_have_ages_all_the_same() -> None:
    """Such as are made by hand: their moments are at 0 and their events before it, before 1970."""
    bare = Histories(
        np.array([0, 3, 3]),
        np.array([0, 1, 1], np.int32),
        np.array([9.0, 2.0, 2.0]),
        np.array([1.0, 0.0, 0.0]),
        np.ones(3, np.float32),
        np.arange(3),
        4,
    )
    dated = replace(bare, at=np.array([40.0, 40.0]) * DAY, times=(40 - bare.days) * DAY)
    batch = Batch.of_histories(bare, 5)
    assert batch.days[batch.visible].tolist() == pytest.approx([9, 2, 2])
    assert batch.later[batch.visible].tolist() == [1, 0, 0]
    assert batch.begin[0].tolist() == [0, 1, 1]
    assert batch.valid.tolist() == [[True], [True]]
    assert batch.query.tolist() == [0, 1]
    for kind in NEURAL:
        encoder = neural(kind, 4)
        np.testing.assert_allclose(encoder.score(bare), encoder.score(dated), rtol=1e-5, atol=1e-6)


def test_seconds_are_not_lost_to_rounding() -> None:
    """A quarter of a second, fifty years after 1970 and in the same window as an age of ten years."""
    now = 1_700_000_000.25
    log = helpers.packed([[((now - 3e8) / DAY, 0), ((now - 0.25) / DAY, 0), (now / DAY, 0)]])
    batch = whole(log, helpers.training(log).moments(), np.zeros(1, np.int32), 9)
    assert batch.times.dtype == batch.asked.dtype == torch.float64
    assert (batch.days * DAY)[0, 1, :2].tolist() == pytest.approx([3e8, 0.25], rel=1e-4)
    alone = Batch.of_histories(
        Histories.of(log, helpers.training(log).moments(), np.zeros(1, np.int32), 1), 9
    )
    assert (alone.days * DAY)[1, 0].tolist() == pytest.approx([3e8, 0.25], rel=1e-4)


@pytest.fixture(scope="module")
def uneven() -> Windows:
    """Three thousand users, most with a few dozen events and some with a thousand."""
    lengths = np.random.default_rng(0).lognormal(3.3, 1.0, 3000).astype(np.int64) + 2
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    times = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    log = PackedLog(
        offsets, np.zeros(offsets[-1], np.int32), times * DAY, np.ones(offsets[-1], np.float32), 1
    )
    return Windows.of(helpers.training(log).moments(), 100)


def test_batches_are_the_windows_once_each(uneven: Windows) -> None:
    parts = batches(uneven, 256, np.random.default_rng(1))
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(uneven)))
    moments = np.array([(uneven.last - uneven.first)[part].sum() for part in parts])
    assert moments.mean() == pytest.approx(256, rel=0.03)
    assert moments.max() < 256 + 200  # one window more than asked for, at the most


def test_a_tenth_of_a_batch_is_padding_at_the_most(uneven: Windows) -> None:
    lengths = [uneven.lengths[part] for part in batches(uneven, 256, np.random.default_rng(1))]
    padded = np.array([len(part) * part.max() for part in lengths])
    real = np.array([part.sum() for part in lengths])
    assert real.sum() / padded.sum() > 0.9
    assert (real / padded > 0.9).mean() > 0.9


def test_batches_differ_from_epoch_to_epoch_and_not_by_chance(uneven: Windows) -> None:
    one, same, other = (batches(uneven, 256, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    together = [{frozenset(part.tolist()) for part in parts} for parts in (one, other)]
    assert len(together[0] & together[1]) < len(one) / 10
    longest = [int(np.argmax([uneven.lengths[part].max() for part in parts])) for parts in (one, other)]
    assert longest[0] != longest[1]  # their order is random too, not by length
