"""What a run costs: time, processor time and memory of this process and all below it, as Linux counts them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

PERIOD = 1.0  # seconds between looks at the memory
WATTS_PER_CORE = 10.0  # assumed of a busy core of a server
PROC = Path("/proc")


class Process(NamedTuple):
    """What a look at one process finds."""

    pid: int
    parent: int
    own: float
    """Seconds of processor time, of itself."""
    waited: float
    """Of its children that ended and that it waited for, and of theirs."""
    begun: int = 0

    @property
    def seconds(self) -> float:
        return self.own + self.waited

    @property
    def key(self) -> tuple[int, int]:
        return self.pid, self.begun  # numbers are used again


class Meter:
    """Counts from when it is made. What others started (a Ray cluster that was joined) is not below this process.

    Nobody waits for the workers of Ray that end, so Linux forgets what they used: it is kept up to the last look.
    Memory is the most that was held at once, looked at every `PERIOD` seconds, without the pages that processes share
    (files, Ray's object store); what comes and goes between two looks is not seen. Where there is no `/proc`,
    processor time and memory are None.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._seen = tree()
        self._used = _seconds(self._seen)
        self._forgotten = 0.0
        self._peak = 0
        self._over = threading.Event()
        self._one = threading.Lock()
        self._watch = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Meter:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()

    def _look_on(self) -> None:
        while not self._over.wait(PERIOD):
            self.look()

    def look(self) -> None:
        """See how much memory is held now, and what processes used that have ended since."""
        now = tree()
        self._peak = max(self._peak, sum(map(_held, now)))
        with self._one:
            self._forgotten += forgotten(self._seen, now)
            self._seen = now

    def read(self) -> dict[str, Any]:
        """`seconds`, `cpu_seconds`, `peak_memory` (bytes) so far; `energy_wh` at `watts_per_core`, an assumption."""
        self.look()
        now = self._seen
        used = _seconds(now) + self._forgotten - self._used if now else None
        return {
            "seconds": time.monotonic() - self._began,
            "cpu_seconds": used,
            "peak_memory": self._peak or None,
            "energy_wh": None if used is None else used * WATTS_PER_CORE / 3600,
            "watts_per_core": WATTS_PER_CORE,
        }


def tree() -> list[Process]:
    """This process and all below it; nothing where there is no `/proc`."""
    children: dict[int, list[Process]] = {}
    for process in _all():
        children.setdefault(process.parent, []).append(process)
        if process.pid == os.getpid():
            me = process
    if not children:
        return []
    found = [me]
    for process in found:
        found += children.get(process.pid, [])
    return found


def forgotten(before: Iterable[Process], now: Iterable[Process]) -> float:
    """Seconds of processes that ended between two looks and whose parents did not wait for them.

    >>> raylet, worker = Process(1, 0, own=2.0, waited=0.0), Process(2, 1, own=5.0, waited=1.0)
    >>> forgotten([raylet, worker], [raylet])
    6.0
    >>> forgotten([raylet, worker], [raylet._replace(waited=6.5)])  # it waited: the time is counted with it
    0.0
    """
    was, living = ({process.pid: process for process in look} for look in (before, now))
    alive = {process.key for process in living.values()}
    lost: dict[int, float] = {}
    for process in was.values():
        if process.key not in alive:
            above = (
                process.parent
            )  # what ended with its parent is taken over, if at all, by who is above both
            while above in was and was[above].key not in alive:
                above = was[above].parent
            lost[above] = lost.get(above, 0.0) + process.seconds
    return sum(
        max(
            seconds - (living[above].waited - was[above].waited if above in was and above in living else 0.0),
            0.0,
        )
        for above, seconds in lost.items()
    )


def _all() -> Iterator[Process]:
    if not PROC.exists():
        return
    ticks = os.sysconf("SC_CLK_TCK")
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and (text := _text(entry / "stat")):
            # The name, in parentheses, may hold anything; then state, parent, …, and from the 12th the times.
            fields = text.rpartition(")")[2].split()
            own, waited = (sum(map(int, fields[first : first + 2])) / ticks for first in (11, 13))
            yield Process(int(entry.name), int(fields[1]), own, waited, int(fields[19]))


def _seconds(processes: list[Process]) -> float:
    return sum(process.seconds for process in processes)


def _held(process: Process) -> int:
    """Bytes that a process holds for itself; 0 where it ended meanwhile."""
    pages = [int(field) for field in _text(PROC / str(process.pid) / "statm").split()[1:3]]
    return (pages[0] - pages[1]) * os.sysconf("SC_PAGE_SIZE") if pages else 0


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        return ""
