"""A model as it is handed on: its terms, the ids of its items, and what it was made from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import evaluators
from harness.data import EVENT, Store
from harness.serving.known import KnownUsers
from harness.serving.lists import Lists, Numbering, seconds
from trainers.histories import Histories
from trainers.log import PackedLog, Queries
from trainers.model import Model
from trainers.storage.saved import parsed

ARTIFACT = "package"  # its folder among the artifacts of a version
ITEMS_FILE = "items.json"
ABOUT_FILE = "about.json"
BLOCK = 256  # queries scored at once
GROUPS = ("event_types", "category_names", "category")


@dataclass(frozen=True)
class Package:
    """A fitted model with the names of its numbers.

    Attributes:
        model: the terms; its I columns are the items that training knew.
        items: [I] their ids, in column order.
        titles: [I] their titles, empty where there is none.
        about: `repeats`, `trained_until` (unix seconds), `fingerprint`, `leaks`: what decides its use.
        event_types: the names of the event types, in order of number.
        category_names: the names of the categories, in order of number.
        category: [I] each column's category, -1 for none; empty where no item has one.
        known: the users that may be asked for by their id, or none.
    """

    model: Model
    items: list[str]
    titles: list[str]
    about: dict[str, Any]
    event_types: list[str] = field(default_factory=lambda: [EVENT])
    category_names: list[str] = field(default_factory=list)
    category: list[int] = field(default_factory=list)
    known: KnownUsers | None = None

    @classmethod
    def of(
        cls,
        model: Model,
        store: Store,
        catalogue: npt.NDArray[np.integer],
        about: dict[str, Any],
        *,
        users: bool = True,
    ) -> Package:
        """The package of a model whose columns are the items `catalogue` of a store, with its `users`, or without."""
        titles = [""] * len(catalogue) if store.titles is None else [t or "" for t in store.titles[catalogue]]
        package = cls(
            model,
            [str(item) for item in store.item_ids[catalogue]],
            titles,
            about,
            store.event_types.tolist(),
            store.category_names.tolist(),
            store.category[catalogue].tolist(),
        )
        if not users:
            return package
        return replace(package, known=Reader(package, store).users())

    def save(self, folder: Path) -> None:
        """Write the model's files, `items.json`, `about.json`, and the users' where it brings any."""
        self.model.save(folder)
        names = {"ids": self.items, "titles": self.titles, **{name: getattr(self, name) for name in GROUPS}}
        (folder / ITEMS_FILE).write_text(json.dumps(names))
        (folder / ABOUT_FILE).write_text(json.dumps(self.about, indent=2))
        if self.known is not None:
            self.known.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Package:
        """Read what `save` wrote, and run nothing of it.

        Raises:
            ValueError: a file is damaged, of another kind, or lies elsewhere, or the parts do not fit together.
        """
        model = Model.load(folder)
        file = folder / ITEMS_FILE
        names, about = parsed(file), parsed(folder / ABOUT_FILE)
        for name in ("ids", "titles"):
            if len(names.get(name, ())) != model.items:
                raise ValueError(
                    f"{file} must have `{name}` for the {model.items} items of the model, but has "
                    f"{len(names.get(name, ()))}; write the model anew."
                )
        package = cls(model, names["ids"], names["titles"], about, **_groups(file, names))
        known = KnownUsers.load(folder, len(package.items), package.category_of)
        return replace(package, known=known)

    @cached_property
    def category_of(self) -> npt.NDArray[np.int32]:
        """[I + 1] each column's category, and that of an item that is not known."""
        return np.array([*(self.category or [-1] * len(self.items)), -1], np.int32)

    @cached_property
    def column_of(self) -> dict[str, int]:
        return {item: column for column, item in enumerate(self.items)}

    def column(self, item_ids: Sequence[str] | npt.NDArray[np.object_]) -> npt.NDArray[np.int32]:
        """[n] this model's column of each id, -1 where it does not know the item."""
        return np.array([self.column_of.get(str(item), -1) for item in item_ids], np.int32)

    def histories(
        self,
        events: Sequence[Lists],
        at: Sequence[Any],
        types: Sequence[Sequence[str] | None] | None = None,
    ) -> Histories:
        """Histories from lists, as `Numbering.pack` reads them. Whose query it is is not known."""
        numbering = Numbering(self.column_of, len(self.items), self.event_types, self.category_of)
        histories = self._gather(*numbering.pack(events, at, types))
        return replace(histories, users=np.full(len(histories), -1, np.int64))

    def histories_of(self, users: Sequence[str], at: Sequence[Any]) -> Histories:
        """Those of known users, each at its moment.

        Raises:
            ValueError: a user is not known, or the package brings none, or a moment is not a finite number.
        """
        if self.known is None:
            raise ValueError(
                "`user` needs a package with users, but this one was made with `registry.users: false`; give `items` "
                "and `times` instead."
            )
        moments = [seconds(moment, row) for row, moment in enumerate(at)]
        return self._gather(self.known.log, self.known.queries(users, moments))

    def _gather(self, log: PackedLog, queries: Queries) -> Histories:
        """The histories of a log whose items are columns."""
        column = np.append(np.arange(len(self.items)), -1).astype(np.int32)
        return Histories.of(log, queries, column, len(self.items))

    def top(self, histories: Histories, k: int, *, exclude_seen: bool | None = None) -> tuple[Any, Any]:
        """The best k columns [Q, k] (-1 where there are no more) and their scores [Q, k], ties by column order.

        Args:
            exclude_seen: leave out what is in the history; by default where the log has no repeats.
        """
        if exclude_seen is None:
            exclude_seen = not self.about["repeats"]
        parts = [
            self._top(histories.take(slice(start, start + BLOCK)), k, exclude_seen)
            for start in range(0, max(len(histories), 1), BLOCK)
        ]
        columns, scores = (np.concatenate(each) for each in zip(*parts, strict=True))
        return columns, scores

    def _top(self, histories: Histories, k: int, exclude_seen: bool) -> tuple[Any, Any]:
        scores = self.model.score(histories)
        hidden = evaluators.Csr(histories.offsets, histories.columns) if exclude_seen else None
        columns = evaluators.top(scores, k, hidden)
        picked = np.take_along_axis(scores, np.maximum(columns, 0), 1)
        return columns, np.where(columns >= 0, picked, -np.inf)


