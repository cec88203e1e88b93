"""What nodes that share no disk make for each other: folders, handed over through a place in object storage.

A folder is sent whole: its files, then a list of them with their digests. Whoever fetches it has all of it, as it was
sent, or nothing. A folder that is still written to (checkpoints, progress) is mirrored file by file instead.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trainers.storage.fetched import content_of, copy_into
from trainers.storage.place import Place, StorageError, cache

WHOLE = "whole.json"
"""File → bytes and SHA-256 of a folder that was sent; written last."""


@dataclass(frozen=True)
class Exchange:
    """A place through which folders go, by their names below it; one place for one piece of work."""

    place: Place

    @property
    def here(self) -> Path:
        """Where this node keeps what it makes and fetches."""
        return cache() / "exchange" / hashlib.sha256(self.place.uri.encode()).hexdigest()[:24]

    def send(self, folder: Path, name: str) -> None:
        """Send a folder; one that was sent before is not sent again."""
        if self.has(name):
            return
        place, listed = self.place.child(name), {}
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            relative = file.relative_to(folder).as_posix()
            sha = hashlib.sha256()
            place.write(relative, _hashed(file, sha))
            listed[relative] = [file.stat().st_size, sha.hexdigest()]
        place.write(WHOLE, [json.dumps(listed).encode()])

    def has(self, name: str) -> bool:
        """Whether a folder was sent whole."""
        return self.place.child(name).size(WHOLE) is not None

    def fetch(self, name: str, folder: Path) -> bool:
        """Make `folder` what was sent under a name, unless it is there; False where nothing was sent."""
        if folder.exists():
            return True
        place = self.place.child(name)
        if place.size(WHOLE) is None:
            return False
        listed = json.loads(place.read(WHOLE))
        with unit(folder) as made:
            for relative, (size, digest) in listed.items():
                (made / relative).parent.mkdir(parents=True, exist_ok=True)
                found = copy_into(place, relative, made / relative)
                if found != digest or (made / relative).stat().st_size != size:
                    raise place.damaged(relative, "has another checksum than when it was written")
        return True

    def up(self, folder: Path, name: str) -> None:
        """Mirror a folder that is still written to: new files are sent, and those that are gone are deleted."""
        place = self.place.child(name)
        there = place.files()
        here = {file.relative_to(folder).as_posix(): file for file in folder.rglob("[!.]*") if file.is_file()}
        for relative, file in here.items():
            if there.get(relative) != file.stat().st_size or not _numbered(file):
                place.write(relative, content_of(file))
        for relative in set(there) - set(here):
            place.delete(relative)

    def down(self, name: str, folder: Path) -> None:
        """Make a folder what was mirrored under a name."""
        place = self.place.child(name)
        there = place.files()
        for file in folder.rglob("*"):
            if file.is_file() and file.relative_to(folder).as_posix() not in there:
                file.unlink(missing_ok=True)
        for relative in there:
            file = folder / relative
            if file.exists() and _numbered(file):
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_name(f".{file.name}.{os.getpid()}.part")
            partial.unlink(missing_ok=True)
            with contextlib.suppress(StorageError):  # deleted since it was listed
                copy_into(place, relative, partial)
                os.replace(partial, file)


def _numbered(file: Path) -> bool:
    """Whether a file has a number for a name, as checkpoints do, which nobody changes."""
    return file.name[0].isdigit()


def _hashed(file: Path, sha: hashlib._Hash) -> Iterator[bytes]:
    for content in content_of(file):
        sha.update(content)
        yield content


@contextlib.contextmanager
def unit(target: Path) -> Iterator[Path]:
    """A folder to do a unit of work in, which becomes `target` when the block ends well and is gone when not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".tmp-{target.name}-", dir=target.parent))
    try:
        yield partial
        try:
            partial.rename(target)
        except OSError as error:
            # Ray may do a unit twice where it has lost sight of a node: both did the same.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
