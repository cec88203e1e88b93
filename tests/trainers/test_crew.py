"""The actors of a search."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from ray import cloudpickle

from tests.trainers import fakes
from tests.trainers.searching import MODEL, settings
from trainers.crew import Turns, wait_for_crew
from trainers.proposals import Proposals


def test_the_crew_waits_until_all_are_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = tmp_path / "crew"
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            (crew / "another").touch()

    monkeypatch.setattr("trainers.crew.time.sleep", sleep)
    wait_for_crew(crew, 2)
    assert len(slept) == 3
    wait_for_crew(crew, 2)  # one that comes later finds them up
    assert len(slept) == 3


def test_the_crew_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainers.crew.CREW_PATIENCE", 0.1)
    wait_for_crew(tmp_path / "crew", 5)
    assert len(list((tmp_path / "crew").iterdir())) == 1


def turns(*trials: int) -> Turns:
    searches = [Proposals(chosen := settings(count, ahead=2), chosen.space) for count in trials]
    return Turns(searches, lambda place, number: None)


def test_searches_take_turns_and_each_proposes_as_if_alone() -> None:
    both = turns(9, 6)
    waiting: list[tuple[str, int, int]] = []
    order: list[int] = []
    while (dealt := both.suggest(f"t{len(order)}")) != Turns.FINISHED:
        if isinstance(dealt, dict):
            waiting.append((f"t{len(order)}", dealt["search"], dealt["number"]))
            order.append(dealt["search"])
            continue
        assert dealt is None
        for name, place, number in waiting[::-1]:
            search = both.searches[place]
            value = fakes.known(search.space.apply(MODEL, search.params[number]))
            both.on_trial_complete(name, {"value": value, "readings": []})
        waiting = []
    assert order[:4] == [0, 1, 0, 1]
    assert [order.count(place) for place in (0, 1)] == [9, 6]
    for place, count in enumerate((9, 6)):
        (alone,) = turns(count).searches
        while (entry := alone.propose()) is not None:
            alone.tell(entry[0], fakes.known(alone.space.apply(MODEL, entry[1])))
        assert both.searches[place].params == alone.params


def test_a_trial_without_a_result_failed() -> None:
    one = turns(3)
    for name, result, error in (("a", None, True), ("b", {"value": 1.0}, False)):
        assert isinstance(one.suggest(name), dict)
        one.on_trial_complete(name, result, error)
    assert one.searches[0].values == {0: None, 1: None}


def test_tune_may_write_its_searcher_down() -> None:
    """Whatever waits for the end of a trial cannot be pickled."""
    lock = threading.Lock()
    one = Turns([], lambda place, number: lock.release())
    assert isinstance(cloudpickle.loads(cloudpickle.dumps(one)), Turns)
