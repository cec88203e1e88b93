"""What a block of work costs with all processes that it starts: time on the clock, and processor time."""

from __future__ import annotations

import ctypes
import os
import threading
import time

from harness.cost import tree

SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2): who loses its parent becomes this process's child
# Seconds between two looks; what a process does between the last look and its end is not counted.
PERIOD = 0.2


class Watch:
    """Counts while its block runs, this process left out.

    Attributes:
        wall: seconds on the clock.
        cpu: seconds of processor time of all processes below this one.
        load: the machine's load at the end, the mean of a minute.
    """

    def __init__(self) -> None:
        self.wall = self.cpu = self.load = 0.0
        self._used: dict[int, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Watch:
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = time.monotonic() - self._began
        self._over.set()
        self._thread.join()
        self.cpu, self.load = sum(self._used.values()), os.getloadavg()[0]

    def _look_on(self) -> None:
        while True:
            for process in tree():
                if process.pid != os.getpid():
                    self._used[process.pid] = max(process.own, self._used.get(process.pid, 0.0))
            if self._over.wait(PERIOD):
                return
