"""Several cuts in time: the same model before each, and what becomes of it as it ages."""

from __future__ import annotations

from itertools import pairwise

from evaluators.arrays import Floats
from evaluators.packed import Moments
from evaluators.queries.base import Cuts, Division, Protocol, Stage, edges


class Rolling(Protocol):
    """The stage's time in `periods` of as many events; before each, everything earlier is fitted on.

    With one period it is `Successive`. Histories are true up to the moment in every period: what grows old is the
    model.
    """

    name = "rolling"

    def __init__(self, periods: int = 4) -> None:
        if periods < 1:
            raise ValueError(f"`periods >= 1` must hold, but got (periods={periods}); 4 is the default.")
        self.periods = periods

    def divide(self, moments: Moments, times: Floats, stage: Stage, cuts: Cuts) -> list[Division]:
        bounds = edges(times, stage, cuts, self.periods)
        return [Division.at(moments, start, stop) for start, stop in pairwise(bounds)]
