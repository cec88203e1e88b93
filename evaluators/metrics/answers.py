"""What a model did with its queries, and all that a metric may read of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Floats, Ints, offsets_of, owners
from evaluators.metrics.facts import Facts

# Cells of a matrix [queries, items] or [queries, categories] that a metric holds at once.
CELLS = 4_000_000


def _none() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Answers:
    """What a model did with Q queries.

    ranks [R], offsets [Q+1]: 0-based ranks of the relevant items, best first within a query, at least one
    each; shown [Q, depth]: the columns shown, -1 for nothing; users [Q]; catalogue: the number of items I.

    Aligned with them, and filled in where left out: columns [R] the relevant items' columns (-1: not told);
    place [R] their places in the run's list of relevant items; query [Q] the queries' numbers in the run;
    candidates [Q] how many items that are not relevant a query could have been answered with; facts: what is
    known beside, of the whole run, found by `columns`, `place` and `query`.
    """

    ranks: Ints
    offsets: Ints
    shown: NDArray[np.int32]
    users: Ints
    catalogue: int
    columns: Ints = field(default_factory=_none)
    place: Ints = field(default_factory=_none)
    query: Ints = field(default_factory=_none)
    candidates: Ints = field(default_factory=_none)
    facts: Facts = field(default_factory=Facts)

    def __post_init__(self) -> None:
        left_out: dict[str, Callable[[], Ints]] = {
            "columns": lambda: np.full(len(self.ranks), -1),
            "place": lambda: np.arange(len(self.ranks)),
            "query": lambda: np.arange(len(self.users)),
            "candidates": lambda: self.catalogue - self.relevant(),
        }
        for name, values in left_out.items():
            if not len(getattr(self, name)):
                object.__setattr__(self, name, values())

    @classmethod
    def of(cls, ranks: Sequence[Sequence[int]]) -> Answers:
        """Ranks alone, one list per query, each query another user's: to try a metric by hand.

        >>> Answers.of([[0, 2], [9]]).offsets.tolist()
        [0, 2, 3]
        """
        flat = np.array([rank for query in ranks for rank in query], dtype=np.int64)
        offsets = offsets_of(np.array([len(query) for query in ranks]))
        return cls(flat, offsets, np.empty((len(ranks), 0), np.int32), np.arange(len(ranks)), 0)

    def sums(self, gains: NDArray[np.generic]) -> Floats:
        """gains [R], one per relevant item -> [Q], their sum per query."""
        return np.bincount(owners(self.offsets), gains, minlength=len(self.users)).astype(np.float64)

    def relevant(self) -> Ints:
        """-> [Q] the number of relevant items."""
        return np.diff(self.offsets)

    def nth(self) -> Ints:
        """-> [R] how many relevant items of the query stand before each.

        >>> Answers.of([[0, 2], [9]]).nth().tolist()
        [0, 1, 0]
        """
        return np.arange(len(self.ranks)) - np.repeat(self.offsets[:-1], self.relevant())

    def first(self) -> Ints:
        """-> [Q] the rank of the best relevant item."""
        return self.ranks[self.offsets[:-1]]

    def mean_of_list(self, values: Floats, k: int) -> Floats:
        """values [Q, k], one per place of the list -> [Q] the mean over places that show an item, NaN for no item."""
        there = self.shown[:, :k] >= 0
        count = there.sum(1)
        total = np.where(there, values, 0.0).sum(1)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def blocks(self, width: int) -> Iterator[slice]:
        """Runs of queries, of each of which [n, width] numbers can be held at once."""
        step = max(1, CELLS // max(1, width))
        for start in range(0, len(self.users), step):
            yield slice(start, min(start + step, len(self.users)))
