"""Work that is prepared while the work before it is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

X = TypeVar("X")
Y = TypeVar("Y")


def ahead(make: Callable[[X], Y], of: Iterable[X], count: int) -> Iterator[Y]:
    """`make` of each, in order; a thread makes at most `count` of them in advance. What it raises is raised here, at
    the place of what it was to make.

    >>> list(ahead(str, range(3), 2))
    ['0', '1', '2']
    """
    if not count:
        yield from map(make, of)
        return
    pool = ThreadPoolExecutor(1, "ahead")
    waiting: deque[Future[Y]] = deque()
    try:
        for each in of:
            waiting.append(pool.submit(make, each))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # also where whoever asks has had enough
        pool.shutdown(cancel_futures=True)
