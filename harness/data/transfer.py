"""Packed stores to object storage and back: whole or not at all, and once for all processes of a node."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.data.disk import full_disk_explained, locked, publish, scratch
from harness.data.errors import DataError
from harness.data.manifest import (
    ARRAYS,
    CATEGORY_NAMES,
    MANIFEST,
    MERGED,
    TYPE_NAMES,
    Entry,
    Manifest,
    check_files,
    manifest_of,
    merged_of,
    read_manifest,
    read_merged,
)
from harness.data.segments import check_arrays, merge
from trainers.log import CATEGORY
from trainers.storage.fetched import AT_ONCE, INDEX, content_of, copy_into, index
from trainers.storage.place import Place, StorageError, cache


def copies() -> Path:
    """The folder of this node's copies; each has the name of its store, and so of its content."""
    return cache() / "stores"


@contextlib.contextmanager
def storage_explained() -> Iterator[None]:
    """What is wrong with a place is wrong with the data, or with the settings that name it."""
    try:
        yield
    except StorageError as error:
        raise DataError(str(error)) from error


def fetch(place: Place) -> Path:
    """This node's copy of the store at a place; a copy that is damaged is fetched again.

    Raises `DataError` where the store is not there, or not as it was written.
    """
    root = copies()
    name = place.path.rpartition("/")[2]
    target = root / name
    if _whole(target):
        return target
    with storage_explained(), full_disk_explained(root), locked(root, name):
        if not _whole(target):  # unless another process fetched it while this one waited
            shutil.rmtree(target, ignore_errors=True)
            with scratch(root, name) as made_in:
                _copy(place, made_in / "made")
                publish(made_in / "made", target, made_in)
    return target


def _copy(place: Place, made: Path) -> None:
    made.mkdir()
    raw = place.read(MANIFEST)
    manifest = manifest_of(raw, place.uri)
    files: dict[str, Entry] = dict(manifest.files)
    if manifest.older:
        merged = place.read(MERGED)
        files |= merged_of(merged, place.uri)
        (made / MERGED).write_bytes(merged)

    def one(name: str) -> None:
        file = made / name
        file.parent.mkdir(exist_ok=True)
        digest = copy_into(place, name, file)
        if file.stat().st_size != files[name].bytes:
            raise place.damaged(name, f"has {file.stat().st_size} bytes and not {files[name].bytes}")
        if digest != files[name].sha256:
            raise place.damaged(name, "has another checksum than when it was written")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(one, files):
            pass
    (made / MANIFEST).write_bytes(raw)


def _whole(path: Path) -> bool:
    try:
        manifest = read_manifest(path)
        check_files(path, manifest.files, verify=False)
        check_arrays(path, manifest, verify=False)
    except DataError:
        return False
    return True


def send(path: Path, place: Place) -> None:
    """Write a store to a place: its files, the digests of their chunks, and the manifest last, which makes it one.

    A store that was appended to another is sent with the arrays of all its events: it stands alone there.
    """
    manifest = read_manifest(path)
    names = set(manifest.files)
    if manifest.older:
        names |= {MERGED, *_merged(path, manifest)}

    def one(name: str) -> None:
        place.write(name, content_of(path / name))

    with storage_explained():
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(one, sorted(names)):
                pass
        place.write(INDEX, [index(path, [*ARRAYS, CATEGORY[0], TYPE_NAMES, CATEGORY_NAMES])])
        place.write(MANIFEST, [(path / MANIFEST).read_bytes()])


def _merged(path: Path, manifest: Manifest) -> Mapping[str, Entry]:
    if read_merged(path) is None:
        merge(path, manifest)
    return read_merged(path) or {}
