"""A watchdog barks once where nothing goes on, and says where that is."""

from __future__ import annotations

import threading

import pytest

from trainers.fitting.watchdog import Watchdog


def test_it_barks_once_where_the_work_hangs() -> None:
    said: list[str] = []
    heard = threading.Event()

    def bark(where: str) -> None:
        said.append(where)
        heard.set()

    with Watchdog(0.05, bark) as dog:
        assert not heard.wait(0.2)  # before the first beat nothing has begun
        dog.beat()
        assert heard.wait(10)
        assert not threading.Event().wait(0.1)
    (where,) = said
    assert ", in wait" in where


def test_it_is_quiet_while_the_work_goes_on_and_after_it() -> None:
    said: list[str] = []
    pause = threading.Event()
    with Watchdog(20, said.append) as dog:
        for _ in range(3):
            pause.wait(0.01)
            dog.beat()
    with pytest.raises(ZeroDivisionError), Watchdog(20, said.append):
        raise ZeroDivisionError
    assert said == []
    assert not [thread for thread in threading.enumerate() if thread.name == "watchdog"]


def test_every_beat_begins_its_patience_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("trainers.fitting.watchdog.time.monotonic", lambda: now)
    dog = Watchdog(4.0, print)
    assert not dog.late
    dog.beat()
    for _ in range(3):
        now += 3.9
        assert not dog.late
        dog.beat()
    now += 4.1
    assert dog.late
