"""The actors of a search."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from ray import cloudpickle

from tests.trainers import fakes
from tests.trainers.search.searching import MODEL, settings
from trainers.search.crew import Turns, wait_for_crew
from trainers.search.proposals import Proposals


def test_the_crew_waits_until_all_are_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = tmp_path / "crew"
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            (crew / "another").touch()

    monkeypatch.setattr("trainers.search.crew.time.sleep", sleep)
    wait_for_crew(crew, 2)
    assert len(slept) == 3
    wait_for_crew(crew, 2)  # one that comes later finds them up
    assert len(slept) == 3


def test_the_crew_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainers.search.crew.CREW_PATIENCE", 0.1)
    wait_for_crew(tmp_path / "crew", 5)
    assert len(list((tmp_path / "crew").iterdir())) == 1


def proposals(trials: int) -> Proposals:
    chosen = settings(trials, ahead=2)
    return Proposals(chosen, chosen.space)


def test_searches_take_turns_and_each_proposes_as_if_alone() -> None:
    searches = [proposals(9), proposals(6)]
    both = Turns(searches, lambda place, number: None)
    waiting: list[tuple[str, int, int]] = []
    order: list[int] = []
    while (dealt := both.suggest(f"t{len(order)}")) != Turns.FINISHED:
        if isinstance(dealt, dict):
            waiting.append((f"t{len(order)}", dealt["search"], dealt["number"]))
            order.append(dealt["search"])
            continue
        assert dealt is None
        for name, place, number in waiting[::-1]:
            search = searches[place]
            value = fakes.known(search.space.apply(MODEL, search.params[number]))
            both.on_trial_complete(name, {"value": value, "readings": []})
        waiting = []
    assert order[:4] == [0, 1, 0, 1]
    assert [order.count(place) for place in (0, 1)] == [9, 6]
    for place, count in enumerate((9, 6)):
        alone = proposals(count)
        while (task := alone.propose()) is not None:
            alone.tell(task.number, fakes.known(alone.space.apply(MODEL, task.params)))
        assert searches[place].params == alone.params


def test_a_trial_without_a_result_failed() -> None:
    search = proposals(3)
    one = Turns([search], lambda place, number: None)
    for name, result, error in (("a", None, True), ("b", {"value": 1.0}, False)):
        assert isinstance(one.suggest(name), dict)
        one.on_trial_complete(name, result, error)
    assert search.values == {0: None, 1: None}


def test_tune_may_write_its_searcher_down() -> None:
    """Whatever waits for the end of a trial cannot be pickled."""
    lock = threading.Lock()
    one = Turns([], lambda place, number: lock.release())
    assert isinstance(cloudpickle.loads(cloudpickle.dumps(one)), Turns)
