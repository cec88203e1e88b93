"""Promotion: whole when it is killed, and one at a time."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking import MlflowClient

from harness.errors import ConfigurationError, IncompleteError
from harness.gate.decision import Check, Decision
from harness.registry import promotion
from harness.registry.promotion import Overtaken, alone, champions, lock_name
from harness.registry.registry import DECISION_TAG, Registry, names

YES = Decision(
    "champion v1", "ndcg@10", "superiority", 0.0, 0.95, 0.1, 0.05, 0.15, 0.001,
    (Check("metric", True, "it is better"),), "2026-01-01T00:00:00+00:00",
)  # fmt: skip


class Killed(BaseException):
    """The process ended here: nothing after it was done, not even what a `finally` would do."""


@pytest.fixture(scope="module")
def database(empty_registry: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """One for all: MLflow takes its time with each new one."""
    return f"sqlite:///{shutil.copy(empty_registry, tmp_path_factory.mktemp('promotion'))}"


@pytest.fixture
def empty(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    """Four versions, none of them champion."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    registry = Registry(tmp_path.name)
    registry.client.create_registered_model(registry.name)
    for _ in range(4):
        registry.client.create_model_version(registry.name, str(tmp_path))
    return registry


@pytest.fixture
def registry(empty: Registry) -> Registry:
    """Four versions, of which 1 and then 2 became champion."""
    for number in (1, 2):
        with alone(empty.client, empty.name) as found:
            found.add(number)
    return empty


def champion(registry: Registry) -> int | None:
    found = registry.aliased("champion")
    return found.version if found else None


def history(registry: Registry) -> list[int]:
    return champions(registry.client.get_registered_model(registry.name))


def killed(monkeypatch: pytest.MonkeyPatch, step: str, after: bool, work: Callable[[], Any]) -> None:
    """Do the work until it calls this method of the client the first time; its lock stays behind, as old as can be."""
    genuine = getattr(MlflowClient, step)

    def fatal(client: MlflowClient, *arguments: Any, **more: Any) -> None:
        if after:
            genuine(client, *arguments, **more)
        patch.setattr(promotion, "_find", lambda *_: None)  # nobody is left who could let go of the lock
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, step, fatal)
        with pytest.raises(Killed):
            work()
    monkeypatch.setattr(promotion, "STALE", -1.0)


POINTS = [
    ("create_registered_model", True),
    ("set_model_version_tag", True),
    ("set_registered_model_tag", True),
    ("set_registered_model_alias", True),
]
"""After each statement of a promotion: the lock, the decision, the way back, the alias."""


@pytest.mark.parametrize(("step", "after"), POINTS)
@pytest.mark.parametrize("number", ["3", "1"], ids=["a new one", "a former one"])
def test_a_killed_promotion_leaves_one_champion_and_the_way_back(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, step: str, after: bool, number: str
) -> None:
    done = step == "set_registered_model_alias"
    killed(monkeypatch, step, after, lambda: registry.promote(registry.find(number), YES.to_dict(), 2))
    assert champion(registry) == (int(number) if done else 2)
    was, now = registry.rollback()
    assert (was.version, now.version) == ((int(number), 2) if done else (2, 1))
    if done:
        assert registry.rollback()[1].version == 1
    with pytest.raises(ConfigurationError, match=r"version 1 of `.*` replaced no champion"):
        registry.rollback()
    assert lock_name(registry.name) not in names()


