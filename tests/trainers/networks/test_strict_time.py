"""No network sees what happens at or after a moment, in training least of all, where all moments share a pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers import helpers
from tests.trainers.neural import BOTH, NEURAL, OWN, logits, neural, whole
from trainers.encoders import Neural
from trainers.log import DAY, PackedLog, Queries
from trainers.sequences import Batch

ITEMS = 9
LOG = helpers.crowded(3, users=6, most=30)
MOMENTS = helpers.training(LOG).moments()
COLUMN = np.arange(ITEMS, dtype=np.int32)
MOST = 50  # nobody has more

every_kind = pytest.mark.parametrize("kind", NEURAL)
every_own = pytest.mark.parametrize("own", [None, OWN], ids=["alone", "own"])


def answered(encoder: Neural, log: PackedLog = LOG, moments: Queries = MOMENTS) -> torch.Tensor:
    """[Q, I] in the order of the moments."""
    batch = whole(log, moments, COLUMN, encoder.settings.max_history)
    found = logits(encoder, batch)
    assert batch.query.tolist() == list(range(len(moments)))
    return found


def changed(rows: Any, *, clock: bool = True) -> PackedLog:
    """The log with other items, weights and later times in some of its rows."""
    items, weights, times = LOG.items.copy(), LOG.weights.copy(), LOG.times.copy()
    items[rows] = (items[rows] + 1 + np.arange(len(items[rows])) % (ITEMS - 1)) % ITEMS
    weights[rows] += 1
    if clock:
        times[rows] += 0.25 * DAY
    return replace(LOG, items=items, weights=weights, times=times)


def user_end(query: int) -> int:
    return int(LOG.offsets[np.searchsorted(LOG.offsets, MOMENTS.begin[query], side="right")])


@every_own
@every_kind
def test_what_happens_at_or_after_a_moment_does_not_reach_it(kind: str, own: dict[str, Any] | None) -> None:
    encoder = neural(kind, ITEMS, own=own, max_history=MOST)
    before = answered(encoder)
    reached = 0
    for query in range(len(MOMENTS)):
        now = np.arange(MOMENTS.end[query], user_end(query))
        after = answered(encoder, changed(now))
        until = MOMENTS.end <= MOMENTS.end[query]
        torch.testing.assert_close(after[until], before[until], rtol=1e-6, atol=1e-6)
        later = (MOMENTS.begin == MOMENTS.begin[query]) & ~until
        assert ((after[later] - before[later]).abs().amax(1) > 1e-5).all()
        reached += later.sum()
    assert reached > 100


@every_own
@every_kind
def test_another_event_of_the_same_moment_does_not_reach_it(kind: str, own: dict[str, Any] | None) -> None:
    """One item of a basket at a time, none of which may tell of the others."""
    encoder = neural(kind, ITEMS, own=own, max_history=MOST)
    before = answered(encoder)
    baskets = [q for q in range(len(MOMENTS)) if np.diff(MOMENTS.target_offsets)[q] > 1]
    assert len(baskets) > 10
    for query in baskets:
        after = answered(encoder, changed([int(MOMENTS.end[query]) + 1], clock=False))
        torch.testing.assert_close(after[query], before[query], rtol=1e-6, atol=1e-6)


@every_own
@every_kind
def test_every_earlier_event_is_felt(kind: str, own: dict[str, Any] | None) -> None:
    encoder = neural(kind, ITEMS, own=own, max_history=MOST)
    before = answered(encoder)
    query = int(np.flatnonzero(MOMENTS.end - MOMENTS.begin == 9)[0])
    for row in range(int(MOMENTS.begin[query]), int(MOMENTS.end[query])):
        after = answered(encoder, changed([row], clock=False))
        assert not torch.allclose(after[query], before[query], rtol=0, atol=1e-6), row


@every_own
@every_kind
def test_what_is_too_old_to_be_read_is_not_read(kind: str, own: dict[str, Any] | None) -> None:
    """In the first window of a user, where a moment could see more than `max_history` events. `gru` and `lstm` begin
    with the window, and the events that a moment of `transformer` reads have read others."""
    shallow: dict[str, Any] = {"blocks": 1} if kind == "transformer" else {}
    encoder = neural(kind, ITEMS, own=own, max_history=5, **shallow)
    before = answered(encoder)
    length = MOMENTS.end - MOMENTS.begin
    query = int(np.flatnonzero((length > 5) & (length <= 10))[0])
    row = int(MOMENTS.end[query]) - 6
    after = answered(encoder, changed([row], clock=False))
    same = torch.allclose(after[query], before[query], rtol=1e-6, atol=1e-6)
    assert same == (kind not in ("gru", "lstm"))


@every_own
@every_kind
def test_the_order_within_a_moment_does_not_matter(kind: str, own: dict[str, Any] | None) -> None:
    """The events of a basket have no order, whatever the log's is."""
    encoder = neural(kind, ITEMS, own=own, max_history=MOST)
    order = np.lexsort((-np.arange(len(LOG.items)), LOG.times, LOG.users_of(np.arange(len(LOG.items)))))
    assert (order != np.arange(len(order))).sum() > 20
    turned = replace(LOG, items=LOG.items[order], weights=LOG.weights[order])
    torch.testing.assert_close(answered(encoder, turned), answered(encoder), rtol=1e-4, atol=1e-5)


