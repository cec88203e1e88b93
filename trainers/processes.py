"""What Linux tells of a process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

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


def look(pid: int) -> Process | None:
    """None where it is gone, and where there is no `/proc`."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may hold anything; then state, parent, …, and from the 12th the times.
    fields = text.rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    own, waited = (sum(map(int, fields[first : first + 2])) / ticks for first in (11, 13))
    return Process(pid, int(fields[1]), own, waited, int(fields[19]))
