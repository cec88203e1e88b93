"""Where relevant items stand in a full ranking, and what a list of k shows, without sorting the catalogue."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Csr, Ints

# Up to this many relevant items, comparing the row with each beats sorting the row's upper end once.
FEW = 4
# Scores looked at together: so many stay in a core's cache from the first pass over them to the last.
CACHED = 150_000
# Columns are dealt to so many groups at least; the best of each group bound what a list can begin at.
GROUPS = 128


class Answer(NamedTuple):
    """What every metric needs of a block of B queries: above [R] how many other items stand above each relevant one,
    own [R] the relevant items' scores, shown [B, depth] the columns of the lists, -1 for nothing."""

    above: Ints
    own: NDArray[Any]
    shown: NDArray[np.int32]


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
    return best_first(answer(scores, relevant, seen, 0).above, relevant.offsets)


def top(scores: NDArray[Any], k: int, hidden: Csr | None = None) -> NDArray[np.int32]:
    """The columns a list of k shows: highest score first, ties by column order, -1 where nothing is left to
    show.

    scores [B, I] real; hidden: lists of B that must not be shown; -> [B, k]. An item scored -inf is never
    shown.

    >>> top(np.array([[0.2, 0.5, 0.5, -np.inf]]), 4, Csr(np.array([0, 1]), np.array([0]))).tolist()
    [[1, 2, -1, -1]]
    """
    given = _matrix(scores)
    none = Csr(np.zeros(len(given) + 1, np.int64), np.zeros(0, np.int64))
    return answer(given, none, hidden, k).shown


def best_first(above: Ints, offsets: NDArray[np.integer]) -> Ints:
    """From counts of non-relevant items above each relevant one to ranks: above [R], offsets [B+1] -> [R].

    >>> best_first(np.array([5, 0, 2]), np.array([0, 2, 3])).tolist()
    [0, 6, 2]
    """
    widths = np.diff(offsets)
    owner = np.repeat(np.arange(len(widths)), widths)
    return above[np.lexsort((above, owner))] + np.arange(len(above)) - np.repeat(offsets[:-1], widths)


