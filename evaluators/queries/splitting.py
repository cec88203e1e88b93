"""From a packed log to the queries of a protocol: what to fit on, what is asked, what would be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Bools, Floats, Ints, occurs, offsets_of, owners, ranges
from evaluators.packed import Moments, check_log, moments
from evaluators.queries.asked import Queries
from evaluators.queries.base import Cuts, Division, Protocol, Stage
from evaluators.queries.horizon import Horizon
from evaluators.queries.loo import LeaveOneOut
from evaluators.queries.rolling import Rolling
from evaluators.queries.successive import Successive

ProtocolName = Literal["successive", "loo", "rolling"]
PROTOCOLS: dict[str, type[Protocol]] = {each.name: each for each in (Successive, LeaveOneOut, Rolling)}


@dataclass(frozen=True)
class Split:
    """A log divided by a protocol.

    protocol: its name; start, stop: queries lie in [start, stop), unix seconds (leave-one-out has no cut: its first
    moment, and infinity); train [N]: the packed rows to fit on; asked [N]: those asked about, whether or not
    training knows their items; catalogue [I]: the vocabulary numbers seen in training, ascending, and so what each
    column of the scores means; column [V]: vocabulary number -> column, -1 where training never saw the item.
    """

    stage: Stage
    protocol: str
    start: float
    stop: float
    train: Bools
    asked: Bools
    catalogue: Ints
    column: NDArray[np.int32]
    queries: Queries


def split(
    offsets: Ints,
    items: NDArray[np.integer],
    times: Floats,
    item_count: int,
    *,
    protocol: ProtocolName | Protocol,
    stage: Stage,
    cuts: Cuts = (0.8, 0.9),
    repeats: bool,
    horizon: Horizon | None = None,
    max_queries: int | None = None,
    seed: int = 0,
) -> Split:
    """Divide a packed log so that a query is answered from nothing but what came before it.

    offsets [U+1], items [N] vocabulary numbers below item_count, times [N] unix seconds; rows sorted by
    (user, time, item).

    protocol: a name, or a `Protocol` of one's own. successive: one cut in time for all users, each moment answered
    from the true history up to it. loo: each user's last moment (test), or last but one (val). rolling: as
    successive, from its first cut to the end of the stage; `rolls` gives one split for each of its cuts. horizon:
    ask for more than the moment itself. repeats: with False an item in the history is not relevant. Relevant items
    were seen in training; a query without a history or without a relevant item is dropped. More than max_queries
    are sampled without replacement with `seed`.

    Raises ValueError on arguments that break these rules, and when nothing is left to fit on or to ask.

    >>> offsets, items = np.array([0, 4, 6]), np.array([0, 1, 0, 2, 1, 0])
    >>> times = np.array([1.0, 2.0, 4.0, 4.0, 3.0, 5.0])
    >>> how = {"protocol": "successive", "stage": "test", "cuts": (0.4, 0.6)}
    >>> made = split(offsets, items, times, 3, repeats=True, **how)
    >>> made.start, made.catalogue.tolist(), made.queries.user.tolist(), made.queries.relevant.tolist()
    (4.0, [0, 1], [0, 1], [0, 0])
    """
    dealer = _Dealer.of(offsets, items, times, item_count, protocol, stage, cuts, repeats, horizon)
    if max_queries is not None and max_queries < 1:
        raise ValueError(
            f"`max_queries >= 1` must hold, but got (max_queries={max_queries}); leave it out to ask all."
        )
    parts = dealer.divisions()
    whole = Division(
        parts[0].start, parts[-1].stop, parts[0].fitted, np.any([part.asked for part in parts], axis=0)
    )
    return dealer.deal(whole, max_queries, seed)


def rolls(
    offsets: Ints,
    items: NDArray[np.integer],
    times: Floats,
    item_count: int,
    *,
    protocol: Protocol,
    stage: Stage,
    cuts: Cuts = (0.8, 0.9),
    repeats: bool,
    horizon: Horizon | None = None,
) -> list[Split]:
    """One split for each cut of a protocol, in order of time: fit strictly before it, ask up to the next.

    Arguments and errors as `split`; a horizon ends with its own period.

    >>> offsets, items, times = np.array([0, 6]), np.array([0, 1, 0, 1, 0, 1]), np.arange(6.0)
    >>> made = rolls(offsets, items, times, 2, protocol=Rolling(2), stage="test", cuts=(0.3, 0.4), repeats=True)
    >>> [(each.start, each.train.sum().item(), len(each.queries)) for each in made]
    [(2.0, 2, 2), (4.0, 4, 2)]
    """
    dealer = _Dealer.of(offsets, items, times, item_count, protocol, stage, cuts, repeats, horizon)
    return [dealer.deal(division) for division in dealer.divisions()]


@dataclass(frozen=True)
class _Dealer:
    """A checked log with how it is to be divided."""

    offsets: Ints
    items: NDArray[np.integer]
    times: Floats
    item_count: int
    at: Moments
    protocol: Protocol
    stage: Stage
    cuts: Cuts
    repeats: bool
    horizon: Horizon | None

    @classmethod
    def of(
        cls,
        offsets: Ints,
        items: NDArray[np.integer],
        times: Floats,
        item_count: int,
        protocol: ProtocolName | Protocol,
        stage: Stage,
        cuts: Cuts,
        repeats: bool,
        horizon: Horizon | None,
    ) -> _Dealer:
        rule = _protocol(protocol)
        _check(stage, cuts)
        if horizon is not None and not rule.in_time:
            raise ValueError(
                f"`horizon` needs a protocol with a cut in time, but got (protocol={rule.name}); "
                "take successive or rolling, or leave `horizon` out."
            )
        check_log(offsets, items, times, item_count)
        at = moments(offsets, times)
        return cls(offsets, items, times, item_count, at, rule, stage, cuts, repeats, horizon)

    def divisions(self) -> list[Division]:
        return self.protocol.divide(self.at, self.times, self.stage, self.cuts)

    def deal(self, division: Division, max_queries: int | None = None, seed: int = 0) -> Split:
        train = np.repeat(division.fitted, np.diff(self.at.first))
        if not train.any():
            raise ValueError(
                f"`training events >= 1` must hold, but {self.protocol.name} {self.stage} has none "
                f"(start={division.start}); cut later, or use a log with more than one moment a user."
            )
        catalogue = np.flatnonzero(np.bincount(self.items[train], minlength=self.item_count))
        column = np.full(self.item_count, -1, dtype=np.int32)
        column[catalogue] = np.arange(len(catalogue), dtype=np.int32)
        chosen = np.flatnonzero(division.asked)
        after = chosen + 1
        if self.horizon is not None:
            chosen, after = self.horizon.windows(self.at, division.asked, division.stop)
        asked = np.zeros(len(self.items), dtype=bool)
        asked[ranges(self.at.first[chosen], self.at.first[after])] = True
        queries = self._ask(chosen, self.at.first[after], column)
        if not len(queries):
            raise ValueError(
                f"`queries >= 1` must hold, but {self.protocol.name} {self.stage} leaves none of "
                f"{int(division.asked.sum())} moments with a history and a relevant item known in training "
                f"(start={division.start}, stop={division.stop}, repeats={self.repeats}); move the cuts, take fewer "
                "periods or a shorter horizon, or set `repeats: true` if items are consumed again."
            )
        if max_queries is not None and len(queries) > max_queries:
            # RandomState, not a Generator: it draws the sample that pandas' DataFrame.sample draws for this seed.
            random = np.random.RandomState(seed)
            queries = queries.subset(np.sort(random.choice(len(queries), max_queries, replace=False)))
        return Split(
            self.stage, self.protocol.name, division.start, division.stop, train, asked, catalogue, column, queries
        )  # fmt: skip

    def _ask(self, chosen: Ints, until: Ints, column: NDArray[np.int32]) -> Queries:
        """Make queries of the moments chosen: those with a history and a relevant item, by (time, user)."""
        at, items = self.at, self.items
        known = at.first[chosen] > self.offsets[at.user[chosen]]
        chosen, until = chosen[known], until[known]
        order = np.lexsort((at.user[chosen], at.time[chosen]))
        chosen, until = chosen[order], until[order]
        user, end = at.user[chosen], at.first[chosen]
        begin = self.offsets[user]
        owner, rows = owners(offsets_of(until - end)), ranges(end, until)
        keys = np.unique(owner * self.item_count + items[rows])
        owner, wanted = keys // self.item_count, keys % self.item_count
        relevant = column[wanted] >= 0
        if not self.repeats:
            relevant &= ~occurs(items, begin, end, owner, wanted, self.item_count)
        counts = np.bincount(owner[relevant], minlength=len(chosen))
        kept = counts > 0
        return Queries(
            user[kept], at.time[chosen][kept], begin[kept], end[kept],
            offsets_of(counts[kept]), column[wanted[relevant]], until[kept],
        )  # fmt: skip


def _protocol(given: ProtocolName | Protocol) -> Protocol:
    if isinstance(given, Protocol):
        return given
    if given not in PROTOCOLS:
        raise ValueError(
            f"`protocol` must be one of {', '.join(PROTOCOLS)}, but got {given!r}; name one of these."
        )
    return PROTOCOLS[given]()


def _check(stage: str, cuts: Cuts) -> None:
    if stage not in get_args(Stage):
        raise ValueError(
            f"`stage` must be one of {', '.join(get_args(Stage))}, but got {stage!r}; name one of these."
        )
    if len(cuts) != 2 or not 0 < cuts[0] < cuts[1] < 1:
        raise ValueError(
            f"`0 < cuts[0] < cuts[1] < 1` must hold, but got (cuts={list(cuts)}); "
            "give two shares of the log, as in [0.8, 0.9]."
        )
