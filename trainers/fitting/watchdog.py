"""Ends a process whose work has come to a stop: a deadlock hears nothing softer, and answers whoever asks."""

from __future__ import annotations

import math
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType

LOOKS = 4
"""How often in its patience a watchdog looks."""


class Watchdog:
    """Calls `bark`, once, where the thread that made it has not called `beat` for so many seconds, since its first one.

    Ray asks whether a process answers; one whose training hangs does, from another thread. A process that holds the
    interpreter while it hangs does not, and Ray ends that one.
    """

    def __init__(self, seconds: float, bark: Callable[[str], None]) -> None:
        self.seconds, self._bark = seconds, bark
        self._watched = threading.get_ident()
        self._last = math.inf
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def beat(self) -> None:
        """The work goes on."""
        self._last = time.monotonic()

    @property
    def late(self) -> bool:
        """Whether the last beat is longer ago than it waits for."""
        return time.monotonic() - self._last > self.seconds

    def _watch(self) -> None:
        while not self._over.wait(self.seconds / LOOKS):
            if self.late:
                self._bark(self._where())
                return

    def _where(self) -> str:
        """File, line and function that the watched thread is in."""
        frame = sys._current_frames().get(self._watched)
        if frame is None:
            return "a thread that has ended"
        last = traceback.extract_stack(frame)[-1]
        return f"{last.filename}:{last.lineno}, in {last.name}"

    def __enter__(self) -> Watchdog:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