def answer(scores: NDArray[Any], relevant: Csr, seen: Csr | None, depth: int) -> Answer:
    """One pass over a block: what every metric needs of it.

    scores [B, I]; relevant, seen: lists of B; above [R] is the number of unmasked non-relevant items whose score is at
    least that of each relevant item, aligned with ``relevant.columns`` as own [R] is; shown [B, depth] is that of `top`
    with seen items hidden unless they are relevant.

    >>> found = answer(np.array([[0.9, 0.5, 0.5]]), Csr(np.array([0, 1]), np.array([1])), None, 2)
    >>> found.above.tolist(), found.own.tolist(), found.shown.tolist()
    ([2], [0.5], [[0, 1]])
    """
    given = _matrix(scores)
    if depth < 0:
        raise ValueError(f"`k >= 0` must hold, but got (k={depth}); pass the length of the list shown.")
    _fits(given, relevant, "relevant")
    if seen is not None:
        _fits(given, seen, "seen")
    count, items = given.shape
    desk = _Desk(given, max(GROUPS, depth))
    above = np.empty(len(relevant.columns), dtype=np.int64)
    own = np.empty(len(relevant.columns), dtype=desk.kind)
    shown = np.full((count, depth), -1, dtype=np.int32)
    step = max(1, CACHED // max(1, items))
    for start in range(0, count, step):
        index = slice(start, min(start + step, count))
        desk.lay(index)
        mine = relevant.block(index)
        of_chunk = slice(int(relevant.offsets[start]), int(relevant.offsets[index.stop]))
        own[of_chunk] = desk.hide(None if seen is None else seen.block(index), mine)
        if depth:
            desk.best(shown[index])
        above[of_chunk] = desk.above(own[of_chunk], mine)
    return Answer(above, own, shown)


class _Desk:
    """A few rows of scores at a time, copied to where they can be marked: row_BI, a view of cells_BWG in which column c
    is cell (c // G, c % G) and what is left over holds -inf."""

    def __init__(self, scores: NDArray[Any], groups: int) -> None:
        self.scores, self.items = scores, scores.shape[1]
        self.kind = np.dtype(np.float32 if scores.dtype in (np.float16, np.float32) else np.float64)
        self.groups = min(groups, max(1, self.items))
        self.high = -(-self.items // self.groups)
        rows = min(len(scores), max(1, CACHED // max(1, self.items)))
        self.room = np.full((rows, self.high * self.groups), -np.inf, self.kind)

    def lay(self, index: slice) -> None:
        """Copy these rows; ValueError on one that is not a number."""
        self.start, count = index.start, index.stop - index.start
        self.row_BI = self.room[:count, : self.items]
        self.row_BI[...] = self.scores[index]
        self.cells_BWG = self.room[:count].reshape(count, self.high, self.groups)
        self.highest_BG = self.cells_BWG.max(axis=1)
        # NaN wins a maximum, so one pass finds NaN and +inf
        if not self.highest_BG.max(initial=-np.inf) < np.inf:
            row, column = np.argwhere(np.isnan(self.row_BI) | (self.row_BI == np.inf))[0].tolist()
            raise ValueError(
                f"a score must be a number or -inf, but got {self.row_BI[row, column]} in row {self.start + row}, "
                f"column {column}; a model that diverged cannot be ranked: look at its training loss."
            )

    def hide(self, seen: Csr | None, relevant: Csr) -> NDArray[Any]:
        """-> [R] the relevant items' scores; what was seen gets -inf, unless it is relevant."""
        owner = relevant.owners()
        own: NDArray[Any] = self.row_BI[owner, relevant.columns]
        if seen is not None and len(seen.columns):
            self.row_BI[seen.owners(), seen.columns] = -np.inf
            self.row_BI[owner, relevant.columns] = own
            self.highest_BG = self.cells_BWG.max(axis=1)
        return own

    def above(self, own: NDArray[Any], relevant: Csr) -> Ints:
        """-> [R] the number of items, the relevant ones taken out, that score at least as much as each relevant one."""
        found = np.empty(len(own), dtype=np.int64)
        owner = relevant.owners()
        self.row_BI[owner, relevant.columns] = -np.inf
        bounds = relevant.offsets.tolist()
        for row, begin, end in zip(self.row_BI, bounds[:-1], bounds[1:], strict=True):
            if end - begin <= FEW:
                for at in range(begin, end):
                    found[at] = np.count_nonzero(row >= own[at])
            else:
                mine = own[begin:end]
                near = row[row >= mine.min()]
                near.sort()
                found[begin:end] = len(near) - np.searchsorted(near, mine, side="left")
        unscored = np.flatnonzero(np.isneginf(own))
        if len(unscored):  # -inf >= -inf holds, yet what is masked or has no score is not above anything
            rows, back = np.unique(owner[unscored], return_inverse=True)
            found[unscored] = (self.row_BI[rows] > -np.inf).sum(axis=1)[back]
        return found

    def best(self, shown: NDArray[np.int32]) -> None:
        """Fill shown [B, depth] with columns by (score falling, column rising).

        The k-th highest of the groups' best scores is no higher than the k-th highest score: whatever stands above it
        stands in one of fewer than k groups, and is sorted; if that makes fewer than k, those that tie with it follow.
        """
        depth = min(shown.shape[1], self.items)
        if not depth:
            return
        least_B = np.partition(self.highest_BG, self.groups - depth, axis=1)[:, self.groups - depth]
        row, group = np.nonzero(self.highest_BG > least_B[:, None])
        cells = self.cells_BWG[row, :, group]
        which, height = np.nonzero(cells > least_B[row, None])
        row, column, score = row[which], height * self.groups + group[which], cells[which, height]
        order = np.lexsort((column, -score, row))
        row, column = row[order], column[order]
        count = np.bincount(row, minlength=len(shown))
        place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        kept = place < depth
        shown[row[kept], place[kept]] = column[kept]
        for short in np.flatnonzero((count < depth) & (least_B > -np.inf)).tolist():
            have = int(count[short])
            ties = np.flatnonzero(self.row_BI[short] == least_B[short])[: depth - have]
            shown[short, have : have + len(ties)] = ties


def _matrix(scores: NDArray[Any]) -> NDArray[Any]:
    given = np.asarray(scores)
    if given.ndim != 2:
        raise ValueError(f"scores must be [B, I], but got shape {given.shape}; pass one row per query.")
    return given


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
