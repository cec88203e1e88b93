"""Ragged lists as flat arrays, and the two searches over packed rows that the rest of this package needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

DAY = 86_400.0  # seconds: times are unix seconds, ages are days


@dataclass(frozen=True)
class Csr:
    """One ascending list of catalogue columns per query, laid end to end.

    offsets [B+1]: list q is ``columns[offsets[q]:offsets[q+1]]``; columns [R]: numbers in [0, I).

    >>> lists = Csr(np.array([0, 2, 2, 3]), np.array([4, 7, 1]))
    >>> len(lists), lists.owners().tolist(), lists.block(slice(1, 3)).columns.tolist()
    (3, [0, 0, 2], [1])
    """

    offsets: NDArray[np.integer]
    columns: NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def owners(self) -> Ints:
        """-> [R] the list that each entry belongs to."""
        return owners(self.offsets)

    def block(self, index: slice) -> Csr:
        """The lists of a contiguous run of queries."""
        first, last, _ = index.indices(len(self))
        offsets = self.offsets[first : max(first, last) + 1]
        return Csr(offsets - offsets[0], self.columns[offsets[0] : offsets[-1]])


def owners(offsets: NDArray[np.integer]) -> Ints:
    """offsets [B+1] -> [R] the number of the list that each entry belongs to.

    >>> owners(np.array([0, 2, 2, 3])).tolist()
    [0, 0, 2]
    """
    return np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets))


def offsets_of(counts: NDArray[np.integer]) -> Ints:
    """counts [B] -> [B+1] where each list starts, and where the last one ends.

    >>> offsets_of(np.array([2, 0, 1])).tolist()
    [0, 2, 2, 3]
    """
    out = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=out[1:])
    return out


def ranges(begin: NDArray[np.integer], end: NDArray[np.integer]) -> Ints:
    """Every whole number of [begin, end), range after range; begin, end [B] with begin <= end.

    >>> ranges(np.array([5, 0]), np.array([7, 1])).tolist()
    [5, 6, 0]
    """
    offsets = offsets_of(end - begin)
    return np.arange(offsets[-1], dtype=np.int64) + np.repeat(begin - offsets[:-1], np.diff(offsets))


def occurs(
    items: NDArray[np.integer],
    begin: NDArray[np.integer],
    end: NDArray[np.integer],
    owner: NDArray[np.integer],
    wanted: NDArray[np.integer],
    item_count: int,
) -> Bools:
    """Whether each wanted item is among the packed rows of the range that asks for it.

    items [N] vocabulary numbers; begin, end [B] ranges of rows, where ranges that share a user share `begin`;
    owner, wanted [R] the range asked and the vocabulary number asked for; -> [R].

    Each user's rows are sorted once, whatever the number of ranges: an item is in [begin, end) when its first
    row from `begin` on lies before `end`.

    >>> begin, end, owner = np.array([0, 0]), np.array([1, 3]), np.array([0, 1, 1])
    >>> occurs(np.array([3, 1, 3, 2]), begin, end, owner, np.array([1, 1, 2]), 4).tolist()
    [False, True, False]
    """
    starts, group = np.unique(begin, return_inverse=True)
    stops = np.zeros(len(starts), dtype=np.int64)
    np.maximum.at(stops, group, end)
    rows = ranges(starts, stops)
    keys = np.repeat(np.arange(len(starts)), stops - starts) * item_count + items[rows]
    held, first = np.unique(keys, return_index=True)
    if not len(held):
        return np.zeros(len(wanted), dtype=bool)
    asked = group[owner] * item_count + wanted
    at = np.minimum(np.searchsorted(held, asked), len(held) - 1)
    found: Bools = (held[at] == asked) & (rows[first[at]] < end[owner])
    return found
