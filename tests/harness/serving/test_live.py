"""Live states: the scores of the whole history, every event once, whatever happens to the process."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from harness.data import ColumnSettings, DataSettings, Store, prepare
from harness.serving.known import KnownUsers
from harness.serving.live import LiveState
from harness.serving.package import Package
from tests.conftest import RETAIL
from tests.harness.conftest import packaged
from trainers.encoders import ENCODERS
from trainers.log import ranges
from trainers.model import Model, ModelSettings

DAY = 86_400.0
NOW = 1_600_000_000.0 + 60 * DAY
POWER = {"family": "power", "tau": 7.0, "exponent": 0.5}


def history(package: Package, user: str) -> list[tuple[str, float]]:
    """(item, time) of a user of the package's log; items that the model does not know are left out."""
    assert package.known is not None
    number, log = package.known.ids.index(user), package.known.log
    rows = range(int(log.offsets[number]), int(log.offsets[number + 1]))
    known = [row for row in rows if log.items[row] < len(package.items)]
    return [(package.items[log.items[row]], float(log.times[row])) for row in known]


def exact(package: Package, events: list[tuple[str, float]], at: float) -> npt.NDArray[np.float64]:
    items, times = [item for item, _ in events], [when for _, when in events]
    scores: npt.NDArray[np.float64] = package.model.score(package.histories([(items, times, None)], [at]))[0]
    return scores


@pytest.fixture
def empty(package: Package, tmp_path: Path) -> Iterator[LiveState]:
    """A live state of nobody."""
    live = LiveState.make(tmp_path / "live", replace(package, known=None))
    yield live
    live.close()


def test_it_begins_with_the_users_of_the_package(package: Package, tmp_path: Path) -> None:
    live = LiveState.make(tmp_path / "live", package, about={"version": 3})
    assert package.known is not None
    assert live.journal.users() == set(package.known.ids)
    for user in package.known.ids[:5]:
        expected = package.model.score(package.histories_of([user], [NOW]))[0]
        np.testing.assert_allclose(live.scores(user, NOW), expected, rtol=0, atol=1e-6)
    columns, scores = package.top(package.histories_of(["u3"], [NOW]), 5)
    found = live.recommend("u3", NOW, 5)
    assert [each.item for each in found] == [package.items[column] for column in columns[0]]
    assert [each.score for each in found] == pytest.approx(scores[0].tolist(), abs=1e-6)
    again = LiveState.open(tmp_path / "live")
    assert again.about == {"version": 3}
    assert again.recommend("u3", NOW, 5) == found
    with pytest.raises(ValueError, match=r"must be of the model {'version': 4}, but is of {'version': 3}"):
        LiveState.make(tmp_path / "live", package, about={"version": 4})


def test_events_one_at_a_time(empty: LiveState, package: Package) -> None:
    """After each of a user's events, the scores of the history until then; others are not touched."""
    events = history(package, "u4")
    for number, (item, at) in enumerate(events):
        assert empty.update("u4", item, at)
        np.testing.assert_allclose(
            empty.scores("u4", at + 1), exact(package, events[: number + 1], at + 1), rtol=0, atol=1e-6
        )
    np.testing.assert_allclose(empty.scores("u5", NOW), exact(package, [], NOW), rtol=0, atol=1e-6)


def test_an_event_counts_once(empty: LiveState, package: Package) -> None:
    item, other = package.items[:2]
    assert empty.update("new", item, NOW, weight=0.1)
    assert not empty.update("new", item, NOW, weight=0.1)
    assert empty.update("new", item, NOW + 1)
    assert empty.update("new", other, NOW + 1)
    assert not empty.update("new", item, NOW, weight=0.1)  # however late it is sent again
    assert empty.journal.count("new", np.inf) == 3
    events = [(item, NOW), (item, NOW + 1), (other, NOW + 1)]
    np.testing.assert_allclose(empty.scores("new", NOW + DAY), exact(package, events, NOW + DAY), atol=1e-6)


def test_an_event_of_the_log_is_known(tmp_path: Path, grouped_package: Package, grouped: Store) -> None:
    """By item, time, weight and type, as the log has them."""
    live = LiveState.make(tmp_path / "live", grouped_package)
    row = int(grouped.offsets[3]) + 2
    user, item = str(grouped.users[3]), str(grouped.item_ids[grouped.items[row]])
    kind = str(grouped.event_types[grouped.types[row]])
    assert not live.update(user, item, float(grouped.times[row]), event_type=kind)
    other = next(name for name in grouped.event_types.tolist() if name != kind)
    assert live.update(user, item, float(grouped.times[row]), event_type=other)


