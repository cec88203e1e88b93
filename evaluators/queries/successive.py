"""One cut in time for all users; every later moment is asked from the true history up to it."""

from __future__ import annotations

from evaluators.arrays import Floats
from evaluators.packed import Moments
from evaluators.queries.base import Cuts, Division, Protocol, Stage, edges


class Successive(Protocol):
    """Fit strictly before the cut, then ask about every moment at or after it, with no parameter updated.

    A query's relevant items are those of its own moment, so this is next-basket recommendation too: what is asked
    for is the next basket and nothing later. A `Horizon` asks for more.
    """

    name = "successive"

    def divide(self, moments: Moments, times: Floats, stage: Stage, cuts: Cuts) -> list[Division]:
        start, stop = edges(times, stage, cuts)
        return [Division.at(moments, start, stop)]
