"""What a store says of itself: what it was packed of, what its files must be, and which stores it goes on from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.data.errors import DataError
from trainers.log import CATEGORY, LAYOUT, NAMES

FORMAT = 3
"""Version of the layout; a store of another version is packed anew."""
MANIFEST = "manifest.json"
REJECTED = "rejected.csv"
USERS, ITEMS = "users.arrow", "items.arrow"
TYPE_NAMES, CATEGORY_NAMES = NAMES["event_type"], NAMES["category"]
SEGMENT = "segment"
"""Folder of the new events in a store that was appended to another."""
MERGED = "merged.json"
"""What the arrays of all segments must be, once they are there."""
ARRAYS = frozenset(f"{name}.bin" for name in LAYOUT)

Content = tuple[str, str | None, str]
"""Format, compression and SHA-256 of a file of the input."""


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


class Entry(BaseModel):
    """What a file must be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: int
    sha256: str


class Input(BaseModel):
    """A file of the input as it was listed; its digest, where the file was old enough to be known by its time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    size: int
    modified: str | None
    digest: str | None


class Older(BaseModel):
    """A segment of another store, beside this one: its events come before those of this store's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    store: str
    folder: str
    users: int
    last: float


class Manifest(BaseModel):
    """The file `manifest.json` of a store.

    Attributes:
        meaning: the settings that decide what the input means.
        segments: by segment, oldest first, the contents of its files.
        older: where the events of all segments but the last are.
        lineage: fingerprint → number of users of each store that this one was appended to.
        last: the time of the last event, unix seconds.
        appended: events of the last segment, where there are several.
        event_rejects: bytes of the file of rejected rows that are about events.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    fingerprint: str
    counts: Counts
    files: dict[str, Entry]
    meaning: dict[str, Any]
    segments: list[list[Content]]
    items: list[Content]
    older: list[Older]
    lineage: dict[str, int]
    last: float
    appended: int = 0
    event_rejects: int
    inputs: list[Input]
    packed_at: datetime

    @property
    def events(self) -> list[Content]:
        """The contents of all event files."""
        return [content for segment in self.segments for content in segment]


def fingerprint(meaning: Mapping[str, Any], segments: list[list[Content]], items: list[Content]) -> str:
    """Content and meaning of the input, not its place: the same bytes read alike, and appended alike, are the same."""
    content = {
        "format": FORMAT,
        "meaning": meaning,
        "segments": [sorted(segment, key=str) for segment in segments],
        "items": items,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_manifest(path: Path) -> Manifest:
    """The manifest of the store in `path`; `DataError` where it is not there, of another format or not whole."""
    file = path / MANIFEST
    if not file.is_file():
        raise DataError(f"A store must have a `{MANIFEST}`, but `{path}` has none. Run `lethe prepare`.")
    return manifest_of(file.read_bytes(), path)


def manifest_of(raw: bytes, path: Path | str) -> Manifest:
    """The manifest that was read of the store at `path`; `DataError` where it is not whole or of another format."""
    try:
        content = json.loads(raw)
        version = content["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path, MANIFEST, "cannot be read") from error
    if version != FORMAT:
        raise DataError(
            f"A store must have the format {FORMAT}, but `{path}` has {version}. Run `lethe prepare`, "
            "which packs it again."
        )
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        raise damaged(path, MANIFEST, "is not complete") from error
    folder = f"{SEGMENT}/" if manifest.older else ""
    names = {f"{folder}{name}" for name in ARRAYS}
    if names | {CATEGORY[0], USERS, ITEMS, TYPE_NAMES, CATEGORY_NAMES, REJECTED} != set(manifest.files):
        raise damaged(path, MANIFEST, "is not complete")
    return manifest


def read_merged(path: Path) -> dict[str, Entry] | None:
    """What the arrays of all segments in `path` must be; None where they are not made yet."""
    file = path / MERGED
    return merged_of(file.read_bytes(), path) if file.exists() else None


def merged_of(raw: bytes, path: Path | str) -> dict[str, Entry]:
    """The same, of what was read of the store at `path`."""
    try:
        return {name: Entry.model_validate(entry) for name, entry in json.loads(raw).items()}
    except (ValueError, AttributeError) as error:
        raise damaged(path, MERGED, "cannot be read") from error


def check_files(path: Path, files: Mapping[str, Entry], verify: bool) -> None:
    """Compare sizes of all files and checksums (of arrays only to `verify`); `DataError` at the first that differs."""
    for name, expected in files.items():
        file = path / name
        if not file.is_file():
            raise damaged(path, name, "is missing")
        size = file.stat().st_size
        if size != expected.bytes:
            raise damaged(path, name, f"has {size} bytes and not {expected.bytes}")
        if verify or not name.endswith(".bin"):
            with file.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != expected.sha256:
                    raise damaged(path, name, "has another checksum than when it was written")


def damaged(path: Path | str, name: str, what: str) -> DataError:
    """The error that says so."""
    return DataError(
        f"A store must be whole, but `{name}` of `{path}` {what}. Run `lethe prepare`, which packs it again."
    )