def test_a_late_event_takes_its_place(empty: LiveState, package: Package) -> None:
    a, b, c = package.items[:3]
    empty.update_all([("u", a, NOW, 1.0, None), ("u", b, NOW + 9, 1.0, None)])
    empty.update("u", c, NOW + 5)
    events = [(a, NOW), (c, NOW + 5), (b, NOW + 9)]
    np.testing.assert_allclose(empty.scores("u", NOW + DAY), exact(package, events, NOW + DAY), atol=1e-6)


def test_the_past_is_answered_as_it_was(empty: LiveState, package: Package) -> None:
    """What happened at the moment or after it is no history."""
    events = [(package.items[n], NOW + 10 * n) for n in range(4)]
    empty.update_all([("u", item, at, 1.0, None) for item, at in events])
    for at in (NOW, NOW + 15, NOW + 30):
        np.testing.assert_allclose(empty.scores("u", at), exact(package, events, at), rtol=0, atol=1e-6)


def test_an_item_that_the_model_does_not_know_is_a_moment(tmp_path: Path, store: Store) -> None:
    package = packaged(
        store, [{"kind": "own", "forgetting": {"family": "exponential", "half_life": 1, "clock": "moments"}}]
    )
    live = LiveState.make(tmp_path / "live", replace(package, known=None))
    live.update("u", package.items[4], NOW)
    live.update("u", "unheard of", NOW + 1)
    assert live.scores("u", NOW + 2)[4] == pytest.approx(0.5)
    assert not live.update("u", "unheard of", NOW + 1)


def test_what_was_had_is_left_out_where_nothing_is_taken_twice(empty: LiveState, package: Package) -> None:
    item = package.items[7]
    empty.update("u", item, NOW)
    assert empty.recommend("u", NOW + 1, 3)[0].item == item
    every = [each.item for each in empty.recommend("u", NOW + 1, 99, exclude_seen=True)]
    assert sorted([*every, item]) == sorted(package.items)
    assert item in [each.item for each in empty.recommend("u", NOW, 99, exclude_seen=True)]  # not yet had
    empty.package = replace(package, about={**package.about, "repeats": False})
    assert item not in [each.item for each in empty.recommend("u", NOW + 1, 99)]


def test_wrong_events_change_nothing(empty: LiveState, package: Package) -> None:
    item = package.items[0]
    for at, weight in ((float("nan"), 1.0), (NOW, -1.0), (NOW, float("inf"))):
        with pytest.raises(ValueError, match=r"`(at|weight)` must be"):
            empty.update_all([("u", item, NOW - 1, 1.0, None), ("u", item, at, weight, None)])
    assert empty.journal.count("u", np.inf) == 0
    assert empty.journal.users() == set()


def test_a_model_without_a_state_is_refused_before_anything_is_written(
    package: Package, tmp_path: Path
) -> None:
    settings = ModelSettings.model_validate({"terms": [{"kind": "mlp", "dim": 4, "hidden": 4}]})
    encoder = ENCODERS["mlp"](settings.terms[0], package.model.items)
    mlp = replace(package, model=Model(settings, [encoder], package.model.items))
    with pytest.raises(ValueError, match="`mlp` of the kind `mlp` reads its history anew"):
        LiveState.make(tmp_path / "live", mlp)
    assert not (tmp_path / "live").exists()
    with pytest.raises(ValueError, match="must hold a live state that is whole"):
        LiveState.open(tmp_path / "live")


