"""Where relevant items stand in a full ranking, and what a list of k shows, without sorting the catalogue."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Csr, Ints

# Up to this many relevant items, comparing the row with each beats sorting the row's upper end once.
FEW = 4
# Scores looked at together: so many stay in a core's cache from the first pass over them to the last.
CACHED = 100_000
# Columns are dealt to so many groups at least; the best of each group bound what a list can begin at.
GROUPS = 512


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
    rows = _Rows(given, relevant, seen, depth)
    above = np.empty(len(relevant.columns), dtype=np.int64)
    shown = np.full((len(given), depth), -1, dtype=np.int32)
    step = max(1, CACHED // max(1, given.shape[1]))
    for start in range(0, len(given), step):
        rows.look(slice(start, min(start + step, len(given))), above)
    rows.settle(above)
    rows.best(shown)
    return Answer(above, rows.own, shown)


class _Rows:
    """Rows of scores [B, I], of which `highest` [B, G] holds the best of each group: column c is in group c % G.

    The scores are copied only where some must be hidden."""

    def __init__(self, given: NDArray[Any], relevant: Csr, seen: Csr | None, depth: int) -> None:
        kind = np.float32 if given.dtype in (np.float16, np.float32) else np.float64
        self.scores = given.astype(kind, copy=seen is not None)
        self.items = given.shape[1]
        self.groups = max(1, min(max(GROUPS, depth), self.items))
        self.highest = np.empty((len(given), self.groups), kind)
        self.owner, self.bounds = relevant.owners(), relevant.offsets.tolist()
        self.own: NDArray[Any] = self.scores[self.owner, relevant.columns]
        if seen is not None:
            _check(self.scores, self.scores.max(initial=-np.inf))
            self.scores[seen.owners(), seen.columns] = -np.inf
            self.scores[self.owner, relevant.columns] = self.own

    def look(self, index: slice, found: Ints) -> None:
        """Fill `highest` of some rows, and of their relevant items how many items score as much: found [R]."""
        scores, highest = self.scores[index], self.highest[index]
        whole = self.items // self.groups * self.groups
        dealt = scores[:, :whole].reshape(len(scores), -1, self.groups)
        dealt.max(axis=1, initial=-np.inf, out=highest)
        rest = highest[:, : self.items - whole]
        np.maximum(rest, scores[:, whole:], out=rest)
        _check(scores, highest.max(initial=-np.inf), index.start)
        bounds, own = self.bounds[index.start : index.stop + 1], self.own
        for row, begin, end in zip(scores, bounds[:-1], bounds[1:], strict=True):
            if end - begin <= FEW:
                for at in range(begin, end):
                    found[at] = np.count_nonzero(row >= own[at])
            else:
                mine = own[begin:end]
                near = row[row >= mine.min()]
                near.sort()
                found[begin:end] = len(near) - np.searchsorted(near, mine, side="left")

    def settle(self, found: Ints) -> None:
        """Take the relevant items, and those without a score, out of what `look` has counted."""
        found -= _as_good(self.own, self.owner)
        unscored = np.flatnonzero(np.isneginf(self.own))
        if len(unscored):  # -inf >= -inf holds, yet what is masked or has no score is not above anything
            rows, back = np.unique(self.owner[unscored], return_inverse=True)
            scored = np.greater(self.scores[rows], -np.inf).sum(axis=1)
            mine = np.bincount(self.owner[~np.isneginf(self.own)], minlength=len(self.scores))[rows]
            found[unscored] = (scored - mine)[back]

    def best(self, shown: NDArray[np.int32]) -> None:
        """Fill shown [B, depth] with columns by (score falling, column rising).

        The k-th highest of the groups' best scores is no higher than the k-th highest score, so whatever is shown
        scores at least as much, and stands in a group whose best does. Those few groups are gathered and sorted. Where
        many tie with it, only what is above it is gathered, and those that tie follow in column order.
        """
        depth = min(shown.shape[1], self.items)
        if not depth:
            return
        least = np.partition(self.highest, self.groups - depth, axis=1)[:, self.groups - depth]
        row, group = np.divmod(np.flatnonzero(self.highest >= least[:, None]), self.groups)
        tied = np.bincount(row, minlength=len(shown)) > 2 * depth
        bar = np.where(tied, least, np.nextafter(least, -np.inf))
        good = self.highest[row, group] > bar[row]
        row, group = row[good], group[good]
        columns = group[:, None] + np.arange(0, self.items, self.groups)
        cells = self.scores[row[:, None], np.minimum(columns, self.items - 1)]
        chosen = np.flatnonzero((cells > bar[row, None]) & (columns < self.items))
        row, column, score = row[chosen // columns.shape[1]], columns.ravel()[chosen], cells.ravel()[chosen]
        order = np.lexsort((column, -score, row))
        row, column = row[order], column[order]
        count = np.bincount(row, minlength=len(shown))
        place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        kept = place < depth
        shown[row[kept], place[kept]] = column[kept]
        for short in np.flatnonzero(tied & (count < depth) & (least > -np.inf)).tolist():
            have = int(count[short])
            ties = np.flatnonzero(self.scores[short] == least[short])[: depth - have]
            shown[short, have : have + len(ties)] = ties


def _as_good(own: NDArray[Any], owner: Ints) -> Ints:
    """-> [R] how many relevant items of the same query score at least as much as each, itself among them.

    >>> _as_good(np.array([3.0, 5.0, 3.0, 1.0]), np.array([0, 0, 0, 1])).tolist()
    [3, 1, 3, 1]
    """
    order = np.lexsort((-own, owner))
    score, whose = own[order], owner[order]
    place = np.arange(len(own))
    opens = np.ones(len(own), dtype=bool)
    opens[1:] = whose[1:] != whose[:-1]
    start = np.maximum.accumulate(np.where(opens, place, 0))
    closes = np.ones(len(own), dtype=bool)
    closes[:-1] = opens[1:] | (score[1:] != score[:-1])
    last = np.minimum.accumulate(np.where(closes, place, len(own))[::-1])[::-1]
    found = np.empty(len(own), dtype=np.int64)
    found[order] = last - start + 1
    return found


def _check(scores: NDArray[Any], highest: float, start: int = 0) -> None:
    """ValueError where the highest score is NaN, which wins a maximum, or +inf."""
    if not highest < np.inf:
        row, column = np.argwhere(np.isnan(scores) | (scores == np.inf))[0].tolist()
        raise ValueError(
            f"a score must be a number or -inf, but got {scores[row, column]} in row {start + row}, column {column}; "
            "a model that diverged cannot be ranked: look at its training loss."
        )


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
