"""A packed event log on disk: arrays sorted by user and time, opened without reading them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from harness.data.errors import DataError
from harness.data.items import CATEGORIES, TITLE
from trainers.log import CATEGORY, LAYOUT, NAMES, PackedLog, open_category

FORMAT = 2
"""Version of the layout; a store of another version is packed anew."""
MANIFEST = "manifest.json"
REJECTED = "rejected.csv"
USERS, ITEMS = "users.arrow", "items.arrow"
TYPE_NAMES, CATEGORY_NAMES = NAMES["event_type"], NAMES["category"]


@dataclass(frozen=True)
class Counts:
    """What was read and what became of it."""

    rows: int
    """Rows of the event files."""
    events: int
    users: int
    items: int
    rejected: int
    """Rows of the event files that were set aside."""
    duplicates: int
    """Events that agree with another in user, item, time, weight and type (the first of each group not counted)."""
    collapsed: int
    """Duplicates that were dropped: all or none."""
    by_reason: dict[str, int] = field(default_factory=dict)
    """Rule → rows of the event files set aside for it."""
    item_rows: int = 0
    item_rows_rejected: int = 0


@dataclass(frozen=True)
class Store:
    """A packed event log. U users, I items, N events; users and items are numbers 0…U−1 and 0…I−1.

    The events of user u are rows `offsets[u]:offsets[u + 1]` of `items`, `times`, `weights` and `types`, sorted
    by time, then by item, then by weight, then by type. Users are numbered in order of appearance in the log
    sorted by (time, user id, item id), items in ascending order of id, event types in ascending order of name;
    ids and names compare as numbers where all are integers, else as text by code point.

    A store is opened again, not copied, when it is sent to another process.
    """

    path: Path
    fingerprint: str
    counts: Counts
    offsets: npt.NDArray[np.int64] = field(repr=False)
    """[U + 1]"""
    items: npt.NDArray[np.int32] = field(repr=False)
    """[N] item numbers"""
    times: npt.NDArray[np.float64] = field(repr=False)
    """[N] unix seconds, UTC"""
    weights: npt.NDArray[np.float32] = field(repr=False)
    """[N] at least 0; 1 where the log has no weights"""
    types: npt.NDArray[np.int16] = field(repr=False)
    """[N] numbers of the event types; 0 where the log has none"""
    category: npt.NDArray[np.int32] = field(repr=False)
    """[I] each item's main category, which is its first one; -1 for none"""
    reused: bool = False
    """Whether `prepare` found it instead of packing it."""

    def __reduce__(self) -> tuple[Callable[..., Store], tuple[Path, bool]]:
        return _reopen, (self.path, self.reused)

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
    """Open the store in the directory `path`.

    Sizes of all files and checksums of the small ones are always compared with the manifest; `verify` reads
    the arrays through and compares theirs too. Raises `DataError` where a file is missing, cut short or
    changed.
    """
    path = Path(path).absolute()
    manifest = _manifest(path)
    counts = Counts(**manifest["counts"])
    for name, expected in manifest["files"].items():
        _check_file(path / name, expected, hashed=verify or not name.endswith(".bin"))
    shapes = {"offsets": counts.users + 1}
    arrays: dict[str, Any] = {
        name: np.memmap(path / f"{name}.bin", dtype=type_, mode="r", shape=(shapes.get(name, counts.events),))
        for name, type_ in LAYOUT.items()
    }
    arrays["category"] = open_category(path, counts.items)
    if arrays["offsets"][0] != 0 or arrays["offsets"][-1] != counts.events:
        raise _damaged(path, "offsets.bin", "does not span the events")
    return Store(path=path, fingerprint=manifest["fingerprint"], counts=counts, **arrays)


def manifest_text(fingerprint: str, counts: Counts, files: dict[str, Any], about: dict[str, Any]) -> bytes:
    """The text of the manifest. `files`: name → bytes and sha256; `about`: what a person may want to know
    later.
    """
    content = {"format": FORMAT, "fingerprint": fingerprint, "counts": asdict(counts), "files": files} | about
    return json.dumps(content, indent=1, ensure_ascii=False).encode()


def _manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    if not file.is_file():
        raise DataError(f"A store must have a `{MANIFEST}`, but `{path}` has none. Run `lethe prepare`.")
    try:
        manifest = json.loads(file.read_bytes())
        version = manifest["format"]
        names = {f"{name}.bin" for name in LAYOUT}
        names |= {CATEGORY[0], USERS, ITEMS, TYPE_NAMES, CATEGORY_NAMES, REJECTED}
        whole = names == set(manifest["files"]) and {"fingerprint", "counts"} <= set(manifest)
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, MANIFEST, "cannot be read") from error
    if version != FORMAT:
        raise DataError(
            f"A store must have the format {FORMAT}, but `{path}` has {version}. Run `lethe prepare`, "
            "which packs it again."
        )
    if not whole:
        raise _damaged(path, MANIFEST, "is not complete")
    return dict(manifest)


def _check_file(file: Path, expected: dict[str, Any], hashed: bool) -> None:
    if not file.is_file():
        raise _damaged(file.parent, file.name, "is missing")
    size = file.stat().st_size
    if size != expected["bytes"]:
        raise _damaged(file.parent, file.name, f"has {size} bytes and not {expected['bytes']}")
    if hashed:
        with file.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != expected["sha256"]:
                raise _damaged(file.parent, file.name, "has another checksum than when it was written")


def _damaged(path: Path, name: str, what: str) -> DataError:
    return DataError(
        f"A store must be whole, but `{name}` of `{path}` {what}. Run `lethe prepare`, which packs it again."
    )


def _reopen(path: Path, reused: bool) -> Store:
    store = open_store(path)
    object.__setattr__(store, "reused", reused)
    return store


def _table(file: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(file))).read_all()


def _objects(column: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    return np.asarray(column.to_numpy(), dtype=object)
