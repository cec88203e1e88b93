"""Segments of a store, and the arrays of all its events, made of them by whoever reads them first.

New events come as a segment: a packed log of their own, in numbers that go on from the older ones. Appending them
costs what they cost. Reading needs each user's events side by side, so the first reader of a store with several
segments writes the arrays of all: a copy of the older ones with the new rows put in their places, without a sort.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.disk import HashedFile, full_disk_explained, locked, scratch, sync_directory
from harness.data.manifest import (
    MANIFEST,
    MERGED,
    SEGMENT,
    Manifest,
    Older,
    check_files,
    damaged,
    read_manifest,
    read_merged,
)
from harness.data.rows import ORDER, places
from trainers.log import LAYOUT

_CHUNK = 1 << 21
"""Events that are merged at once; one user's always are."""

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Segment:
    """A packed log in `LAYOUT` on the disk, of the first `users` users of a vocabulary.

    Attributes:
        last: the time of its last event, unix seconds.
    """

    folder: Path
    users: int
    last: float

    def arrays(self) -> Arrays:
        """The arrays, mapped."""
        return {name: _map(self._file(name), kind) for name, kind in LAYOUT.items()}

    def offsets(self, users: int) -> npt.NDArray[np.int64]:
        """[users + 1]; a user whom the segment does not know has no events in it."""
        known = np.fromfile(self._file("offsets"), LAYOUT["offsets"])
        return np.append(known, np.full(users - self.users, known[-1]))

    def read(self, low: int, high: int) -> Arrays:
        """The rows `low:high`, read and not mapped: what is mapped counts as this process's memory."""
        return {
            name: np.fromfile(
                self._file(name), LAYOUT[name], high - low, offset=low * np.dtype(LAYOUT[name]).itemsize
            )
            for name in ORDER
        }

    def older(self) -> Older:
        """How the manifest of a store that goes on from this segment names it."""
        inside = SEGMENT if self.folder.name == SEGMENT else ""
        store = self.folder.parent if inside else self.folder
        return Older(store=store.name, folder=inside, users=self.users, last=self.last)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.bin"


def _map(file: Path, kind: str) -> npt.NDArray[Any]:
    """An array of the layout, mapped; an empty file has no pages to map."""
    return np.memmap(file, kind, mode="r") if file.stat().st_size else np.zeros(0, kind)


def segments_of(path: Path, manifest: Manifest) -> list[Segment]:
    """The segments that the events of a store are in: one where they are merged, or were never apart."""
    users = manifest.counts.users
    if not manifest.older or read_merged(path) is not None:
        return [Segment(path, users, manifest.last)]
    older = [Segment(path.parent / o.store / o.folder, o.users, o.last) for o in manifest.older]
    return [*older, Segment(path / SEGMENT, users, manifest.last)]


def check_arrays(path: Path, manifest: Manifest, verify: bool) -> None:
    """`DataError` where the arrays of all events are neither there nor can be made."""
    merged = read_merged(path)
    if merged is not None:
        return check_files(path, merged, verify)
    for older in manifest.older:
        other = path.parent / older.store
        if not (other / MANIFEST).exists():
            raise damaged(path, older.store, "is missing beside it")
        theirs = read_merged(other) if not older.folder else None
        check_files(other, theirs or _arrays_in(read_manifest(other), older.folder), verify)
    return None


def _arrays_in(manifest: Manifest, folder: str) -> Any:
    prefix = f"{folder}/" if folder else ""
    return {
        name: entry for name, entry in manifest.files.items() if name in {f"{prefix}{n}.bin" for n in LAYOUT}
    }


def merge(path: Path, manifest: Manifest) -> None:
    """Write the arrays of all events of a store into its folder, once."""
    root = path.parent
    with full_disk_explained(root), locked(root, path.name):
        if read_merged(path) is not None:  # another process did it while this one waited
            return
        with scratch(root, path.name) as made:
            entries = _write(made, segments_of(path, manifest), manifest.counts.users)
            for name in entries:
                (made / name).rename(path / name)
            with HashedFile(made / MERGED) as file:
                file.write(json.dumps(entries).encode())
            sync_directory(path)
            (made / MERGED).rename(path / MERGED)
            sync_directory(path)


def _write(made: Path, segments: Sequence[Segment], users: int) -> dict[str, Any]:
    offsets = [segment.offsets(users) for segment in segments]
    total = np.sum(offsets, axis=0)
    files = [HashedFile(made / f"{name}.bin") for name in LAYOUT]
    out = {file.name: file for file in files}
    try:
        out["offsets.bin"].write(total)
        for low, high in _chunks(total):
            rows, bounds = segments[0].read(offsets[0][low], offsets[0][high]), _within(offsets[0], low, high)
            for segment, more in zip(segments[1:], offsets[1:], strict=True):
                new, of_new = segment.read(more[low], more[high]), _within(more, low, high)
                rows, bounds = _joined(rows, bounds, new, of_new), bounds + of_new
            for name, values in rows.items():
                out[f"{name}.bin"].write(values)
    finally:
        for file in files:
            file.close()
    return {file.name: file.entry for file in files}


def _chunks(offsets: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of users, each with as many events as are merged at once, or one user."""
    low = 0
    while low < len(offsets) - 1:
        high = int(np.searchsorted(offsets, offsets[low] + _CHUNK, side="right")) - 1
        high = max(high, low + 1)
        yield low, high
        low = high


def _within(offsets: npt.NDArray[np.int64], low: int, high: int) -> npt.NDArray[np.int64]:
    within: npt.NDArray[np.int64] = offsets[low : high + 1] - offsets[low]
    return within


def _joined(
    old: Arrays, offsets: npt.NDArray[np.int64], new: Arrays, of_new: npt.NDArray[np.int64]
) -> Arrays:
    """Rows of some users and new rows of the same users, in order."""
    users = np.repeat(np.arange(len(of_new) - 1), np.diff(of_new))
    at = places(offsets, old, users, new) + np.arange(len(users))
    mine = np.ones(len(users) + len(old["times"]), bool)
    mine[at] = False
    rows = {}
    for name in ORDER:
        rows[name] = np.empty(len(mine), LAYOUT[name])
        rows[name][mine] = old[name]
        rows[name][at] = new[name]
    return rows
