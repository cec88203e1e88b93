"""A packed event log on disk: arrays sorted by user and time, opened without reading them.

A store that was appended to another has new events in a segment of its own, and names the stores whose segments come
before. The arrays of all events are made of the segments when they are first read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from harness.data.items import CATEGORIES, TITLE
from harness.data.manifest import (
    CATEGORY_NAMES,
    ITEMS,
    REJECTED,
    TYPE_NAMES,
    USERS,
    Counts,
    check_files,
    damaged,
    read_manifest,
    read_merged,
)
from harness.data.segments import Segment, check_arrays, merge
from harness.data.transfer import fetch
from trainers.log import PackedLog, open_category
from trainers.storage.place import Place, is_uri


@dataclass(frozen=True)
class Store:
    """A packed event log. U users, I items, N events; users and items are numbers 0…U−1 and 0…I−1.

    The events of user u are rows `offsets[u]:offsets[u + 1]` of `items`, `times`, `weights` and `types`, sorted
    by time, then by item, then by weight, then by type. Users are numbered in order of appearance in the log
    sorted by (time, user id, item id), items in ascending order of id, event types in ascending order of name;
    ids and names compare as numbers where all are integers, else as text by code point. Where files were appended,
    what they brought is numbered after what was there, in the same order.

    A store is opened again, not copied, when it is sent to another process.
    """

    path: Path
    fingerprint: str
    counts: Counts
    segments: int = 1
    """1, and 1 more for each time that new files were appended."""
    appended: int = 0
    """Events of the last segment, where there are several."""
    lineage: Mapping[str, int] = field(default_factory=dict, repr=False)
    """Fingerprint → number of users of each store that this one was appended to: they have the same numbers here."""
    reused: bool = False
    """Whether `prepare` found it instead of packing it."""
    uri: str | None = None
    """Of the place in object storage that it was fetched from, or written to; `path` is this node's copy."""

    def __reduce__(self) -> tuple[Callable[..., Store], tuple[str, bool]]:
        return _reopen, (self.where, self.reused)

    @property
    def where(self) -> str:
        """Where any node finds it: its URI, or its folder."""
        return self.uri or str(self.path)

    @cached_property
    def arrays(self) -> dict[str, Any]:
        """The arrays by name, mapped. Where the store has several segments, the first reader makes them."""
        manifest = read_manifest(self.path)
        if manifest.older and read_merged(self.path) is None:
            merge(self.path, manifest)
        arrays = Segment(self.path, self.counts.users, manifest.last).arrays()
        if arrays["offsets"][0] != 0 or arrays["offsets"][-1] != self.counts.events:
            raise damaged(self.path, "offsets.bin", "does not span the events")
        return arrays

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """[U + 1]"""
        return self._of("offsets")

    @property
    def items(self) -> npt.NDArray[np.int32]:
        """[N] item numbers"""
        return self._of("items")

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """[N] unix seconds, UTC"""
        return self._of("times")

    @property
    def weights(self) -> npt.NDArray[np.float32]:
        """[N] at least 0; 1 where the log has no weights"""
        return self._of("weights")

    @property
    def types(self) -> npt.NDArray[np.int16]:
        """[N] numbers of the event types; 0 where the log has none"""
        return self._of("types")

    def _of(self, name: str) -> npt.NDArray[Any]:
        array: npt.NDArray[Any] = self.arrays[name]
        return array

    @cached_property
    def category(self) -> npt.NDArray[np.int32]:
        """[I] each item's main category, which is its first one; -1 for none"""
        return open_category(self.path, self.counts.items)

    @cached_property
    def users(self) -> npt.NDArray[np.object_]:
        """[U] user ids, in order of user number."""
        return _objects(_table(self.path / USERS).column("id"))

    @cached_property
    def item_ids(self) -> npt.NDArray[np.object_]:
        """[I] item ids, in order of item number."""
        return _objects(self._item_table.column("id"))

    @cached_property
    def titles(self) -> npt.NDArray[np.object_] | None:
        """[I] titles, None for an item without; None as a whole where the items have no titles."""
        table = self._item_table
        return _objects(table.column(TITLE)) if TITLE in table.column_names else None

    @cached_property
    def categories(self) -> list[list[str]] | None:
        """[I] categories of each item, maybe none; None as a whole where the items have no categories."""
        table = self._item_table
        return table.column(CATEGORIES).to_pylist() if CATEGORIES in table.column_names else None

    @cached_property
    def event_types(self) -> npt.NDArray[np.object_]:
        """[T] names of the event types, in order of number; `event` alone where the log has no column for them."""
        return _objects(_table(self.path / TYPE_NAMES).column("id"))

    @cached_property
    def category_names(self) -> npt.NDArray[np.object_]:
        """[C] names of the main categories, ascending."""
        return _objects(_table(self.path / CATEGORY_NAMES).column("id"))

    @cached_property
    def log(self) -> PackedLog:
        """The events as fits and encoders read them."""
        return PackedLog(
            self.offsets,
            self.items,
            self.times,
            self.weights,
            self.counts.items,
            self.types,
            self.category,
            {"event_type": self.event_types.tolist(), "category": self.category_names.tolist()},
        )

    @property
    def rejected_file(self) -> Path:
        """CSV of the rows set aside: `file, row, rule, reason, text`."""
        return self.path / REJECTED

    @cached_property
    def _item_table(self) -> pa.Table:
        return _table(self.path / ITEMS)


def open_store(path: Path | str, *, verify: bool = False) -> Store:
    """Open the store in the directory `path`, or at a URI; then it is fetched into this node's cache first, once.

    Sizes of all files and checksums of the small ones are always compared with the manifest; `verify` reads
    the arrays through and compares theirs too. Raises `DataError` where a file is missing, cut short or
    changed.
    """
    uri = str(path) if is_uri(str(path)) else None
    path = fetch(Place(uri)) if uri else Path(path).absolute()
    manifest = read_manifest(path)
    check_files(path, manifest.files, verify)
    check_arrays(path, manifest, verify)
    return Store(
        path,
        manifest.fingerprint,
        manifest.counts,
        len(manifest.segments),
        manifest.appended,
        manifest.lineage,
        uri=uri,
    )


def _reopen(path: str, reused: bool) -> Store:
    return replace(open_store(path), reused=reused)


def _table(file: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(file))).read_all()


def _objects(column: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    return np.asarray(column.to_numpy(), dtype=object)
