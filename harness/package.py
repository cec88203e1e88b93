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
from harness.data.sources import nearest
from trainers.histories import Histories
from trainers.log import PackedLog, Queries
from trainers.model import Model

ITEMS_FILE = "items.json"
ABOUT_FILE = "about.json"
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
    """

    model: Model
    items: list[str]
    titles: list[str]
    about: dict[str, Any]
    event_types: list[str] = field(default_factory=lambda: [EVENT])
    category_names: list[str] = field(default_factory=list)
    category: list[int] = field(default_factory=list)

    @classmethod
    def of(
        cls, model: Model, store: Store, catalogue: npt.NDArray[np.integer], about: dict[str, Any]
    ) -> Package:
        titles = [""] * len(catalogue) if store.titles is None else [t or "" for t in store.titles[catalogue]]
        return cls(
            model,
            [str(item) for item in store.item_ids[catalogue]],
            titles,
            about,
            store.event_types.tolist(),
            store.category_names.tolist(),
            store.category[catalogue].tolist(),
        )

    def save(self, folder: Path) -> None:
        """Write the model's files, `items.json` and `about.json`."""
        self.model.save(folder)
        names = {"ids": self.items, "titles": self.titles, **{name: getattr(self, name) for name in GROUPS}}
        (folder / ITEMS_FILE).write_text(json.dumps(names))
        (folder / ABOUT_FILE).write_text(json.dumps(self.about, indent=2))

    @classmethod
    def load(cls, folder: Path) -> Package:
        """Read what `save` wrote; ValueError where its event types and categories are not there whole."""
        file = folder / ITEMS_FILE
        names = json.loads(file.read_text())
        about = json.loads((folder / ABOUT_FILE).read_text())
        return cls(Model.load(folder), names["ids"], names["titles"], about, **_groups(file, names))

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
        events: Sequence[tuple[Sequence[str], Sequence[float], Sequence[float] | None]],
        at: Sequence[float],
        types: Sequence[Sequence[str] | None] | None = None,
    ) -> Histories:
        """Histories from (item ids, times, weights) of each query; events at or after its moment are left out.

        Args:
            types: the names of each query's event types; type number 0 where a query has none. Whose query it is
                is not known.

        Raises:
            ValueError: lists of one query differ in length, a time is not a finite number, a weight is not one ≥ 0,
                or an event type is not one of the model's.
        """
        unknown = len(self.items)
        kept: list[tuple[npt.NDArray[Any], ...]] = []
        for number, ((items, times, weights), moment) in enumerate(zip(events, at, strict=True)):
            clock = np.asarray(times, np.float64)
            weight = np.ones(len(clock), np.float32) if weights is None else np.asarray(weights, np.float32)
            if not len(items) == len(clock) == len(weight):
                raise ValueError(
                    f"`items`, `times` and `weights` of a row must be of one length, but row {number} has "
                    f"({len(items)}, {len(clock)}, {len(weight)})."
                )
            if not np.isfinite(clock).all() or not np.isfinite(moment):
                raise ValueError(
                    f"`times` and `at` must be unix seconds, but row {number} has one that is no number."
                )
            if not (np.isfinite(weight).all() and (weight >= 0).all()):
                raise ValueError(
                    f"`weights` must be finite numbers >= 0, but row {number} has one that is not."
                )
            named = None if types is None else types[number]
            type_of = (
                np.zeros(len(clock), np.int16) if named is None else self._types(named, len(clock), number)
            )
            number_of = self.column(items)
            number_of[number_of < 0] = unknown
            order = np.argsort(clock, kind="stable")
            order = order[clock[order] < moment]
            kept.append((number_of[order], clock[order], weight[order], type_of[order]))
        lengths = np.array([len(part[0]) for part in kept], np.int64)
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        flat = [np.concatenate([part[i] for part in kept]) if kept else np.zeros(0) for i in range(4)]
        log = PackedLog(
            offsets,
            flat[0].astype(np.int32),
            flat[1].astype(np.float64),
            flat[2].astype(np.float32),
            unknown + 1,
            flat[3].astype(np.int16),
            self.category_of,
        )
        empty = np.zeros(0, np.int64)
        queries = Queries(
            np.asarray(at, np.float64), offsets[:-1], offsets[1:], np.zeros(len(lengths) + 1, np.int64), empty
        )
        column = np.append(np.arange(unknown), -1).astype(np.int32)
        histories = Histories.of(log, queries, column, unknown)
        return replace(histories, users=np.full(len(histories), -1, np.int64))

    def _types(self, names: Sequence[str], events: int, row: int) -> npt.NDArray[np.int16]:
        """[n] the numbers of the event types of a row."""
        if len(names) != events:
            raise ValueError(
                f"`types` of a row must be one for each event, but row {row} has {len(names)} for {events} events."
            )
        for name in names:
            if name not in self.event_types:
                raise ValueError(
                    f"`types` must be event types that the model knows, but row {row} has {name!r}; "
                    f"{nearest(str(name), self.event_types)}."
                )
        return np.array([self.event_types.index(name) for name in names], np.int16)

    def top(self, histories: Histories, k: int, *, exclude_seen: bool | None = None) -> tuple[Any, Any]:
        """The best k columns [Q, k] (-1 where there are no more) and their scores [Q, k], ties by column order.

        Args:
            exclude_seen: leave out what is in the history; by default where the log has no repeats.
        """
        if exclude_seen is None:
            exclude_seen = not self.about["repeats"]
        scores = self.model.score(histories)
        hidden = evaluators.Csr(histories.offsets, histories.columns) if exclude_seen else None
        columns = evaluators.top(scores, k, hidden)
        picked = np.take_along_axis(scores, np.maximum(columns, 0), 1)
        return columns, np.where(columns >= 0, picked, -np.inf)


@dataclass(frozen=True)
class Reader:
    """A store read in the numbers of a package, which may come from another log.

    What the package does not know is left out (items) or -1 (event types, and users unless it was made from this very
    store): no curve of its own.
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

    def histories(self, queries: Queries) -> Histories:
        """The histories of queries of the store."""
        package = self.package
        histories = Histories.of(self.store.log, queries, self.column, len(package.items))
        known = package.about["fingerprint"] == self.store.fingerprint
        return replace(
            histories,
            users=histories.users if known else np.full(len(histories), -1, np.int64),
            types=self._type[histories.types],
            categories=package.category_of[histories.columns],
        )


def _groups(file: Path, names: dict[str, Any]) -> dict[str, Any]:
    """The event types and categories of an `items.json`. A model written before there were any has none."""
    groups = {name: names[name] for name in GROUPS if name in names}
    if len(groups) not in (0, len(GROUPS)) or len(groups.get("category", [])) not in (0, len(names["ids"])):
        raise ValueError(f"{file} must be whole, but lacks event types or categories; write the model anew.")
    return groups
