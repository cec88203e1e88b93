"""Where relevant items stand in a full ranking, and what a list of k shows, without sorting the catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Csr, Ints

# Up to this many relevant items, comparing the row with each beats sorting the row's upper end once.
FEW = 4


def ranks(scores: NDArray[Any], relevant: Csr, seen: Csr | None = None) -> Ints:
    """0-based ranks of the relevant items over the full catalogue, best first within a query.

    scores [B, I] real; relevant, seen: lists of B; -> [R], laid out by ``relevant.offsets``.

    rank_j = |{i : i not relevant, not seen, s_i > -inf, s_i >= x_j}| + j,  where x_0 >= x_1 >= … are the
    scores of the relevant items. Ties count against the model, so a constant score earns the last place and
    not the first; the full catalogue is ranked, never a sample of it (Krichene & Rendle 2020, "On sampled
    metrics for item recommendation"). A relevant item keeps its own score even if it is in `seen`; one scored
    -inf stands behind every item that has a score.

    Raises ValueError on a score that is NaN or +inf, or on shapes that disagree.

    >>> relevant = Csr(np.array([0, 2]), np.array([1, 3]))
    >>> scores = np.array([[0.9, 0.5, 0.5, 0.7, 0.1]])
    >>> ranks(scores, relevant).tolist()  # item 2 ties with item 1 and is put first
    [1, 3]
    >>> ranks(scores, relevant, seen=Csr(np.array([0, 1]), np.array([0]))).tolist()
    [0, 2]
    """
    return best_first(answer(scores, relevant, seen, 0)[0], relevant.offsets)


def top(scores: NDArray[Any], k: int, hidden: Csr | None = None) -> NDArray[np.int32]:
    """The columns a list of k shows: highest score first, ties by column order, -1 where nothing is left to
    show.

    scores [B, I] real; hidden: lists of B that must not be shown; -> [B, k]. An item scored -inf is never
    shown.

    >>> top(np.array([[0.2, 0.5, 0.5, -np.inf]]), 4, Csr(np.array([0, 1]), np.array([0]))).tolist()
    [[1, 2, -1, -1]]
    """
    rest = _checked(scores)
    if hidden is not None:
        _hide(rest, hidden, "hidden")
    return _first(rest, k)


def best_first(above: Ints, offsets: NDArray[np.integer]) -> Ints:
    """From counts of non-relevant items above each relevant one to ranks: above [R], offsets [B+1] -> [R].

    >>> best_first(np.array([5, 0, 2]), np.array([0, 2, 3])).tolist()
    [0, 6, 2]
    """
    widths = np.diff(offsets)
    owner = np.repeat(np.arange(len(widths)), widths)
    return above[np.lexsort((above, owner))] + np.arange(len(above)) - np.repeat(offsets[:-1], widths)


def answer(
    scores: NDArray[Any], relevant: Csr, seen: Csr | None, depth: int
) -> tuple[Ints, NDArray[np.int32]]:
    """One pass over a block: what every metric needs of it.

    scores [B, I]; relevant, seen: lists of B; -> above [R], the number of unmasked non-relevant items whose
    score is at least that of each relevant item, aligned with ``relevant.columns``; and shown [B, depth], as
    `top` with seen items hidden unless they are relevant.

    >>> above, shown = answer(np.array([[0.9, 0.5, 0.5]]), Csr(np.array([0, 1]), np.array([1])), None, 2)
    >>> above.tolist(), shown.tolist()
    ([2], [[0, 1]])
    """
    rest = _checked(scores)
    _fits(rest, relevant, "relevant")
    owner = relevant.owners()
    own = rest[owner, relevant.columns]
    if seen is not None:
        _hide(rest, seen, "seen")
    rest[owner, relevant.columns] = -np.inf
    above = np.empty(len(own), dtype=np.int64)
    bounds = relevant.offsets.tolist()
    for row, begin, end in zip(rest, bounds[:-1], bounds[1:], strict=True):
        if end - begin <= FEW:
            for at in range(begin, end):
                above[at] = np.count_nonzero(row >= own[at])
        else:
            mine = own[begin:end]
            near = row[row >= mine.min()]
            near.sort()
            above[begin:end] = len(near) - np.searchsorted(near, mine, side="left")
    unscored = np.flatnonzero(np.isneginf(own))
    if len(unscored):  # -inf >= -inf holds, yet what is masked or has no score is not above anything
        rows, back = np.unique(owner[unscored], return_inverse=True)
        above[unscored] = (rest[rows] > -np.inf).sum(axis=1)[back]
    if depth:
        rest[owner, relevant.columns] = own
    return above, _first(rest, depth)


def _checked(scores: NDArray[Any]) -> NDArray[Any]:
    """A writable float copy of scores [B, I] in which every entry is a number or -inf."""
    given = np.asarray(scores)
    rest = np.array(
        given, dtype=np.float32 if given.dtype in (np.float16, np.float32) else np.float64, order="C"
    )
    if rest.ndim != 2:
        raise ValueError(f"scores must be [B, I], but got shape {rest.shape}; pass one row per query.")
    highest = float(rest.max(initial=-np.inf))  # NaN wins a maximum, so one pass finds NaN and +inf
    if not highest < np.inf:
        row, column = np.argwhere(np.isnan(rest) | (rest == np.inf))[0].tolist()
        raise ValueError(
            f"a score must be a number or -inf, but got {rest[row, column]} in row {row}, column {column}; "
            "a model that diverged cannot be ranked: look at its training loss."
        )
    return rest


def _fits(rest: NDArray[Any], lists: Csr, name: str) -> None:
    if len(lists) != len(rest):
        raise ValueError(
            f"`len({name}) == len(scores)` must hold, but got ({len(lists)}, {len(rest)}); "
            "pass one list a row."
        )
    if len(lists.columns) and not 0 <= lists.columns.min() <= lists.columns.max() < rest.shape[1]:
        raise ValueError(
            f"columns of {name} must be in [0, {rest.shape[1]}), but got (min={lists.columns.min()}, "
            f"max={lists.columns.max()}); pass catalogue columns, not vocabulary numbers."
        )


def _hide(rest: NDArray[Any], lists: Csr, name: str) -> None:
    _fits(rest, lists, name)
    rest[lists.owners(), lists.columns] = -np.inf


def _first(rest: NDArray[Any], k: int) -> NDArray[np.int32]:
    """rest [B, I] -> [B, k] columns by (score falling, column rising); all that tie with the k-th compete."""
    if k < 0:
        raise ValueError(f"`k >= 0` must hold, but got (k={k}); pass the length of the list shown.")
    shown = np.full((len(rest), k), -1, dtype=np.int32)
    depth = min(k, rest.shape[1])
    if not depth:
        return shown
    kth = np.partition(rest, rest.shape[1] - depth, axis=1)[:, rest.shape[1] - depth]
    for row, least, line in zip(rest, kth, shown, strict=True):
        columns = np.flatnonzero(row >= least if least > -np.inf else row > -np.inf)
        chosen = columns[np.argsort(-row[columns], kind="stable")[:depth]]
        line[: len(chosen)] = chosen
    return shown