def test_making_one_goes_on_where_it_was_interrupted(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.serving.live.BLOCK", 7)
    keep = LiveState._keep
    done: list[str] = []

    def stop(live: LiveState, user: str, state: Any) -> None:
        if len(done) == 17:
            raise KeyboardInterrupt
        done.append(user)
        keep(live, user, state)

    with monkeypatch.context() as patch:
        patch.setattr(LiveState, "_keep", stop)
        with pytest.raises(KeyboardInterrupt):
            LiveState.make(tmp_path / "live", package)
    with pytest.raises(ValueError, match="must hold a live state that is whole"):
        LiveState.open(tmp_path / "live")
    whole = LiveState.make(tmp_path / "whole", package)
    again = LiveState.make(tmp_path / "live", package)
    assert package.known is not None
    for user in package.known.ids:
        assert again.journal.count(user, np.inf) == whole.journal.count(user, np.inf)
        assert np.array_equal(again.scores(user, NOW), whole.scores(user, NOW))


# Death


def _feed(folder: Path, events: list[tuple[str, str, float]], told: Connection) -> None:
    """Take events in, and say so after each."""
    live = LiveState.open(folder)
    for number, event in enumerate(events):
        live.update(*event)
        told.send(number)


def _fork(target: Callable[..., None], *arguments: Any) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    return process


def test_what_was_answered_outlives_a_kill_and_nothing_counts_twice(
    empty: LiveState, package: Package
) -> None:
    """Killed in the middle, thrice; who feeds it then sends all again from well before where it was."""
    events = [(user, item, at) for user in ("u1", "u2", "u3") for item, at in history(package, user)]
    events.sort(key=lambda event: event[2])
    begin = 0
    for goal in (20, 50, 80):
        mine, theirs = multiprocessing.Pipe()
        process = _fork(_feed, empty.folder, events[begin:], theirs)
        while begin + mine.recv() < goal:
            pass
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        taken = sum(empty.journal.count(user, np.inf) for user in ("u1", "u2", "u3"))
        assert taken >= goal
        begin = goal - 10
    for event in events:
        empty.update(*event)
    for user in ("u1", "u2", "u3"):
        mine_alone = [(item, at) for who, item, at in events if who == user]
        assert empty.journal.count(user, np.inf) == len(set(mine_alone))
        np.testing.assert_allclose(
            empty.scores(user, NOW),
            exact(package, sorted(set(mine_alone), key=lambda e: e[1]), NOW),
            atol=1e-6,
        )


def test_two_processes_lose_nothing(empty: LiveState, package: Package) -> None:
    """Two feed one user at once."""
    events = [("u", package.items[n % 40], NOW + n) for n in range(60)]
    pipes = [multiprocessing.Pipe() for _ in range(2)]
    processes = [_fork(_feed, empty.folder, events[n::2], pipes[n][1]) for n in range(2)]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    expected = exact(package, [(item, at) for _, item, at in events], NOW + DAY)
    np.testing.assert_allclose(empty.scores("u", NOW + DAY), expected, rtol=0, atol=1e-5)


# Real data


@pytest.fixture(scope="module")
def retail(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """`own`, `linear` and `trend` on the most bought items of Online Retail, with curves that are no exponentials."""
    folder = tmp_path_factory.mktemp("retail")
    log = pd.read_csv(RETAIL)
    log = log[log.item_id.isin(log.item_id.value_counts().index[:100])]
    log = log[log.user_id.isin(log.user_id.value_counts().index[:60])]
    log.to_csv(folder / "events.csv", index=False)
    columns = ColumnSettings(weight="weight")
    settings = DataSettings(events=str(folder / "events.csv"), columns=columns, store=str(folder / "store"))
    store = prepare(settings, lambda message: None)
    return packaged(
        store,
        [
            {"kind": "own", "weights": True, "forgetting": POWER},
            {"kind": "linear", "l2": 100.0, "forgetting": POWER},
            {"kind": "trend", "weight": 0.2, "forgetting": {"family": "exponential", "half_life": 7.0}},
        ],
    )


def test_real_lists_are_as_near_as_the_errors_say(retail: Package, tmp_path: Path) -> None:
    """Half of each user's events at once, the other half one at a time; then all users' scores."""
    assert retail.known is not None
    log, ids = retail.known.log, retail.known.ids[:30]
    middle = float(np.median(log.times))
    begins, ends = log.offsets[:-1].tolist(), log.offsets[1:].tolist()
    spans = list(zip(begins, ends, strict=True))
    early = np.array([int((log.times[begin:end] < middle).sum()) for begin, end in spans])
    kept = ranges(log.offsets[:-1], early)
    half = replace(
        log,
        offsets=np.concatenate(([0], np.cumsum(early))),
        **{name: getattr(log, name)[kept] for name in ("items", "times", "weights", "types")},
    )
    live = LiveState.make(tmp_path / "live", retail, KnownUsers(retail.known.ids, half), states=6)
    for number, user in enumerate(ids):
        rows = range(int(log.offsets[number]) + early[number], int(log.offsets[number + 1]))
        items = [*retail.items, ""]
        live.update_all(
            [(user, items[log.items[r]], float(log.times[r]), float(log.weights[r]), None) for r in rows]
        )
    at = float(log.times.max()) + DAY
    histories = retail.histories_of(ids, [at] * len(ids))
    off = np.abs(np.array([live.scores(user, at) for user in ids]) - retail.model.score(histories))
    bound = live.model.bound(histories)
    assert 0 < max(live.model.errors.values()) < 5e-3
    size = np.abs(retail.model.score(histories)).max(1, keepdims=True)
    assert (off <= bound + 1e-6 * size).all()
