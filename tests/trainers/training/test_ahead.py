"""Work that a thread prepares."""

from __future__ import annotations

import threading
import time

import pytest

from trainers.training.ahead import ahead


@pytest.mark.parametrize("count", [0, 1, 3, 50])
def test_all_comes_in_order(count: int) -> None:
    assert list(ahead(lambda x: x * x, range(20), count)) == [x * x for x in range(20)]


def test_no_more_is_made_in_advance_than_was_asked_for() -> None:
    made: list[int] = []

    def make(x: int) -> int:
        made.append(x)
        return x

    found = ahead(make, range(100), 3)
    assert next(found) == 0
    until = time.monotonic() + 10
    while len(made) < 4 and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(0.02)  # a thread that went on would be far ahead by now
    assert made == [0, 1, 2, 3]
    assert next(found) == 1


def test_it_is_another_thread_that_prepares() -> None:
    threads = set(ahead(lambda _: threading.get_ident(), range(5), 2))
    assert len(threads) == 1
    assert threads != {threading.get_ident()}
    assert set(ahead(lambda _: threading.get_ident(), range(5), 0)) == {threading.get_ident()}


@pytest.mark.parametrize("count", [0, 2])
def test_what_it_raises_is_raised_in_its_place(count: int) -> None:
    def make(x: int) -> int:
        if x == 3:
            raise OSError(5, "Input/output error", "items.bin")
        return x

    found = ahead(make, range(10), count)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match=r"items\.bin"):
        next(found)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_whoever_has_enough_ends_the_thread() -> None:
    found = ahead(str, range(1000), 4)
    assert next(found) == "0"
    found.close()  # type: ignore[attr-defined]  # a generator
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
