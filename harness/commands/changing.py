"""What would change for people if one version answered them and not another: their lists side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluators.agreement import moved, overlap, rank_biased_overlap
from harness.data import Store
from harness.progress import bar
from harness.recommend.moment import moment_of, told
from harness.registry.registry import Registry
from harness.serving.package import Reader
from harness.settings import RunSettings
from harness.steps.registered import registry_of
from harness.steps.workshop import Workshop

SAMPLE = 1000  # users whose lists are counted
BINS = 10  # of the histogram of the agreement
MOVERS = 10  # items that gain or lose the most places


@dataclass(frozen=True)
class Change:
    """Two versions, asked for the lists of some users at one moment.

    Attributes:
        before, after: numbers or aliases; the one that answers now, and the one that may.
        users: how many of the sampled users are shown with their lists.
        at: the moment, as `moment_of` reads it; the second after the last event of the log where it is None.
        k: items of a list.
    """

    settings: RunSettings
    before: str
    after: str
    users: int = 20
    at: str | None = None
    k: int = 10

    def answer(self) -> dict[str, Any]:
        """The JSON of `lethe report --change`.

        Returns:
            `name`, `before`, `after` (as ``champion (v3)``), `at`, `k`, `sampled`; `agreement` {`overlap`, `rbo`:
            {`mean`, `low`, `high`}, `same` (share of the users whose list is the very same), `histogram` [{`from`,
            `to`, `users`}] of the rank-biased overlap}; `gaining`, `losing` [{`item`, `title`, `before`, `after`:
            lists it stands on}]; `lists` [{`user`, `events`, `overlap`, `rbo`, `before` [{`item`, `title`, `to`}],
            `after` [{`item`, `title`, `rose`}]}]: `to` the place it has then, from 1, `rose` by how many places, null
            for none.
        """
        registry = registry_of(self.settings)
        store = Workshop.open(self.settings).store
        moment = float(store.times.max()) + 1 if self.at is None else moment_of(self.at)
        sampled = self._sampled(store, moment)
        names = _Items(store)
        with bar("lists", 2) as line:
            sides = []
            for number, which in enumerate((self.before, self.after), 1):
                sides.append(self._lists(registry, which, store, sampled, moment, names))
                line.update(done=number)
        old, new = sides
        same, close = overlap(old, new), rank_biased_overlap(old, new)
        people, how = np.arange(len(sampled)), self.settings.evaluate.how
        lists = [np.bincount(each[each >= 0], minlength=len(names)) for each in sides]
        gaining, losing = _movers(lists[0], lists[1], names)
        return {
            "name": registry.name,
            "before": _called(registry, self.before),
            "after": _called(registry, self.after),
            "at": told(moment),
            "k": self.k,
            "sampled": len(sampled),
            "agreement": {
                "overlap": how.of(same, people).to_dict(),
                "rbo": how.of(close, people).to_dict(),
                "same": float((old == new).all(1).mean()),
                "histogram": _histogram(close),
            },
            "gaining": gaining,
            "losing": losing,
            "lists": [
                {
                    "user": str(store.users[sampled[row]]),
                    "events": _events(store, int(sampled[row]), moment),
                    "overlap": float(same[row]),
                    "rbo": float(close[row]),
                    **_beside(old[row], new[row], names),
                }
                for row in range(min(self.users, len(sampled)))
            ],
        }

    def _sampled(self, store: Store, moment: float) -> npt.NDArray[np.int64]:
        """Users who did something before the moment, drawn with the configuration's seed; the first ones are shown."""
        known = np.flatnonzero(np.minimum.reduceat(store.times, store.offsets[:-1]) < moment)
        draw = np.random.default_rng(self.settings.seed)
        found: npt.NDArray[np.int64] = draw.permutation(known)[:SAMPLE]
        return found

    def _lists(
        self,
        registry: Registry,
        which: str,
        store: Store,
        users: npt.NDArray[np.int64],
        moment: float,
        names: _Items,
    ) -> npt.NDArray[np.int64]:
        """[Q, k] items by their number in `names`, best first, −1 where a list is over."""
        package = registry.package(registry.find(which))
        queries = store.log.asked(users, np.full(len(users), moment))
        columns, _ = package.top(Reader(package, store).histories(queries), self.k)
        numbers = np.append(names.numbers(package.items, package.titles), -1)
        found: npt.NDArray[np.int64] = numbers[columns]
        return found


class _Items:
    """One numbering of the items of a log and of versions that may know others, with their titles."""

    def __init__(self, store: Store) -> None:
        self.number: dict[str, int] = {}
        self.titles: list[str] = []
        titles = store.titles if store.titles is not None else [""] * store.counts.items
        self.numbers([str(item) for item in store.item_ids], [title or "" for title in titles])

    def __len__(self) -> int:
        return len(self.titles)

    def numbers(self, items: Sequence[str], titles: Sequence[str]) -> npt.NDArray[np.int64]:
        """[I] the number of each item, a new one where it has none."""
        for item, title in zip(items, titles, strict=True):
            if item not in self.number:
                self.number[item] = len(self.titles)
                self.titles.append(title)
        return np.array([self.number[item] for item in items], np.int64)

    @cached_property
    def ids(self) -> list[str]:
        return list(self.number)

    def __call__(self, number: int) -> dict[str, str]:
        return {"item": self.ids[number], "title": self.titles[number] or self.ids[number]}


def _beside(old: npt.NDArray[np.int64], new: npt.NDArray[np.int64], names: _Items) -> dict[str, Any]:
    place = {int(item): rank for rank, item in enumerate(new, 1) if item >= 0}
    return {
        "before": [{**names(int(item)), "to": place.get(int(item))} for item in old if item >= 0],
        "after": [
            {**names(int(item)), "rose": rose}
            for item, rose in zip(new, moved(old, new), strict=True)
            if item >= 0
        ],
    }


def _movers(
    before: npt.NDArray[np.int64], after: npt.NDArray[np.int64], names: _Items
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The items that stand on the most lists more, and on the most fewer; of equals, in the order of their numbers."""
    gain = Counter({n: int(rise) for n, rise in enumerate(after - before) if rise})
    order = sorted(gain, key=lambda n: (-gain[n], n))
    told: list[dict[str, Any]] = [
        {**names(n), "before": int(before[n]), "after": int(after[n])} for n in order
    ]
    rising = [entry for entry in told if entry["after"] > entry["before"]]
    falling = [entry for entry in reversed(told) if entry["after"] < entry["before"]]
    return rising[:MOVERS], falling[:MOVERS]


def _histogram(values: npt.NDArray[np.float64]) -> list[dict[str, float]]:
    counts, edges = np.histogram(values, BINS, (0, 1))
    return [
        {"from": float(low), "to": float(high), "users": int(count)}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]


def _events(store: Store, user: int, moment: float) -> int:
    return int((store.times[store.offsets[user] : store.offsets[user + 1]] < moment).sum())


def _called(registry: Registry, which: str) -> str:
    version = registry.find(which)
    return f"{which} (v{version.version})" if which in version.aliases else f"v{version.version}"
