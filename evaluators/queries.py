"""From a packed log to the queries of a protocol: what to fit on, what is asked, what would be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Bools, Csr, Floats, Ints, occurs, offsets_of, owners, ranges
from evaluators.packed import Moments, check_log, moments

Protocol = Literal["successive", "loo"]
Stage = Literal["val", "test"]


@dataclass(frozen=True)
class Queries:
    """Q moments to answer, ordered by (time, user).

    user [Q]: user numbers; time [Q]: unix seconds of the moment; begin, end [Q]: the history is the packed
    rows [begin, end), oldest first, all strictly before the moment; relevant_offsets [Q+1], relevant [R]: the
    catalogue columns of the moment's items, ascending and distinct per query, at least one each.

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

    def __len__(self) -> int:
        return len(self.user)

    def subset(self, index: Ints | Bools) -> Queries:
        """The chosen queries in the order given: index [n] query numbers, or a mask [Q]."""
        chosen = np.arange(len(self))[index]
        begin, end = self.relevant_offsets[chosen], self.relevant_offsets[chosen + 1]
        return Queries(
            self.user[chosen], self.time[chosen], self.begin[chosen], self.end[chosen],
            offsets_of(end - begin), self.relevant[ranges(begin, end)],
        )  # fmt: skip

    def lists(self, index: slice = slice(None)) -> Csr:
        """The relevant columns of a contiguous run of queries."""
        return Csr(self.relevant_offsets, self.relevant).block(index)


@dataclass(frozen=True)
class Split:
    """A log divided by a protocol.

    start, stop: queries lie in [start, stop), unix seconds (leave-one-out has no cut: its first moment, and
    infinity); train [N]: the packed rows to fit on; catalogue [I]: the vocabulary numbers seen in training,
    ascending, and so what each column of the scores means; column [V]: vocabulary number -> column, -1 where
    training never saw the item.
    """

    stage: Stage
    protocol: Protocol
    start: float
    stop: float
    train: Bools
    catalogue: Ints
    column: NDArray[np.int32]
    queries: Queries


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


def fitted_and_asked(
    at: Moments, protocol: Protocol, stage: Stage, start: float, stop: float
) -> tuple[Bools, Bools]:
    """Which moments a protocol fits on and which it asks about: two masks [M].

    successive: strictly before `start`; in [start, stop). loo: counted back from each user's last moment, the
    last (test) or the last but one (val) is asked, and everything before it is fitted on.
    """
    if protocol == "successive":
        return at.time < start, (at.time >= start) & (at.time < stop)
    last = np.searchsorted(at.user, at.user, side="right")
    from_last = last - np.arange(len(at.user))
    asked = {"val": 2, "test": 1}[stage]
    return from_last > asked, from_last == asked


