"""What a protocol is: which moments are fitted on, and which are asked about."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from evaluators.arrays import Bools, Floats
from evaluators.packed import Moments

Stage = Literal["val", "test"]
Cuts = tuple[float, float]


@dataclass(frozen=True)
class Division:
    """The M moments of a log divided for one fit.

    start, stop: what is asked lies in [start, stop), unix seconds; fitted, asked [M]: the moments to fit on, and
    those to ask about.
    """

    start: float
    stop: float
    fitted: Bools
    asked: Bools

    @classmethod
    def at(cls, moments: Moments, start: float, stop: float) -> Division:
        """One cut in time for all users: fit on what is strictly before `start`, ask about [start, stop)."""
        time = moments.time
        return cls(start, stop, time < start, (time >= start) & (time < stop))


class Protocol(ABC):
    """Divides the moments of a log, once for each fit, in order of time."""

    name: ClassVar[str]
    in_time: ClassVar[bool] = True
    """Whether all users are cut at the same time, so that no fit sees what is asked, nor anything later."""

    @abstractmethod
    def divide(self, moments: Moments, times: Floats, stage: Stage, cuts: Cuts) -> list[Division]:
        """-> one division or more.

        times [N]: of all events; stage: val asks about [cut 0, cut 1), test about [cut 1, infinity), where a cut is
        the timestamp of the event at position ``int(N * cut)`` of the log in time order.
        """


def edges(times: Floats, stage: Stage, cuts: Cuts, periods: int = 1) -> list[float]:
    """Where the periods of a stage begin, and where the last one ends: periods of as many events, [periods + 1].

    Where a timestamp is so common that two periods would begin with it, they are one.

    >>> times = np.arange(10.0)
    >>> edges(times, "val", (0.5, 0.9)), edges(times, "test", (0.5, 0.6), periods=2)
    ([5.0, 9.0], [6.0, 8.0, inf])
    """
    first, last = (int(len(times) * cut) for cut in cuts)
    begin, end = (first, last) if stage == "val" else (last, len(times))
    places = [begin + (end - begin) * number // periods for number in range(periods)]
    if stage == "val":
        places.append(end)
    found = np.partition(times, places)[places]
    starts = np.unique(found[:periods]).tolist()
    if stage == "test":
        return [*starts, np.inf]
    return [*(start for start in starts if start < found[-1]), float(found[-1])]
