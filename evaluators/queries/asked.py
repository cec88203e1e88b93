"""What is asked: moments with their histories and what would be right, and what a history has seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Bools, Csr, Floats, Ints, offsets_of, ranges


@dataclass(frozen=True)
class Queries:
    """Q moments to answer, ordered by (time, user).

    user [Q]: user numbers; time [Q]: unix seconds of the moment; begin, end [Q]: the history is the packed
    rows [begin, end), oldest first, all strictly before the moment; relevant_offsets [Q+1], relevant [R]: the
    catalogue columns of the items asked for, ascending and distinct per query, at least one each; until [Q]:
    the rows asked for are [end, until), None where they are those of the moment itself.

    >>> queries = Queries(np.array([7, 2]), np.array([10.0, 20.0]), np.array([0, 5]), np.array([3, 6]),
    ...                   np.array([0, 2, 3]), np.array([1, 4, 0]))
    >>> len(queries), queries.subset(np.array([1])).relevant, queries.lists(slice(0, 1)).columns.tolist()
    (2, array([0]), [1, 4])
    """

    user: Ints
    time: Floats
    begin: Ints
    end: Ints
    relevant_offsets: Ints
    relevant: NDArray[np.int32]
    until: Ints | None = None

    def __len__(self) -> int:
        return len(self.user)

    def subset(self, index: Ints | Bools) -> Queries:
        """The chosen queries in the order given: index [n] query numbers, or a mask [Q]."""
        chosen = np.arange(len(self))[index]
        begin, end = self.relevant_offsets[chosen], self.relevant_offsets[chosen + 1]
        return Queries(
            self.user[chosen], self.time[chosen], self.begin[chosen], self.end[chosen],
            offsets_of(end - begin), self.relevant[ranges(begin, end)],
            None if self.until is None else self.until[chosen],
        )  # fmt: skip

    def lists(self, index: slice = slice(None)) -> Csr:
        """The relevant columns of a contiguous run of queries."""
        return Csr(self.relevant_offsets, self.relevant).block(index)


@dataclass(frozen=True)
class Seen:
    """The catalogue columns in each query's history, for data in which nothing is consumed twice.

    Lists are made for a block of queries at a time: over a whole split they would be as long as all histories
    together.

    >>> zero, one = np.array([0]), np.array([0, 1])
    >>> queries = Queries(zero, np.array([9.0]), zero, np.array([3]), one, np.array([2]))
    >>> seen = Seen(queries, items=np.array([5, 3, 5, 1]), column=np.array([-1, 2, -1, 0, -1, 1]))
    >>> seen(slice(0, 1)).columns.tolist()
    [0, 1]
    """

    queries: Queries
    items: NDArray[np.integer]
    column: NDArray[np.int32]

    def __call__(self, index: slice) -> Csr:
        """-> the distinct known columns of the histories of a contiguous run of queries, ascending."""
        begin, end = self.queries.begin[index], self.queries.end[index]
        columns = self.column[self.items[ranges(begin, end)]].astype(np.int64)
        owner = np.repeat(np.arange(len(begin)), end - begin)
        width = int(columns.max(initial=0)) + 1
        keys = np.unique((owner * width + columns)[columns >= 0])
        return Csr(offsets_of(np.bincount(keys // width, minlength=len(begin))), keys % width)
