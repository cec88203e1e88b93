"""From a log to the parameters of a world that makes such logs."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import DAY, Floats, Ints
from evaluators.packed import check_log
from evaluators.simulator.arrivals import fit_arrivals
from evaluators.simulator.choices import fit_choices
from evaluators.simulator.parameters import Parameters
from evaluators.simulator.state import HISTORY


def fit(
    offsets: Ints,
    items: NDArray[np.integer],
    times: Floats,
    *,
    history: int = HISTORY,
    assumed: Parameters | None = None,
) -> Parameters:
    """Arrivals, popularity, repeat rate and retention of a packed log; offsets [U+1], items [N], times [N] unix
    seconds, sorted by (user, time, item).

    What no log tells (position bias, the outside option, satisfaction) is that of `assumed`, the defaults where left
    out. The catalogue is as large as the items of the log are many. See `fit_arrivals` and `fit_choices` for how.

    Raises ValueError on what is no packed log, and where no user has two sessions.
    """
    check_log(offsets, items, times, int(np.max(items, initial=0)) + 1)
    days = (times - times.min()) / DAY
    _, numbers = np.unique(items, return_inverse=True)
    arrivals = fit_arrivals(offsets, days)
    choices = fit_choices(offsets, numbers, days, history)
    return replace(
        assumed or Parameters(),
        items=int(numbers.max()) + 1,
        popularity=choices.popularity,
        fade=choices.fade,
        repeat=min(choices.repeat, 0.999),
        retention=choices.retention,
        **asdict(arrivals),
    )
