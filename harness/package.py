"""A model as it is handed on: its terms, the ids of its items, and what it was made from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import evaluators
from harness.data import Store
from trainers.histories import Histories
from trainers.log import PackedLog, Queries
from trainers.model import Model

ITEMS_FILE = "items.json"
ABOUT_FILE = "about.json"


@dataclass(frozen=True)
class Package:
    """A fitted model with the names of its columns.

    Attributes:
        model: the terms; its I columns are the items that training knew.
        items: [I] their ids, in column order.
        titles: [I] their titles, empty where there is none.
        about: `repeats`, `trained_until` (unix seconds), `fingerprint`, `leaks`: what decides its use.
    """

    model: Model
    items: list[str]
    titles: list[str]
    about: dict[str, Any]

    @classmethod
    def of(
        cls, model: Model, store: Store, catalogue: npt.NDArray[np.integer], about: dict[str, Any]
    ) -> Package:
        titles = [""] * len(catalogue) if store.titles is None else [t or "" for t in store.titles[catalogue]]
        return cls(model, [str(item) for item in store.item_ids[catalogue]], titles, about)

    def save(self, folder: Path) -> None:
        """Write the model's files, `items.json` and `about.json`."""
        self.model.save(folder)
        (folder / ITEMS_FILE).write_text(json.dumps({"ids": self.items, "titles": self.titles}))
        (folder / ABOUT_FILE).write_text(json.dumps(self.about, indent=2))

    @classmethod
    def load(cls, folder: Path) -> Package:
        items = json.loads((folder / ITEMS_FILE).read_text())
        about = json.loads((folder / ABOUT_FILE).read_text())
        return cls(Model.load(folder), items["ids"], items["titles"], about)

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
    ) -> Histories:
        """Histories from (item ids, times, weights) of each query; events at or after its moment are left out.

        Raises:
            ValueError: lists of one query differ in length, a time is not a finite number, or a weight is not one ≥ 0.
        """
        unknown = len(self.items)
        kept: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.float64], npt.NDArray[np.float32]]] = []
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
            number_of = self.column(items)
            number_of[number_of < 0] = unknown
            order = np.argsort(clock, kind="stable")
            order = order[clock[order] < moment]
            kept.append((number_of[order], clock[order], weight[order]))
        lengths = np.array([len(clock) for _, clock, _ in kept], np.int64)
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        flat = [np.concatenate([part[i] for part in kept]) if kept else np.zeros(0) for i in range(3)]
        log = PackedLog(
            offsets,
            flat[0].astype(np.int32),
            flat[1].astype(np.float64),
            flat[2].astype(np.float32),
            unknown + 1,
        )
        empty = np.zeros(0, np.int64)
        queries = Queries(
            np.asarray(at, np.float64), offsets[:-1], offsets[1:], np.zeros(len(lengths) + 1, np.int64), empty
        )
        column = np.append(np.arange(unknown), -1).astype(np.int32)
        return Histories.of(log, queries, column, unknown)

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
