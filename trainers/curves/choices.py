"""The choices that a log records, as the likelihood of a forgetting curve reads them, apart from any ranking model.

Why did user u take item i at this moment? Because it is popular, because it is one of u's own, or because it goes with
something of u's. What of u's history counts, and how much, is the curve's to say:

    P(i | history) = λ0·pop(i) + λ1·Σ_e w_e·1[item_e = i] + λ2·Σ_e w_e·K(i | item_e),  w_e = R(age_e) / Σ_f R(age_f)

with the shares λ on the simplex, and K(i | j) = users having both / Σ_i' users having both j and i' (i' ≠ j). The curve
enters normalised, so that a fit tells how interest fades, not how strong it was. Where nothing is taken twice, λ1 is
left out; seen items keep the probability that pop and K give them, since the sum over what was seen differs little
between curves and would cost a kernel of the history's square.

pop and K are always everybody else's: what u contributed in training is taken out in closed form, as if the two had
been counted without u. An in-sample fit is thereby cross-fitted exactly, and held-out moments are read the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from trainers.histories import Histories
from trainers.log import DAY, Queries, TrainingData, ranges

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Scoped = Literal["event_type", "category", "user"]

SCOPES: tuple[Scoped, ...] = ("event_type", "category", "user")
KERNEL_USERS = 20_000  # of a larger log, so many users say what goes with what
BLOCK = 256  # target items whose row of K is held at once
AGE_BINS = 64  # of the crowd's events, for a popularity that decays


@dataclass(frozen=True)
class Crowd:
    """What all users took in training, and what it is without one of them.

    Attributes:
        keys, times: int64 [N] the pairs user · items + item that are there, ascending, and their events.
        events: int64 [U] each user's events.
        popular: int64 [I] each item's events.
        distinct: int64 [U] each user's different items; 0 for a user who is no part of the kernel.
        held: float32 [U, I] who has what, of the users of the kernel.
        links: float64 [I] Σ_i users having both this item and i, i another one.
    """

    keys: Ints
    times: Ints
    events: Ints
    popular: Ints
    distinct: Ints
    held: sp.csr_array
    links: Floats

    @classmethod
    def of(cls, data: TrainingData, *, most: int = KERNEL_USERS, seed: int = 0) -> Crowd:
        """Count the training events; the kernel from at most `most` users drawn by the seed."""
        log, items = data.log, len(data.catalogue)
        events = np.asarray(data.stop - log.offsets[:-1], np.int64)
        user = np.repeat(np.arange(log.users), events)
        columns = data.column[log.items[data.rows]]
        keys, times = np.unique(user * np.int64(items) + columns, return_counts=True)
        holder, column = np.divmod(keys, items)
        chosen = np.ones(log.users, bool)
        if log.users > most:
            chosen[:] = False
            chosen[np.random.default_rng(seed).choice(log.users, most, replace=False)] = True
        kept = chosen[holder]
        held = sp.csr_array(
            (np.ones(int(kept.sum()), np.float32), (holder[kept], column[kept])), shape=(log.users, items)
        )
        distinct = np.bincount(holder[kept], minlength=log.users)
        links = np.bincount(column[kept], distinct[holder[kept]] - 1.0, minlength=items).astype(np.float64)
        popular = np.bincount(columns, minlength=items)
        return cls(keys, times.astype(np.int64), events, popular, distinct, held, links)

    @property
    def items(self) -> int:
        return len(self.popular)

    def taken(self, user: Ints, column: npt.NDArray[np.integer]) -> Ints:
        """[n] how often each user took each item in training."""
        key = user * np.int64(self.items) + column
        at = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        return np.where(self.keys[at] == key, self.times[at], 0)

    def popularity(self, user: Ints, column: npt.NDArray[np.integer]) -> Floats:
        """[n] the share of each item among the others' events, every item counted once more: none has 0."""
        others = self.popular[column] - self.taken(user, column) + 1.0
        share: Floats = others / (self.events.sum() - self.events[user] + self.items)
        return share

    def related(self, target: npt.NDArray[np.integer], event: npt.NDArray[np.integer], user: Ints) -> Floats:
        """[n] K(target | event) among the others of `user`, 0 where the two are one item."""
        together = np.zeros(len(target))
        wanted, number = np.unique(target, return_inverse=True)
        order = np.argsort(number, kind="stable")
        edges = np.searchsorted(number[order], np.arange(0, len(wanted) + BLOCK, BLOCK))
        by_item = self.held.T.tocsr()
        for block, (low, high) in enumerate(pairwise(edges.tolist())):
            first = block * BLOCK
            counts = (by_item[wanted[first : first + BLOCK]] @ self.held).toarray()
            pairs = order[low:high]
            together[pairs] = counts[number[pairs] - first, event[pairs]]
        has_event = (self.taken(user, event) > 0) & (self.distinct[user] > 0)
        both = has_event & (self.taken(user, target) > 0)
        links = self.links[event] - has_event * (self.distinct[user] - 1.0)
        apart = (target != event) & (links > 0)
        share: Floats = np.where(apart, (together - both) / np.where(links > 0, links, 1.0), 0.0)
        return share


