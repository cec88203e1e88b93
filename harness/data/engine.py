"""How much memory and how many cores preparation takes, and the out-of-core engine that keeps to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import duckdb

from harness.data.settings import DataSettings

PIECE_ROWS = 1 << 21
"""Most rows that are read, validated and written as one piece."""
SHARD_ROWS = 1 << 22
"""Most events, but for one user's, that are sorted as one shard."""
_FEWEST = 1 << 16
_ROW_READ, _ROW_SORTED = 512, 192  # bytes that a row takes at its peak, measured and rounded up
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def machine_memory() -> int:
    """Bytes of memory of this machine, or of the container that the process runs in."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in map(Path, _LIMITS):
        if file.is_file() and (text := file.read_text().strip()).isdigit():
            found.append(int(text))
    return min(found)


def cores() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Budget:
    """What a machine may spend on preparation.

    Attributes:
        memory: bytes, for all that runs at once.
        at_once: units of work that run at once, one a core.
    """

    memory: int
    at_once: int

    @classmethod
    def of(cls, settings: DataSettings) -> Budget:
        """The limit of the settings, or a quarter of the machine's memory."""
        return cls(settings.memory_bytes or machine_memory() // 4, cores())

    @property
    def each(self) -> int:
        """Bytes for one of the units that run at once."""
        return self.memory // self.at_once

    @property
    def piece_rows(self) -> int:
        """Rows of a piece."""
        return min(PIECE_ROWS, max(_FEWEST, self.each // _ROW_READ))

    @property
    def shard_rows(self) -> int:
        """Events of a shard."""
        return min(SHARD_ROWS, max(_FEWEST, self.each // _ROW_SORTED))


def connect(temp: Path, memory: int, threads: int) -> duckdb.DuckDBPyConnection:
    """DuckDB in memory up to `memory` bytes, and in the folder `temp` beyond."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory >> 20}MiB",
        "threads": threads,
        "temp_directory": str(temp),
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,  # nothing is fetched behind the user's back
    }
    db = duckdb.connect(":memory:", config=config)
    # A bar would be printed to stdout, which belongs to results. In a notebook it is off, and must not be touched.
    if db.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(True,)]:
        db.execute("SET enable_progress_bar = false")
    return db
