"""When it is time for a checkpoint, agreed among workers."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from trainers.training.workers import Workers


class Clock:
    """Strikes for all workers at once when so many minutes have passed on worker 0.

    They agree on it a hundred times or so between two strokes: each time worker 0 says after how many steps to ask
    again, half of what would be too late at the pace so far, an eighth more steps at most."""

    def __init__(self, minutes: float, workers: Workers, now: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self.workers, self.now = minutes * 60, workers, now
        self.reset()

    def reset(self) -> None:
        self.since, self.steps, self.ask = self.now(), 0, 1

    def strikes(self) -> bool:
        """To be called by every worker after each step."""
        self.steps += 1
        if self.steps < self.ask:
            return False
        passed = self.now() - self.since
        left = self.steps * (self.seconds - passed) / max(passed, 1e-9) / 2
        over, self.ask = self.workers.first(
            np.array([passed >= self.seconds, self.steps + max(min(left, self.steps / 8), 1)], np.int64)
        ).tolist()
        return bool(over)
