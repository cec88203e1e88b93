"""A node's copy of a packed log that lies in object storage, of which only what was asked for is there.

A store's object `index.json` has the digest of every chunk of its files. A chunk is fetched once for all processes of
a node, compared with its digest, and put into its place in a file that is empty elsewhere: what is never asked for
takes neither room nor time. The folder is named by the digest of the index, and so by what the log holds.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from trainers.log import LAYOUT, PackedLog, TrainingData
from trainers.storage.place import READ_BYTES, Place, cache, is_uri, last_name

INDEX = "index.json"
CHUNK = 1 << 20
"""Bytes that are fetched and compared at once."""
AT_ONCE = 8
BY_EVENT = {f"{name}.bin": np.dtype(kind).itemsize for name, kind in LAYOUT.items() if name != "offsets"}
"""File → bytes of each event."""
_HAVE = ".have"


def index(folder: Path, names: Iterable[str]) -> bytes:
    """The content of `index.json` for some files of a folder."""
    files: dict[str, Any] = {}
    for name in sorted(names):
        digests = []
        with (folder / name).open("rb") as file:
            while chunk := file.read(CHUNK):
                digests.append(hashlib.sha256(chunk).hexdigest())
            files[name] = {"bytes": file.tell(), "chunks": digests}
    return json.dumps({"chunk": CHUNK, "files": files}).encode()


@dataclass(frozen=True)
class Fetched:
    """The copy on this node of the log at a place."""

    place: Place

    @cached_property
    def _raw(self) -> bytes:
        return self.place.read(INDEX)

    @cached_property
    def _index(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._raw)
        except ValueError as error:
            raise self.place.damaged(INDEX, "cannot be read") from error
        return found

    @cached_property
    def folder(self) -> Path:
        """Where the files are, each as long as the whole."""
        folder = cache() / "logs" / hashlib.sha256(self._raw).hexdigest()[:24]
        (folder / _HAVE).mkdir(parents=True, exist_ok=True)
        for name, entry in self._index["files"].items():
            with (folder / name).open("ab") as file:
                file.truncate(entry["bytes"])
        return folder

    def common(self) -> None:
        """Fetch what is not by event: offsets, categories, names."""
        files = self._index["files"].items()
        self._fetch((name, 0, entry["bytes"]) for name, entry in files if name not in BY_EVENT)

    def rows(self, low: int, high: int) -> None:
        """Fetch the rows `low:high` of the arrays of events."""
        self._fetch((name, low * size, high * size) for name, size in BY_EVENT.items())

    def _fetch(self, wanted: Iterable[tuple[str, int, int]]) -> None:
        size = self._index["chunk"]
        chunks = [
            (name, number)
            for name, low, high in wanted
            for number in range(low // size, -(-high // size) if high > low else low // size)
        ]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(self._chunk, chunks):
                pass

    def _chunk(self, chunk: tuple[str, int]) -> None:
        name, number = chunk
        size, entry = self._index["chunk"], self._index["files"][name]
        # The mark is the lock too: whoever comes second finds it written. Of one that was killed it is empty.
        with (self.folder / _HAVE / f"{name}-{number}").open("ab") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX)
            if mark.tell():
                return
            start = number * size
            content = self.place.part(name, start, min(size, entry["bytes"] - start), entry["bytes"])
            if hashlib.sha256(content).hexdigest() != entry["chunks"][number]:
                raise self.place.damaged(name, "has another checksum than when it was written")
            with (self.folder / name).open("r+b") as file:
                os.pwrite(file.fileno(), content, start)
                os.fsync(file.fileno())
            mark.write(b"1")


def open_training(log: str, vocabulary: int, folder: Path, shard: tuple[int, int] | None) -> TrainingData:
    """The training data of a folder over a packed log, which is mapped where it is local.

    Of a log in object storage only the rows of a worker's users are fetched.

    Args:
        log: the log's folder, or its URI.
        shard: rank and number of the workers; None for one who needs everybody's rows.
    """
    if not is_uri(log):
        return TrainingData.open(PackedLog.open(log, vocabulary), folder)
    whole = cache() / "stores" / last_name(log)
    if whole.exists():  # this node packed it, or has fetched all of it
        return _held(TrainingData.open(PackedLog.open(whole, vocabulary), folder), shard)
    fetched = Fetched(Place(log))
    fetched.common()
    data = _held(TrainingData.open(PackedLog.open(fetched.folder, vocabulary), folder), shard)
    offsets, users = data.log.offsets, data.users
    fetched.rows(int(offsets[users.start]), int(offsets[users.stop]))
    return data


def _held(data: TrainingData, shard: tuple[int, int] | None) -> TrainingData:
    return data if shard is None else data.only(data.shard(*shard))


def copy_into(place: Place, name: str, file: Path) -> str:
    """Fetch a whole object into a new file; returns its SHA-256."""
    sha = hashlib.sha256()
    with file.open("xb") as out:
        for content in place.stream(name):
            sha.update(content)
            out.write(content)
        out.flush()
        os.fsync(out.fileno())
    return sha.hexdigest()


def content_of(file: Path) -> Iterator[bytes]:
    """A file, some megabytes at a time."""
    with file.open("rb") as stream:
        while content := stream.read(READ_BYTES):
            yield content