def split(
    offsets: Ints,
    items: NDArray[np.integer],
    times: Floats,
    item_count: int,
    *,
    protocol: Protocol,
    stage: Stage,
    cuts: tuple[float, float] = (0.8, 0.9),
    repeats: bool,
    max_queries: int | None = None,
    seed: int = 0,
) -> Split:
    """Divide a packed log so that a query is answered from nothing but what came before it.

    offsets [U+1], items [N] vocabulary numbers below item_count, times [N] unix seconds; rows sorted by
    (user, time, item).

    successive: one cut in time for all users. A cut is the timestamp of the event at position ``int(N *
    cut)`` of the log in time order; val asks about [cut 0, cut 1), test about [cut 1, infinity), each from
    the true history up to the moment. loo: each user's last moment (test), or last but one (val), is asked
    and everything before it is fitted on, as papers do; other users' future leaks into the fit (Ji, Sun,
    Zhang, Li 2023, "A critical study on data leakage in recommender system offline evaluation"). repeats:
    with False an item in the history is not relevant. Relevant items were seen in training; a query without a
    history or without a relevant item is dropped. More than max_queries are sampled without replacement with
    `seed`.

    Raises ValueError on arguments that break these rules, and when nothing is left to fit on or to ask.

    >>> offsets, items = np.array([0, 4, 6]), np.array([0, 1, 0, 2, 1, 0])
    >>> times = np.array([1.0, 2.0, 4.0, 4.0, 3.0, 5.0])
    >>> how = {"protocol": "successive", "stage": "test", "cuts": (0.4, 0.6)}
    >>> made = split(offsets, items, times, 3, repeats=True, **how)
    >>> made.start, made.catalogue.tolist(), made.queries.user.tolist(), made.queries.relevant.tolist()
    (4.0, [0, 1], [0, 1], [0, 0])
    """
    _check_arguments(protocol, stage, cuts, max_queries)
    check_log(offsets, items, times, item_count)
    at = moments(offsets, times)
    start, stop = -np.inf, np.inf
    if protocol == "successive":
        places = [int(len(times) * cut) for cut in cuts]
        edges = np.partition(times, places)[places]
        start, stop = (float(edges[0]), float(edges[1])) if stage == "val" else (float(edges[1]), np.inf)
    fitted, asked = fitted_and_asked(at, protocol, stage, start, stop)
    if protocol == "loo":
        start = float(at.time[asked].min(initial=np.inf))
    train = np.repeat(fitted, np.diff(at.first))
    if not train.any():
        raise ValueError(
            f"`training events >= 1` must hold, but {protocol} {stage} has none (start={start}); "
            "cut later, or use a log with more than one moment a user."
        )
    catalogue = np.flatnonzero(np.bincount(items[train], minlength=item_count))
    column = np.full(item_count, -1, dtype=np.int32)
    column[catalogue] = np.arange(len(catalogue), dtype=np.int32)
    queries = _ask(offsets, items, at, np.flatnonzero(asked), column, repeats)
    if not len(queries):
        raise ValueError(
            f"`queries >= 1` must hold, but {protocol} {stage} leaves none of {int(asked.sum())} moments "
            "with a history and a relevant item known in training "
            f"(start={start}, stop={stop}, repeats={repeats}); "
            "move the cuts, or set `repeats: true` if items are consumed again."
        )
    if max_queries is not None and len(queries) > max_queries:
        # RandomState, not a Generator: it draws the sample that pandas' DataFrame.sample draws for this seed.
        random = np.random.RandomState(seed)
        queries = queries.subset(np.sort(random.choice(len(queries), max_queries, replace=False)))
    return Split(stage, protocol, start, stop, train, catalogue, column, queries)


def _ask(
    offsets: Ints,
    items: NDArray[np.integer],
    at: Moments,
    asked: Ints,
    column: NDArray[np.int32],
    repeats: bool,
) -> Queries:
    """Make queries of the moments asked: those with a history and a relevant item, by (time, user)."""
    asked = asked[at.first[asked] > offsets[at.user[asked]]]
    asked = asked[np.lexsort((at.user[asked], at.time[asked]))]
    user, end = at.user[asked], at.first[asked]
    begin = offsets[user]
    width = at.first[asked + 1] - end
    rows, owner = ranges(end, end + width), owners(offsets_of(width))
    relevant = column[items[rows]] >= 0
    relevant[1:] &= (items[rows[1:]] != items[rows[:-1]]) | (owner[1:] != owner[:-1])
    if not repeats:
        relevant &= ~occurs(items, begin, end, owner, items[rows], len(column))
    counts = np.bincount(owner[relevant], minlength=len(asked))
    kept = counts > 0
    return Queries(
        user[kept], at.time[asked][kept], begin[kept], end[kept],
        offsets_of(counts[kept]), column[items[rows[relevant]]],
    )  # fmt: skip


def _check_arguments(protocol: str, stage: str, cuts: tuple[float, float], max_queries: int | None) -> None:
    for name, value, allowed in (
        ("protocol", protocol, get_args(Protocol)),
        ("stage", stage, get_args(Stage)),
    ):
        if value not in allowed:
            raise ValueError(
                f"`{name}` must be one of {', '.join(allowed)}, but got {value!r}; name one of these."
            )
    if len(cuts) != 2 or not 0 < cuts[0] < cuts[1] < 1:
        raise ValueError(
            f"`0 < cuts[0] < cuts[1] < 1` must hold, but got (cuts={list(cuts)}); "
            "give two shares of the log, as in [0.8, 0.9]."
        )
    if max_queries is not None and max_queries < 1:
        raise ValueError(
            f"`max_queries >= 1` must hold, but got (max_queries={max_queries}); leave it out to ask all."
        )
