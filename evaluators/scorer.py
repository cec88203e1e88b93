"""What this package asks of a model: rows of scores, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

Block = tuple[slice, NDArray[Any]]


@runtime_checkable
class Scorer(Protocol):
    """Anything that scores the whole catalogue for a run of queries.

    `score(slice(b, e))` answers queries b..e-1, in the order of `Queries`, with an array [e-b, I]: one column
    per catalogue item, higher is better, -inf for an item that must not be recommended. It sees nothing of a
    query but what it was built with; a scorer that reads a query's relevant items is not measured, it cheats.
    """

    def score(self, index: slice) -> NDArray[Any]:
        """-> [B, I] real scores of the queries in `index`."""
        ...


def blocks(scorer: Scorer, count: int, size: int = 256) -> Iterator[Block]:
    """Ask for `count` queries, `size` at a time, so that no more than [size, I] scores are held at once.

    >>> import numpy as np
    >>> class Popular:
    ...     def score(self, index: slice) -> NDArray[Any]:
    ...         return np.tile([3.0, 1.0], (index.stop - index.start, 1))
    >>> [(index.start, index.stop, scores.shape) for index, scores in blocks(Popular(), 3, size=2)]
    [(0, 2, (2, 2)), (2, 3, (1, 2))]
    """
    if size < 1:
        raise ValueError(
            f"`size >= 1` must hold, but got (size={size}); pass the number of queries scored at a time."
        )
    for start in range(0, count, size):
        index = slice(start, min(start + size, count))
        yield index, scorer.score(index)
