"""Each user's last moment is asked, as papers do; the future of the others is fitted on."""

from __future__ import annotations

import numpy as np

from evaluators.arrays import Floats
from evaluators.packed import Moments
from evaluators.queries.base import Cuts, Division, Protocol, Stage


class LeaveOneOut(Protocol):
    """Each user's last moment (test), or last but one (val), is asked, and everything before it is fitted on.

    Other users' future leaks into the fit (Ji, Sun, Zhang, Li 2023, "A critical study on data leakage in recommender
    system offline evaluation"): this exists to compare with papers, and no decision is taken on it.
    """

    name = "loo"
    in_time = False

    def divide(self, moments: Moments, times: Floats, stage: Stage, cuts: Cuts) -> list[Division]:
        last = np.searchsorted(moments.user, moments.user, side="right")
        from_last = last - np.arange(len(moments.user))
        asked = from_last == {"val": 2, "test": 1}[stage]
        start = float(moments.time[asked].min(initial=np.inf))
        return [Division(start, np.inf, from_last > {"val": 2, "test": 1}[stage], asked)]
