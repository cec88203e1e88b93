"""What a run costs: time, processor time and memory of this process and all below it, as Linux counts them, and what
workers elsewhere say of themselves; all starts of the run together."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.files import write_json
from harness.report.words import elapsed
from trainers.processes import PROC, Process, look
from trainers.spent import Spent

PERIOD = 1.0  # seconds between looks at the memory
KEPT = 10.0  # seconds between two times that the cost so far is written down
WATTS_PER_CORE = 10.0  # assumed of a busy core of a server


@dataclass(frozen=True)
class Cost:
    """What starts of a run cost.

    Attributes:
        cpu, memory: processor seconds, and the most bytes held at once on this machine; None where nothing counts them.
        gpu: seconds of GPUs that workers held, times their number.
    """

    starts: int = 0
    seconds: float = 0.0
    cpu: float | None = 0.0
    gpu: float = 0.0
    memory: int | None = 0

    def after(self, before: Cost) -> Cost:
        """This and what came before it."""
        cpu = None if self.cpu is None or before.cpu is None else self.cpu + before.cpu
        memory = None if self.memory is None or before.memory is None else max(self.memory, before.memory)
        return Cost(
            self.starts + before.starts, self.seconds + before.seconds, cpu, self.gpu + before.gpu, memory
        )

    def words(self) -> str:
        """“7 min 3 s by the clock, 12 min 0 s of processors, 1.50 GiB at most”."""
        said = [f"{elapsed(self.seconds)} by the clock"]
        if self.cpu is not None:
            said.append(f"{elapsed(self.cpu)} of processors")
        if self.gpu:
            said.append(f"{elapsed(self.gpu)} of GPUs")
        if self.memory:
            said.append(f"{self.memory / 2**30:.2f} GiB at most")
        return ", ".join(said)

    def to_dict(self) -> dict[str, Any]:
        """`starts`, `seconds`, `cpu_seconds`, `gpu_seconds`, `peak_memory` (bytes); `energy_wh` at `watts_per_core`, an
        assumption."""
        return {
            "starts": self.starts,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu,
            "gpu_seconds": self.gpu,
            "peak_memory": self.memory,
            "energy_wh": None if self.cpu is None else self.cpu * WATTS_PER_CORE / 3600,
            "watts_per_core": WATTS_PER_CORE,
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Cost:
        """From `to_dict`; runs of before had one start and no GPU."""
        return cls(
            told.get("starts", 1),
            told["seconds"],
            told["cpu_seconds"],
            told.get("gpu_seconds", 0.0),
            told["peak_memory"],
        )


class Meter:
    """Counts from when it is made. What others started (a Ray cluster that was joined) is not below this process: its
    workers say what they spent, and it is added. With a file, what earlier starts left there is counted too, and what
    this one costs is kept there every `KEPT` seconds: a process that is killed loses no more.

    Nobody waits for the workers of Ray that end, so Linux forgets what they used: it is kept up to the last look.
    Memory is the most that was held at once, looked at every `PERIOD` seconds, without the pages that processes share
    (files, Ray's object store); what comes and goes between two looks is not seen. Where there is no `/proc`,
    processor time and memory are None.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file, self._before = file, _kept(file)
        self._elsewhere = Spent()
        self._began = self._wrote = time.monotonic()
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
        self._keep()

    def add(self, spent: Spent) -> None:
        """Workers that are not below this process spent something."""
        with self._one:
            self._elsewhere = self._elsewhere.plus(spent)

    def _look_on(self) -> None:
        while not self._over.wait(PERIOD):
            self.look()
            if time.monotonic() - self._wrote >= KEPT:
                self._wrote = time.monotonic()
                self._keep()

    def _keep(self) -> None:
        if self._file is None:
            return
        with suppress(OSError):  # no room, or no right to write: what matters fails and says so itself
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._file, self.read().to_dict())

    def look(self) -> None:
        """See how much memory is held now, and what processes used that have ended since."""
        now = tree()
        self._peak = max(self._peak, sum(map(_held, now)))
        with self._one:
            self._forgotten += forgotten(self._seen, now)
            self._seen = now

    def read(self) -> Cost:
        """What this start and those before it cost so far."""
        self.look()
        now = self._seen
        used = _seconds(now) + self._forgotten - self._used + self._elsewhere.cpu if now else None
        this = Cost(1, time.monotonic() - self._began, used, self._elsewhere.gpu, self._peak or None)
        return this.after(self._before)


def _kept(file: Path | None) -> Cost:
    """What earlier starts left; nothing where there was none, or one is not readable."""
    if file is None or not file.exists():
        return Cost()
    try:
        return Cost.of(json.loads(file.read_text()))
    except (ValueError, KeyError):
        return Cost()


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
            # What ended with its parent is taken over, if at all, by who is above both.
            above = process.parent
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
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and (process := look(int(entry.name))):
            yield process


def _seconds(processes: list[Process]) -> float:
    return sum(process.seconds for process in processes)


def _held(process: Process) -> int:
    """Bytes that a process holds for itself; 0 where it ended meanwhile."""
    try:
        text = (PROC / str(process.pid) / "statm").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    pages = [int(field) for field in text.split()[1:3]]
    return (pages[0] - pages[1]) * os.sysconf("SC_PAGE_SIZE")