@dataclass(frozen=True)
class Choices:
    """T targets (an item that was taken) at M moments whose histories hold E events.

    Targets of one moment share its events. A source says how an event leads to a target: P = λ0·popular + Σ λ_s·S_s w.

    Attributes:
        offsets: int64 [M + 1] the events of moment m are `offsets[m]:offsets[m + 1]`; none is without.
        days, moments: float64 [E] ages, as `Histories` has them.
        mass: float64 [E] how many events each one stands for: w_e ∝ mass_e·R(age_e).
        user: int64 [M].
        moment: int64 [T], ascending.
        popular: float64 [T] pop(i) without the user.
        sources: by name, [T, E]: 1 where the event is of the target's item (`own`), K(target | event) (`related`).
        groups: by scope, int64 [E] each event's group, -1 for none.
    """

    offsets: Ints
    days: Floats
    moments: Floats
    mass: Floats
    user: Ints
    moment: Ints
    popular: Floats
    sources: dict[str, sp.csr_array]
    groups: dict[str, Ints] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.moment)

    @property
    def names(self) -> tuple[str, ...]:
        """What the shares λ belong to, in their order."""
        return ("popular", *self.sources)

    @property
    def users(self) -> Ints:
        """[T] whose choice it is."""
        return self.user[self.moment]

    @cached_property
    def moment_of_event(self) -> Ints:
        """[E]"""
        return np.repeat(np.arange(len(self.user)), np.diff(self.offsets))

    @classmethod
    def of(
        cls,
        data: TrainingData,
        queries: Queries,
        crowd: Crowd,
        *,
        repeats: bool,
        most: int = 200,
        sample: int = 5000,
        each: int = 4,
        events: int = 2_000_000,
        seed: int = 0,
    ) -> Choices:
        """Choices of `queries`, which may be training moments (`data.moments()`) or held out.

        Args:
            repeats: whether users take items again: only then is an own item an answer.
            most: of a history, the latest events; older ones are left out.
            sample: targets at most, of moments drawn without replacement.
            each: targets at most of one moment, drawn too: those of one basket tell the same of the curve.
            events: of all histories together, at most so many; fewer moments are drawn where they are long.
            seed: of both draws.

        Raises:
            ValueError: no moment has both a history and an item of the catalogue.
        """
        random = np.random.default_rng(seed)
        lengths = np.minimum(queries.end - queries.begin, most)
        chosen, moment, targets = _drawn(queries, sample, each, random, lengths, events)
        asked = queries.take(chosen)
        asked = Queries(
            asked.time,
            np.maximum(asked.begin, asked.end - most),
            asked.end,
            asked.target_offsets,
            asked.targets,
        )
        histories = Histories.of(data.log, asked, data.column, len(data.catalogue))
        # A moment whose history holds only items that training never saw says nothing of the curve.
        there = np.diff(histories.offsets) > 0
        kept = there[moment]
        moment, targets = (np.cumsum(there) - 1)[moment[kept]], targets[kept]
        if not len(moment):
            raise ValueError("a curve needs at least one moment with a history before it, but there is none.")
        offsets = np.concatenate(([0], np.cumsum(np.diff(histories.offsets)[there])))
        user = histories.users[there]
        lengths = np.diff(offsets)[moment]
        event = ranges(offsets[moment], lengths)
        number = np.repeat(np.arange(len(moment)), lengths)
        column = histories.columns.astype(np.int64)
        target, whose = targets[number], user[moment[number]]
        shape = (len(moment), len(column))
        sources = {}
        if repeats:
            sources["own"] = _sparse((target == column[event]).astype(np.float64), event, number, shape)
        related = crowd.related(target, column[event], whose)
        sources["related"] = _sparse(related, event, number, shape)
        return cls(
            offsets,
            histories.days,
            histories.moments,
            np.ones(len(column)),
            user,
            moment,
            crowd.popularity(user[moment], targets),
            sources,
            {scope: histories.groups(scope).astype(np.int64) for scope in SCOPES},
        )

    @classmethod
    def of_crowd(
        cls, data: TrainingData, *, sample: int = 5000, each: int = 4, bins: int = AGE_BINS, seed: int = 0
    ) -> Choices:
        """The training choices as followings of the crowd: P(i at t) = λ0 / I + λ1·Σ R·1[item = i] / Σ R over all
        events strictly before t, whose ages are counted in bins even on a log scale (source `recent`).

        It is the likelihood of a popularity that decays. Its clock is time: a crowd has no moments of its own, and what
        is popular over all of training would know of the future."""
        random = np.random.default_rng(seed)
        queries = data.moments()
        chosen, moment, targets = _drawn(queries, sample, each, random)
        time, log = queries.time[chosen], data.log
        times, columns = np.asarray(log.times[data.rows]), data.column[log.items[data.rows]]
        order = np.lexsort((times, columns))
        span = max(float(times.max() - times.min()), 1.0) * 1.001
        edges = np.concatenate(([0.0], np.geomspace(min(60.0, span / 2), span, bins)))
        sorted_times = np.sort(times)
        # [·, bins + 1] events before each edge; the first edge is the moment itself, whose events are not before it.
        whole = np.searchsorted(sorted_times, time[:, None] - edges, side="left")
        # One ascending key for all items, so that a single search finds the times of each one's events.
        begin, since = np.searchsorted(columns[order], np.arange(len(data.catalogue))), times.min()
        key = columns[order] * (2 * span) + (times[order] - since)
        ask = np.maximum(time[moment][:, None] - since - edges, -0.5 * span) + targets[:, None] * (2 * span)
        mine = np.maximum(np.searchsorted(key, ask, side="left"), begin[targets][:, None])
        mass, hits = -np.diff(whole, axis=1), -np.diff(mine, axis=1)
        there = mass.sum(1) > 0
        kept = there[moment]
        moment, targets, hits = (np.cumsum(there) - 1)[moment[kept]], targets[kept], hits[kept]
        mass = mass[there]
        if not len(moment):
            raise ValueError("a trend's curve needs a moment with events before it, but there is none.")
        full = mass > 0
        offsets = np.concatenate(([0], np.cumsum(full.sum(1))))
        middle = np.concatenate(([edges[1] / 2], np.sqrt(edges[1:-1] * edges[2:]))) / DAY
        number = np.where(full, np.cumsum(full.reshape(-1)).reshape(full.shape) - 1, -1)
        t, b = np.nonzero(hits)
        shares = hits[t, b] / mass[moment[t], b]
        source = sp.csr_array((shares, (t, number[moment[t], b])), shape=(len(moment), int(offsets[-1])))
        days = np.broadcast_to(middle, mass.shape)[full]
        user = log.users_of(queries.begin[chosen])[there]
        return cls(
            offsets,
            days,
            np.zeros(len(days)),
            mass[full].astype(np.float64),
            user,
            moment,
            np.full(len(targets), 1 / len(data.catalogue)),
            {"recent": source},
        )


