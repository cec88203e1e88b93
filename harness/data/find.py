"""Stores that hold an input already, or most of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from harness.data.errors import DataError
from harness.data.manifest import Content, Input, Manifest, fingerprint, read_manifest
from harness.data.settings import DataSettings
from harness.data.sources import Source

_SETTLED = timedelta(seconds=2)
"""A file that was changed this long before it was listed would show a later change by its time."""


@dataclass(frozen=True)
class Request:
    """What is to be packed.

    Attributes:
        meaning: the settings that decide what the input means.
        events, items: the contents of the files.
        inputs: the files as they were listed.
    """

    meaning: dict[str, Any]
    events: list[Content]
    items: list[Content]
    inputs: list[Input]


@dataclass(frozen=True)
class Plan:
    """What is to be done for a request.

    Attributes:
        fingerprint: of the store that has it all.
        segments: the contents of its segments; the last is to be packed, unless the store is there.
        parent: the store that new files are appended to.
    """

    fingerprint: str
    segments: list[list[Content]]
    parent: tuple[Path, Manifest] | None = None


def manifests(root: Path) -> list[tuple[Path, Manifest]]:
    """All stores in a directory whose manifest can be read, by name."""
    found = []
    for file in sorted(root.glob("[!.]*/manifest.json")):
        try:
            found.append((file.parent, read_manifest(file.parent)))
        except DataError:
            continue
    return found


def request(
    settings: DataSettings, sources: list[Source], items: list[Source], stores: list[tuple[Path, Manifest]]
) -> Request:
    """Read what identifies the input. A file that a store was packed of is known by name, size and time of change."""
    now = datetime.now(UTC)
    known = {
        (each.name, each.size, each.modified): each.digest
        for _, manifest in stores
        for each in manifest.inputs
        if each.digest
    }
    events, tables = ([_content(source, known) for source in listed] for listed in (sources, items))
    inputs = [
        _input(source, content[2], now)
        for source, content in zip(sources + items, events + tables, strict=True)
    ]
    meaning = settings.model_dump(include={"columns", "time_unit", "collapse_duplicates"}, mode="json")
    return Request(meaning, events, tables, inputs)


def _content(source: Source, known: dict[tuple[str, int, str | None], str]) -> Content:
    digest = known.get((source.name, source.size, _time(source))) or source.digest()
    return source.format, source.compression, digest


def _input(source: Source, digest: str, now: datetime) -> Input:
    settled = source.modified is not None and source.modified + _SETTLED < now
    return Input(
        name=source.name, size=source.size, modified=_time(source), digest=digest if settled else None
    )


def _time(source: Source) -> str | None:
    return None if source.modified is None else source.modified.isoformat()


def plan(
    asked: Request,
    stores: list[tuple[Path, Manifest]],
    append: bool,
    whole: Callable[[Path], bool],
) -> Plan:
    """Find the store of a request; or the whole store with most of its files, to append the others to; or neither.

    `whole` says of the path of one whether all of it is there, or can be fetched.
    """
    anew = Plan(fingerprint(asked.meaning, [asked.events], asked.items), [asked.events])
    if not append:
        return anew
    wanted = Counter(asked.events)
    within = [
        (path, manifest)
        for path, manifest in stores
        if manifest.meaning == asked.meaning and Counter(manifest.events) <= wanted
    ]
    for path, manifest in within:
        if Counter(manifest.events) == wanted and manifest.items == asked.items and whole(path):
            return Plan(manifest.fingerprint, manifest.segments)
    for path, manifest in sorted(within, key=lambda found: (-found[1].counts.rows, found[0].name)):
        if not whole(path):
            continue
        new = list((wanted - Counter(manifest.events)).elements())
        segments = [*manifest.segments, new] if new else manifest.segments
        found = fingerprint(asked.meaning, segments, asked.items)
        return Plan(found, segments, (path, manifest))
    return anew