def test_a_killed_promotion_is_done_by_doing_it_again(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step, after in POINTS:
        killed(monkeypatch, step, after, lambda: registry.promote(registry.find("3"), YES.to_dict(), 2))
    assert registry.settle(registry.find("3"), YES, registry.find("2")).promoted
    assert (champion(registry), history(registry)) == (3, [1, 2, 3])


@pytest.mark.parametrize(("step", "after"), [POINTS[0], *POINTS[2:]])
def test_a_killed_rollback_went_back_once_or_not(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    registry.promote(registry.find("3"), YES.to_dict())
    done = step == "set_registered_model_alias"
    killed(monkeypatch, step, after, registry.rollback)
    assert (champion(registry), history(registry)) == ((2, [1, 2]) if done else (3, [1, 2, 3]))
    registry.rollback()
    assert champion(registry) == (1 if done else 2)


def test_of_two_that_beat_the_same_champion_one_wins(registry: Registry) -> None:
    """Both were compared with version 2; the second finds another champion, and says so."""
    start, told = threading.Barrier(2), {}
    over = registry.find("2")

    def settle(number: str) -> None:
        mine = Registry(registry.name)
        version = mine.find(number)
        start.wait()
        told[number] = mine.settle(version, YES, over)

    threads = [threading.Thread(target=settle, args=(number,)) for number in ("3", "4")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = (number for number, decision in told.items() if decision.promoted)
    loser = "4" if winner == "3" else "3"
    assert history(registry) == [1, 2, int(winner)]
    why = (
        f"the champion of `{registry.name}` was v2 when the gate compared and is v{winner} now; "
        "`lethe promote` compares anew"
    )
    assert told[loser].reasons == ("it is better", why)
    stored = {number: json.loads(registry.find(number).tags[DECISION_TAG]) for number in ("3", "4")}
    assert {number: decision["promoted"] for number, decision in stored.items()} == {
        winner: True,
        loser: False,
    }
    assert stored[loser]["checks"][-1]["sentence"] == why


def test_of_many_processes_one_wins_and_one_that_is_killed_stops_nobody(registry: Registry) -> None:
    fork = multiprocessing.get_context("fork")

    def settle(number: str, die: bool) -> None:
        mine = Registry(registry.name)
        if die:
            mine.client.set_registered_model_alias = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        decision = mine.settle(mine.find(number), YES, mine.find("2"))
        os._exit(0 if decision.promoted else 3)

    dead = fork.Process(target=settle, args=("3", True))
    dead.start()
    dead.join(60)
    assert dead.exitcode == -signal.SIGKILL
    assert (champion(registry), history(registry)) == (2, [1, 2])
    registry.client.delete_registered_model(lock_name(registry.name))  # what a minute's wait does too
    racing = [fork.Process(target=settle, args=(number, False)) for number in ("3", "4", "3", "4")]
    for process in racing:
        process.start()
    for process in racing:
        process.join(60)
    won = champion(registry)
    assert history(registry) == [1, 2, won]
    assert [process.exitcode for process in racing] == [0 if n == won else 3 for n in (3, 4, 3, 4)]


def test_the_first_champion_is_raced_for_too(empty: Registry) -> None:
    assert empty.settle(empty.find("1"), YES, None).promoted
    late = empty.settle(empty.find("2"), YES, None)
    assert "was nobody when the gate compared and is v1 now" in late.reasons[-1]
    assert champion(empty) == 1


def test_while_another_promotes_one_waits_and_then_gives_up(registry: Registry) -> None:
    with alone(registry.client, registry.name):
        impatient = alone(registry.client, registry.name, patience=0)
        with (
            pytest.raises(IncompleteError, match=r"by another process for 0 seconds; .* `.*\.lock`"),
            impatient,
        ):
            pytest.fail("two at once")
        assert lock_name(registry.name) not in names()
    with alone(registry.client, registry.name, patience=0):
        pass


def test_a_lock_that_is_given_back_while_it_is_asked_for(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the way of being made, and gone when MLflow looks at what was in the way: one asks again."""
    lock, genuine = lock_name(registry.name), SqlAlchemyStore.get_registered_model
    registry.client.create_registered_model(lock)

    def look(self: SqlAlchemyStore, name: str) -> Any:
        if name == lock:
            monkeypatch.setattr(SqlAlchemyStore, "get_registered_model", genuine)
            self.delete_registered_model(lock)
        return genuine(self, name)

    monkeypatch.setattr(SqlAlchemyStore, "get_registered_model", look)
    with alone(registry.client, registry.name, patience=10) as mine:
        assert mine.present == 2


def test_one_that_slept_while_its_lock_was_taken_over_changes_nothing(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with alone(registry.client, registry.name) as slow:
        with monkeypatch.context() as patch:
            patch.setattr(promotion, "STALE", -1.0)
            registry.promote(registry.find("3"), YES.to_dict(), 2)
        with pytest.raises(Overtaken, match=r"took the promotion lock of `.*` over"):
            slow.add(4)
    assert (champion(registry), history(registry)) == (3, [1, 2, 3])


def test_a_champion_set_by_hand_has_no_way_back(registry: Registry) -> None:
    registry.client.set_registered_model_alias(registry.name, "champion", "4")
    assert history(registry) == [4]
    with pytest.raises(ConfigurationError, match=r"version 4 of `.*` replaced no champion"):
        registry.rollback()
