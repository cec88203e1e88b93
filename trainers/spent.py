"""What work on other machines took: each worker says it of itself, and whoever started it adds it up."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from trainers.processes import PROC, look


class Spent(NamedTuple):
    """Seconds of processors, and of GPUs that were held, busy or not.

    >>> Spent(1.0, 2.0).plus(Spent(0.5, 0.0))
    Spent(cpu=1.5, gpu=2.0)
    """

    cpu: float = 0.0
    gpu: float = 0.0

    def plus(self, other: Spent) -> Spent:
        return Spent(self.cpu + other.cpu, self.gpu + other.gpu)


@dataclass(frozen=True)
class Starter:
    """The process that started some work. It sees what the processes below it use, and need not be told of it.

    Attributes:
        machine: what numbers of processes mean the same in: a boot of a machine, and a container on it.
    """

    machine: str
    pid: int

    @classmethod
    def here(cls) -> Starter:
        """This process."""
        return cls(_machine(), os.getpid())

    def sees(self) -> bool:
        """Whether the process that asks is this one, or below it."""
        if self.machine != _machine():
            return False
        pid = os.getpid()
        while pid > 1 and pid != self.pid:
            above = look(pid)
            pid = above.parent if above else 0
        return pid == self.pid


@dataclass
class Watch:
    """What this process spends for whoever started it, from its first instruction on.

    Attributes:
        device: where it computes; a GPU is held from when the watch is made.
    """

    starter: Starter
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __post_init__(self) -> None:
        self._told = time.process_time() if self.starter.sees() else 0.0
        self._held = time.monotonic()

    def read(self) -> Spent:
        """What was spent since the last time; no processor time where the starter sees it itself."""
        used, now = time.process_time(), time.monotonic()
        cpu = 0.0 if self.starter.sees() else used - self._told
        gpu = now - self._held if self.device.type == "cuda" else 0.0
        self._told, self._held = used, now
        return Spent(cpu, gpu)


def unspent(spent: Spent) -> None:
    """Nobody adds it up."""


def _machine() -> str:
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.stat(PROC / 'self/ns/pid').st_ino}"
    except OSError:  # no Linux
        return ""
