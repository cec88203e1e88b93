"""Packed rows: sorted, searched, and found again in older ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

ORDER = ("times", "items", "weights", "types")
"""The rows of a user are in order of these."""

Rows = Mapping[str, npt.NDArray[Any]]
"""`ORDER` and maybe `users` → [n]."""
Ints = npt.NDArray[np.int64]


def take(rows: Rows, index: Any) -> dict[str, npt.NDArray[Any]]:
    """Rows at an index, as a mask or numbers."""
    return {name: values[index] for name, values in rows.items()}


def sorted_rows(rows: Rows) -> dict[str, npt.NDArray[Any]]:
    """Rows (with `users`) sorted by user, then by `ORDER`.

    A log is mostly in order of time already, and a stable sort makes use of that; what is left are the rows of one
    moment, which alone are sorted by the rest.
    """
    users = rows["users"]
    order = np.argsort(rows["times"], kind="stable")
    small = users - (users.min() if len(users) else 0)
    # 16 bits are sorted in linear time.
    kind = np.uint16 if len(users) and small.max() < 1 << 16 else small.dtype
    order = order[np.argsort(small[order].astype(kind), kind="stable")]
    rows = take(rows, order)
    begins = np.ones(len(order) + 1, bool)
    begins[1:-1] = _differ(rows, ("users", "times"))
    alone = begins[:-1] & begins[1:]
    where = np.flatnonzero(~alone)
    moment = np.cumsum(begins[:-1])[where]
    within = np.lexsort((*(rows[name][where] for name in reversed(ORDER[1:])), moment))
    for values in rows.values():
        values[where] = values[where[within]]
    return dict(rows)


def repeated(rows: Rows) -> npt.NDArray[np.bool_]:
    """[n] whether a row equals the one before it."""
    again = np.zeros(len(rows["users"]), bool)
    again[1:] = ~_differ(rows, ("users", *ORDER))
    return again


def _differ(rows: Rows, names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """[n − 1] whether a row differs from the one before it in any of these."""
    differ: npt.NDArray[np.bool_] = np.logical_or.reduce(
        [rows[name][1:] != rows[name][:-1] for name in names]
    )
    return differ


def places(offsets: Ints, old: Rows, users: npt.NDArray[np.integer], new: Rows) -> Ints:
    """[n] the row of `old` before which each new row belongs: the first of its user that does not come before it.

    Args:
        offsets: [U + 1] the old rows of user u are `offsets[u]:offsets[u + 1]`, in order.
        users: [n] whose the new rows are.

    >>> old = dict(times=np.array([1.0, 5.0, 2.0]), items=np.zeros(3), weights=np.ones(3), types=np.zeros(3))
    >>> new = dict(times=np.array([5.0, 6.0, 1.0]), items=np.zeros(3), weights=np.ones(3), types=np.zeros(3))
    >>> places(np.array([0, 2, 3]), old, np.array([0, 0, 1]), new).tolist()
    [1, 2, 2]
    """
    low, high = np.array(offsets[users], np.int64), np.array(offsets[users + 1], np.int64)
    open_ = np.flatnonzero(low < high)
    while len(open_):
        middle = (low[open_] + high[open_]) // 2
        before = _less(old, middle, new, open_)
        low[open_[before]] = middle[before] + 1
        high[open_[~before]] = middle[~before]
        open_ = open_[low[open_] < high[open_]]
    return low


def found(offsets: Ints, old: Rows, users: npt.NDArray[np.integer], new: Rows) -> npt.NDArray[np.bool_]:
    """[n] whether each new row equals an old one of its user."""
    at = places(offsets, old, users, new)
    there: npt.NDArray[np.bool_] = at < offsets[users + 1]
    where = np.flatnonzero(there)
    same = [old[name][at[where]] == new[name][where] for name in ORDER]
    there[where] = np.logical_and.reduce(same)
    return there


def _less(old: Rows, middle: Ints, new: Rows, index: Ints) -> npt.NDArray[np.bool_]:
    less, equal = np.zeros(len(index), bool), np.ones(len(index), bool)
    for name in ORDER:
        before, after = old[name][middle], new[name][index]
        less |= equal & (before < after)
        equal &= before == after
    return less
