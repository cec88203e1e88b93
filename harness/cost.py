"""What a run costs: time, processor time and memory of this process and all below it, as Linux counts them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

PERIOD = 1.0  # seconds between looks at the memory
WATTS_PER_CORE = 10.0  # assumed of a busy core of a server
PROC = Path("/proc")


class _Process(NamedTuple):
    pid: int
    parent: int
    seconds: float
    """Of processor time, of itself and of the children that ended."""


class Meter:
    """Counts from when it is made. What others started (a Ray cluster that was joined) is not below this process.

    Memory is the most that was held at once, looked at every `PERIOD` seconds, without the pages that processes share
    (files, Ray's object store); what comes and goes between two looks is not seen. Where there is no `/proc`, processor
    time and memory are None.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._used = _seconds(tree())
        self._peak = 0
        self._over = threading.Event()
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
        """See how much memory is held now."""
        self._peak = max(self._peak, sum(map(_held, tree())))

    def read(self) -> dict[str, Any]:
        """`seconds`, `cpu_seconds`, `peak_memory` (bytes) so far; `energy_wh` at `watts_per_core`, an assumption."""
        self.look()
        now = tree()
        used = _seconds(now) - self._used if now else None
        return {
            "seconds": time.monotonic() - self._began,
            "cpu_seconds": used,
            "peak_memory": self._peak or None,
            "energy_wh": None if used is None else used * WATTS_PER_CORE / 3600,
            "watts_per_core": WATTS_PER_CORE,
        }


def tree() -> list[_Process]:
    """This process and all below it; nothing where there is no `/proc`."""
    children: dict[int, list[_Process]] = {}
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


def _all() -> Iterator[_Process]:
    if not PROC.exists():
        return
    ticks = os.sysconf("SC_CLK_TCK")
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and (text := _text(entry / "stat")):
            # The name, in parentheses, may hold anything; then state, parent, …, and from the 12th the times.
            fields = text.rpartition(")")[2].split()
            yield _Process(int(entry.name), int(fields[1]), sum(map(int, fields[11:15])) / ticks)


def _seconds(processes: list[_Process]) -> float:
    return sum(process.seconds for process in processes)


def _held(process: _Process) -> int:
    """Bytes that a process holds for itself; 0 where it ended meanwhile."""
    pages = [int(field) for field in _text(PROC / str(process.pid) / "statm").split()[1:3]]
    return (pages[0] - pages[1]) * os.sysconf("SC_PAGE_SIZE") if pages else 0


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        return ""