@dataclass(frozen=True)
class Reader:
    """A store read in the numbers of a package, which may come from another log.

    What the package does not know is left out (items) or -1 (event types, and users unless it was made from this very
    store or one that this store was appended to): no curve of its own.
    """

    package: Package
    store: Store

    @cached_property
    def column(self) -> npt.NDArray[np.int32]:
        """[vocabulary] the package's column of each item of the store, -1 for none."""
        return self.package.column(self.store.item_ids)

    @cached_property
    def _type(self) -> npt.NDArray[np.int16]:
        """[T] the package's number of each event type of the store."""
        number = {name: n for n, name in enumerate(self.package.event_types)}
        return np.array([number.get(name, -1) for name in self.store.event_types], np.int16)

    @property
    def _users(self) -> int:
        """The users of the store that have the package's numbers, which are those below."""
        known = {**self.store.lineage, self.store.fingerprint: self.store.counts.users}
        return known.get(self.package.about["fingerprint"], 0)

    def users(self) -> KnownUsers:
        """All users of the store with their events."""
        store, items = self.store, len(self.package.items)
        columns = self.column[store.items]
        columns[columns < 0] = items
        log = PackedLog(
            np.asarray(store.offsets),
            columns,
            np.asarray(store.times),
            np.asarray(store.weights),
            items + 1,
            self._type[store.types],
            self.package.category_of,
        )
        return KnownUsers([str(user) for user in store.users], log)

    def histories(self, queries: Queries) -> Histories:
        """The histories of queries of the store."""
        package = self.package
        histories = Histories.of(self.store.log, queries, self.column, len(package.items))
        return replace(
            histories,
            users=np.where(histories.users < self._users, histories.users, -1),
            types=self._type[histories.types],
            categories=package.category_of[histories.columns],
        )


def _groups(file: Path, names: dict[str, Any]) -> dict[str, Any]:
    """The event types and categories of an `items.json`. A model written before there were any has none."""
    groups = {name: names[name] for name in GROUPS if name in names}
    if len(groups) not in (0, len(GROUPS)) or len(groups.get("category", [])) not in (0, len(names["ids"])):
        raise ValueError(f"{file} must be whole, but lacks event types or categories; write the model anew.")
    return groups
