"""From what the settings name to a list of files that can be opened."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.fs as pafs

from harness.data.errors import DataError
from harness.masking import masked
from trainers.storage.place import is_uri

Format = Literal["csv", "parquet"]

FORMATS: dict[str, tuple[Format, str | None]] = {
    ".csv": ("csv", None),
    ".csv.gz": ("csv", "gzip"),
    ".parquet": ("parquet", None),
    ".pq": ("parquet", None),
}
"""File name ending → format and compression of the bytes."""

_MAGIC = re.compile(r"[*?\[]")
_URI_MAGIC = re.compile(r"[*\[]")  # in a URI `?` opens the options of the filesystem
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Source:
    """One file of the input. `name`, in messages and the file of rejected rows, holds no secret of a URI."""

    filesystem: pafs.FileSystem
    path: str
    name: str
    format: Format
    compression: str | None
    size: int
    modified: datetime | None

    def digest(self) -> str:
        """SHA-256 of the raw bytes, read as a stream."""
        sha = hashlib.sha256()
        with self.filesystem.open_input_stream(self.path, compression=None) as stream:
            while chunk := stream.read(_CHUNK):
                sha.update(chunk)
        return sha.hexdigest()

    def changed(self) -> bool:
        """Whether the file is no longer the one that was listed, judged by size and time of change."""
        info = self.filesystem.get_file_info(self.path)
        return bool(info.size != self.size or info.mtime != self.modified)


def nearest(name: str, present: Iterable[str]) -> str:
    """A hint for a message: the name most like `name`, if one is, and all that is there."""
    names = list(present)
    folded = {n.casefold(): n for n in names}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.4)
    listed = ", ".join(f"`{n}`" for n in names[:20]) or "none"
    return (f"the nearest is `{folded[close[0]]}` " if close else "") + f"(present: {listed})"


def find_sources(locations: Sequence[str]) -> list[Source]:
    """The files behind `locations`: in the order given, those of a directory or glob by name, each file once.

    Raises `DataError` where a location names nothing, or a file of no known format.
    """
    sources: list[Source] = []
    known: dict[str, list[pafs.FileSystem]] = {}
    for location in locations:
        try:
            found = _expand(location)
        except (pa.ArrowException, OSError, ImportError, ValueError) as error:
            text = (
                str(error)
                if isinstance(error, DataError)
                else (
                    f"Every input must be readable, but `{location}` is not: {_line(error)}. "
                    "Correct the path or the URI, or make its filesystem reachable."
                )
            )
            raise DataError(masked(text)) from error
        for source in found:
            # Two filesystems of a kind may hold other files at a path: endpoints of S3, say.
            if source.filesystem not in known.setdefault(source.path, []):
                known[source.path].append(source.filesystem)
                sources.append(source)
    return sources


def _expand(location: str) -> list[Source]:
    uri = is_uri(location)
    magic = _URI_MAGIC if uri else _MAGIC
    if not uri:
        location = str(Path(location).expanduser().absolute())
    if not magic.search(location) or (not uri and Path(location).exists()):
        filesystem, path = _filesystem(location)
        info = filesystem.get_file_info(path)
        if info.type == pafs.FileType.File:
            return [_source(filesystem, info, location)]
        if info.type == pafs.FileType.Directory:
            files = [f for f in _files(filesystem, path) if _known(f.base_name) and not _hidden(path, f.path)]
            wanted = f"`{location}` is a directory with none"
        else:
            raise DataError(f"Every input must exist, but `{location}` does not. Correct the path.")
    else:
        base, pattern = _split_glob(location, magic)
        filesystem, path = _filesystem(base)
        matches = _glob(pattern)
        root = path.rstrip("/") + "/"
        files = [f for f in _files(filesystem, path) if matches.fullmatch(f.path.removeprefix(root))]
        wanted = f"no file matches `{location}`"
    if not files:
        raise DataError(f"At least one file ({_endings()}) is needed, but {wanted}. Correct the path.")
    return [_source(filesystem, f, f.path) for f in sorted(files, key=lambda f: f.path)]


def _filesystem(location: str) -> tuple[pafs.FileSystem, str]:
    if is_uri(location):
        filesystem, path = pafs.FileSystem.from_uri(location)
        return filesystem, path
    return pafs.LocalFileSystem(), location


def _files(filesystem: pafs.FileSystem, path: str) -> list[pafs.FileInfo]:
    selector = pafs.FileSelector(path, recursive=True, allow_not_found=True)
    return [f for f in filesystem.get_file_info(selector) if f.type == pafs.FileType.File]


def _hidden(root: str, path: str) -> bool:
    # Markers (`_SUCCESS`) and unfinished uploads (`.part`) of other tools begin with these.
    return any(part.startswith((".", "_")) for part in path.removeprefix(root).strip("/").split("/"))


def _split_glob(location: str, magic: re.Pattern[str]) -> tuple[str, str]:
    """The directory before the first segment with a wildcard, and the pattern below it."""
    segments = location.split("/")
    first = next(i for i, segment in enumerate(segments) if magic.search(segment))
    return "/".join(segments[:first]) or "/", "/".join(segments[first:])


def _glob(pattern: str) -> re.Pattern[str]:
    """A shell pattern as a regular expression; unlike `fnmatch`, `*` stops at `/` and `**` does not."""
    out, i = "", 0
    while i < len(pattern):
        if pattern.startswith("**/", i):
            out, i = out + "(?:.*/)?", i + 3
        elif pattern.startswith("**", i):
            out, i = out + ".*", i + 2
        elif pattern[i] == "*":
            out, i = out + "[^/]*", i + 1
        elif pattern[i] == "?":
            out, i = out + "[^/]", i + 1
        elif pattern[i] == "[" and (end := pattern.find("]", i + 2)) > 0:
            inside = pattern[i + 1 : end].replace("\\", "\\\\")
            out, i = out + "[" + ("^" + inside[1:] if inside[0] == "!" else inside) + "]", end + 1
        else:
            out, i = out + re.escape(pattern[i]), i + 1
    return re.compile(out)


def _known(name: str) -> bool:
    return name.lower().endswith(tuple(FORMATS))


def _endings() -> str:
    return ", ".join(FORMATS)


def _source(filesystem: pafs.FileSystem, info: pafs.FileInfo, name: str) -> Source:
    for ending, (format_, compression) in FORMATS.items():
        if info.path.lower().endswith(ending):
            return Source(
                filesystem, info.path, masked(name), format_, compression, info.size or 0, info.mtime
            )
    raise DataError(f"A file must end in one of {_endings()}, but got `{name}`. Convert or rename it.")


def _line(error: BaseException) -> str:
    """The first line of an error's text, without its full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
