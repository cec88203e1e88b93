"""Trials in MLflow while the search goes on: there, once, and no matter what becomes of the database meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from harness.registry import live
from harness.registry.live import Live
from harness.registry.nested import Below
from harness.registry.registry import Registry
from tests.harness.registry.test_nested import below, registry
from trainers.search.halving import Stop
from trainers.search.outcome import Outcome

__all__ = ["registry"]
BEST = [Outcome(0, {"l2": 5}, 0.25), Outcome(1, {"l2": 7}, 0.125), Outcome(2, {"l2": 9}, 0.5)]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "EVERY", 0.02)
    monkeypatch.setattr(live, "REST", 0.0)


@pytest.fixture
def top(registry: Registry) -> Iterator[str]:
    with registry.run("token", "a run") as run:
        yield run


def telling(registry: Registry, top: str) -> Live:
    return Live(registry.below(top, "token"), "ndcg@10")


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def best(registry: Registry) -> list[tuple[int, float]]:
    (search,) = [run for name, run in below(registry).items() if name == "search"]
    history = registry.client.get_metric_history(search.info.run_id, "ndcg_10")
    return [(point.step, point.value) for point in sorted(history, key=lambda point: point.step)]


def statuses(found: dict[str, Run]) -> dict[str, str]:
    return {name: run.info.status for name, run in found.items()}


def test_trials_are_there_while_the_search_goes_on(registry: Registry, top: str) -> None:
    with telling(registry, top) as told:
        told.over("search", 4, BEST[0])
        told.over("search", 4, BEST[2])
        until(lambda: "search/trial-002" in below(registry))
        until(lambda: statuses(below(registry))["search/trial-002"] == "FINISHED")
        found = below(registry)
        assert statuses(found) == {
            "search": "RUNNING",
            "search/trial-000": "FINISHED",
            "search/trial-002": "FINISHED",
        }
        assert found["search/trial-002"].data.params == {"l2": "9"}
        assert found["search/trial-002"].data.metrics == {"ndcg_10": 0.5}
        assert found["search"].data.tags["mlflow.parentRunId"] == top
        assert best(registry) == [(0, 0.25)]  # what trial 1 was is not known
        told.over("search", 4, BEST[1])
        told.over("search", 4, Outcome(3, {}, None, stop=Stop(2.0, 0.1)))
    assert best(registry) == [(0, 0.25), (1, 0.25), (2, 0.5), (3, 0.5)]
    assert statuses(below(registry))["search/trial-003"] == "KILLED"
    assert statuses(below(registry))["search"] == "RUNNING"  # its end is told with everything else


@pytest.mark.parametrize("call", ["search_runs", "create_run", "log_batch", "set_terminated"])
def test_a_database_that_is_lost_for_a_while_stops_nothing(
    registry: Registry,
    top: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    call: str,
) -> None:
    genuine = getattr(MlflowClient, call)
    lost: list[str] = []

    def away(self: MlflowClient, *arguments: Any, **more: Any) -> Any:
        if len(lost) < 3:
            lost.append(call)
            raise MlflowException("connection to db refused")
        return genuine(self, *arguments, **more)

    told = telling(registry, top)
    monkeypatch.setattr(MlflowClient, call, away)
    with told:
        for outcome in BEST:
            told.over("search", 3, outcome)
        until(lambda: len(lost) == 3)
    assert best(registry) == [(0, 0.25), (1, 0.25), (2, 0.5)]
    assert set(statuses(below(registry)).values()) == {"RUNNING", "FINISHED"}
    assert capfd.readouterr().err.count("is told of trials later: connection to db refused") == 1


def test_a_database_that_does_not_come_back_is_told_at_the_end(
    registry: Registry, top: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: MlflowClient, *arguments: Any, **more: Any) -> Any:
        raise MlflowException("connection to db refused")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_run", away)
        with telling(registry, top) as told:
            told.over("search", 3, BEST[0])
    assert below(registry) == {}
    with telling(registry, top) as again:
        again.over("search", 3, BEST[0])
    assert set(below(registry)) == {"search", "search/trial-000"}


def test_a_search_that_was_killed_goes_on_and_counts_nothing_twice(registry: Registry, top: str) -> None:
    def killed() -> None:
        with telling(registry, top) as told:
            told.over("search", 3, BEST[0])
            told.over("search", 3, Outcome(1, {"l2": 7}, None))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    assert statuses(below(registry)) == {
        "search": "FAILED",
        "search/trial-000": "FINISHED",
        "search/trial-001": "FAILED",
    }
    with telling(registry, top) as again:
        for outcome in BEST:
            again.over("search", 3, outcome)
    assert statuses(below(registry)) == {
        "search": "RUNNING",
        **{f"search/trial-00{number}": "FINISHED" for number in range(3)},
    }
    assert best(registry) == [(0, 0.25), (1, 0.25), (2, 0.5)]


def test_what_was_told_live_is_what_is_told_at_the_end(registry: Registry, top: str) -> None:
    history = [
        {"trial": each.name, "value": each.value, "control": False, "params": each.params} for each in BEST
    ]
    story = {"metric": "ndcg@10", "search": {"history": history}, "training": [], "models": {}}
    with telling(registry, top) as told:
        for outcome in reversed(BEST[:2]):
            told.over("search", 3, outcome)
    for _ in range(2):
        registry.nest(top, "token", story)
    assert set(statuses(below(registry)).values()) == {"FINISHED"}
    assert best(registry) == [(0, 0.25), (1, 0.25), (2, 0.5)]
    assert len(below(registry)) == 5


def test_many_trials_are_one_call_each_for_their_figures(
    registry: Registry, top: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search's own run is written once for all that ended meanwhile."""
    genuine, calls = MlflowClient.log_batch, list[str]()

    def counted(self: MlflowClient, run_id: str, *arguments: Any, **more: Any) -> Any:
        calls.append(run_id)
        return genuine(self, run_id, *arguments, **more)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    monkeypatch.setattr(live, "EVERY", 60.0)
    with telling(registry, top) as told:
        for number in range(20):
            told.over("search", 20, Outcome(number, {"l2": number}, number / 20))
    assert len(calls) == 21
    assert len(best(registry)) == 20


def test_telling_takes_a_tenth_of_the_time_at_most(
    registry: Registry, top: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry that takes a while is not asked again before a search has had nine times as long."""
    waits: list[float] = []
    told = telling(registry, top)
    genuine = told._left.wait

    def waited(seconds: float | None = None) -> bool:
        waits.append(seconds or 0.0)
        return genuine(0.02)

    monkeypatch.setattr(live, "REST", 9.0)
    monkeypatch.setattr(told._left, "wait", waited)
    monkeypatch.setattr(Below, "write", lambda self, parts: time.sleep(0.1))
    with told:
        told.over("search", 3, BEST[0])
        until(lambda: any(seconds >= 0.9 for seconds in waits))
