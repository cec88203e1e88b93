"""The packed log: its moments, and the checks that it is one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Floats, Ints


@dataclass(frozen=True)
class Moments:
    """The M moments of a packed log, in packed order: first [M+1] their first rows, user [M], time [M]."""

    first: Ints
    user: Ints
    time: Floats


def moments(offsets: Ints, times: Floats) -> Moments:
    """Group packed rows by (user, timestamp); offsets [U+1], times [N] ascending within a user.

    >>> moments(np.array([0, 3, 4]), np.array([1.0, 1.0, 2.0, 2.0])).first.tolist()
    [0, 2, 3, 4]
    """
    opens = np.ones(len(times), dtype=bool)
    opens[1:] = times[1:] != times[:-1]
    opens[offsets[:-1][offsets[:-1] < len(times)]] = True
    first = np.flatnonzero(opens)
    user = np.searchsorted(offsets, first, side="right") - 1
    return Moments(np.append(first, len(times)), user, times[first])


def check_log(offsets: Ints, items: NDArray[np.integer], times: Floats, item_count: int) -> None:
    """Raises ValueError unless offsets [U+1], items, times [N] are rows sorted by (user, time, item)."""
    if len(items) != len(times) or not len(items):
        raise ValueError(
            f"`len(items) == len(times) >= 1` must hold, but got ({len(items)}, {len(times)}); "
            "pass one packed log."
        )
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(items) or (np.diff(offsets) < 0).any():
        raise ValueError(
            f"`offsets` must rise from 0 to {len(items)} (the number of rows), but got "
            f"{np.asarray(offsets)[:3].tolist()}…{np.asarray(offsets)[-1:].tolist()}; "
            "pass where each user's rows begin."
        )
    if items.min() < 0 or items.max() >= item_count:
        raise ValueError(
            f"`0 <= items < item_count` must hold, but got (min={items.min()}, max={items.max()}, "
            f"item_count={item_count}); encode items as vocabulary numbers."
        )
    if not np.isfinite(times).all():
        raise ValueError(
            f"`times` must be finite, but row {int(np.argmin(np.isfinite(times)))} is not; reject such rows."
        )
    falls = (times[1:] < times[:-1]) | ((times[1:] == times[:-1]) & (items[1:] < items[:-1]))
    bounds = offsets[1:-1]
    falls[bounds[(bounds > 0) & (bounds < len(items))] - 1] = False
    if falls.any():
        raise ValueError(
            f"rows must be sorted by (user, time, item), but row {int(falls.argmax()) + 1} falls back; "
            "sort and pack the log again."
        )