def asked_later(encoder: Neural, query: int) -> float:
    """How far the logits of a moment move when it comes a third of a day later."""
    time = MOMENTS.time.copy()
    time[query] += DAY / 3
    after = answered(encoder, moments=replace(MOMENTS, time=time))
    difference = (after - answered(encoder)).abs().amax(1)
    assert difference[np.arange(len(MOMENTS)) != query].max() < 1e-6
    return float(difference[query])


TIMELESS: dict[str, Any] = {"family": "none"}
MOMENTS_ONLY: dict[str, Any] = {"family": "exponential", "clock": "moments", "half_life": 2.0}
TIMED: dict[str, Any] = {"family": "exponential", "half_life": 2.0}


@every_own
@every_kind
def test_the_time_since_the_last_event_is_felt(kind: str, own: dict[str, Any] | None) -> None:
    query = int(np.argmax(MOMENTS.end - MOMENTS.begin))
    for forgetting in (TIMED, BOTH) if kind != "recurrent" else (TIMED,):
        assert asked_later(neural(kind, ITEMS, own=own, forgetting=forgetting), query) > 1e-4


@pytest.mark.parametrize("forgetting", [TIMELESS, MOMENTS_ONLY], ids=["none", "moments"])
@every_kind
def test_time_is_felt_without_a_curve_on_it(kind: str, forgetting: dict[str, Any]) -> None:
    """All but the sums know how long ago the last event was. `own` has a curve of its own."""
    query = int(np.argmax(MOMENTS.end - MOMENTS.begin))
    alone = asked_later(neural(kind, ITEMS, forgetting=forgetting), query)
    assert (alone > 1e-4) == (kind not in ("mlp", "vae"))
    assert asked_later(neural(kind, ITEMS, forgetting=forgetting, own={"age": True}), query) > 1e-4


@every_kind
def test_no_moment_answers_for_another(kind: str) -> None:
    """A window alone, and among longer ones whose padding it then has."""
    encoder = neural(kind, ITEMS, own=OWN, max_history=7)
    together = answered(encoder)
    for user in range(LOG.users):
        mine = MOMENTS.begin == LOG.offsets[user]
        if mine.any():
            alone = answered(encoder, moments=MOMENTS.take(np.flatnonzero(mine)))
            torch.testing.assert_close(alone, together[torch.from_numpy(mine)], rtol=1e-4, atol=1e-5)


@every_kind
def test_gradients_are_finite_and_reach_every_parameter(kind: str) -> None:
    """Through padding, moments of nothing and ages of zero. (What begins at zero is stirred.)"""
    encoder = neural(kind, ITEMS, own=OWN, max_history=7)
    first = helpers.queries_of([(float(LOG.times[0]), 0, 0, [0])])
    batches = [whole(LOG, queries, COLUMN, 7) for queries in (MOMENTS, first)]
    encoder.module.train()
    total = sum(prediction.logits().logsumexp(1).sum() for prediction in map(encoder.module, batches))
    assert isinstance(total, torch.Tensor)
    torch.autograd.backward(total)
    for name, parameter in encoder.module.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_batches_of_this_file_hold_what_they_should() -> None:
    batch: Batch = whole(LOG, MOMENTS, COLUMN, MOST)
    assert batch.items.shape[1] < MOST
    assert not batch.real.all()
    assert not batch.valid.all()