def _drawn(
    queries: Queries,
    sample: int,
    each: int,
    random: np.random.Generator,
    lengths: Ints | None = None,
    events: int = 0,
) -> tuple[Ints, Ints, Ints]:
    """Moments [M] of the queries, ascending, and their targets: the place of each one's moment [T], its column [T]."""
    known = queries.targets >= 0
    place = np.repeat(np.arange(len(queries)), np.diff(queries.target_offsets))[known]
    columns = np.asarray(queries.targets, np.int64)[known]
    shuffled = random.permutation(len(place))
    shuffled = shuffled[np.argsort(place[shuffled], kind="stable")]  # each moment's targets in random order
    rank = np.arange(len(place)) - np.searchsorted(place, place, side="left")
    shuffled = shuffled[rank < each]
    order = random.permutation(len(queries))
    count = np.bincount(place[shuffled], minlength=len(queries))
    picked = np.zeros(len(queries), bool)
    few = np.cumsum(count[order]) <= sample
    if lengths is not None:
        few &= np.cumsum((lengths * (count > 0))[order]) <= max(events, int(lengths.max(initial=0)))
    picked[order[few]] = True
    kept = np.sort(shuffled[picked[place[shuffled]]])
    chosen = np.unique(place[kept])
    return chosen, np.searchsorted(chosen, place[kept]), columns[kept]


def _sparse(values: Floats, event: Ints, target: Ints, shape: tuple[int, int]) -> sp.csr_array:
    """[T, E] of the pairs that are not 0."""
    there = values != 0
    return sp.csr_array((values[there], (target[there], event[there])), shape=shape)
