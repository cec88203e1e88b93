"""A place in object storage, or any other filesystem that pyarrow knows by a URI: whole objects and parts of them.

Credentials come from the environment (`AWS_ACCESS_KEY_ID`, …), or from wherever the storage's own clients find them.
Object stores have no rename: whoever writes several objects that belong together writes the one that names them last.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

CACHE = "LETHE_CACHE"
"""Environment variable: the folder of this node's cache of what it fetched, `~/.cache/lethe` by default."""
READ_BYTES = 1 << 22
_URI = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
_AWS = re.compile(r"AWS Error (\w+)")
_DENIED = {"ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "INVALID_CLIENT_TOKEN_ID"}


class StorageError(ValueError):
    """A place is not what it must be: its bucket or an object is not there, denied, changed or cut short. One line."""


def is_uri(location: str) -> bool:
    """Whether `location` names a filesystem (`s3://…`, `file:///…`) rather than a local path."""
    return _URI.match(location) is not None


def last_name(location: str) -> str:
    """The last name of a path or a URI, without the options of its filesystem.

    >>> last_name("s3://bucket/stores/a1?region=eu"), last_name("/data/stores/a1")
    ('a1', 'a1')
    """
    path = location.partition("?")[0] if is_uri(location) else location
    return path.rstrip("/").rpartition("/")[2]


def cache() -> Path:
    """The folder of this node's cache."""
    return Path(os.environ.get(CACHE) or "~/.cache/lethe").expanduser().absolute()


@dataclass(frozen=True)
class Place:
    """What lies below a URI such as `s3://bucket/prefix?endpoint_override=…`; names are relative to it.

    Its methods raise `StorageError` where the place is not as it must be, and `ConnectionError` where it does not
    answer, both in one line that holds no more than the URI.
    """

    uri: str

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        import pyarrow.fs as pafs  # here: a second to import, which a local store does not need

        with self._explained(""):
            filesystem, path = pafs.FileSystem.from_uri(self.uri)
            if not path.strip("/"):
                raise ValueError("it names no bucket and no folder")
        return filesystem, path.rstrip("/")

    @property
    def filesystem(self) -> Any:
        """Of pyarrow."""
        return self._opened[0]

    @property
    def path(self) -> str:
        """Inside the filesystem."""
        return self._opened[1]

    def child(self, name: str) -> Place:
        """The place below this one.

        >>> Place("s3://bucket/stores?region=eu").child("a1").uri
        's3://bucket/stores/a1?region=eu'
        """
        base, mark, options = self.uri.partition("?")
        return Place(f"{base.rstrip('/')}/{name}{mark}{options}")

    def folders(self) -> list[str]:
        """Names of the folders right below, ascending."""
        import pyarrow.fs as pafs

        return sorted(info.base_name for info in self._listed(False) if info.type == pafs.FileType.Directory)

    def files(self) -> dict[str, int]:
        """Name → bytes of every object below, at any depth."""
        import pyarrow.fs as pafs

        root = f"{self.path}/"
        listed = (info for info in self._listed(True) if info.type == pafs.FileType.File)
        return {info.path.removeprefix(root): info.size for info in listed}

    def _listed(self, recursive: bool) -> list[Any]:
        import pyarrow.fs as pafs

        selector = pafs.FileSelector(self.path, recursive=recursive, allow_not_found=True)
        with self._explained(""):
            found: list[Any] = self.filesystem.get_file_info(selector)
            if not found and not self._has_bucket():
                raise self._no_bucket()
            return found

    def size(self, name: str) -> int | None:
        """Bytes of an object, None where there is none."""
        import pyarrow.fs as pafs

        with self._explained(name):
            info = self.filesystem.get_file_info(self._at(name))
        return int(info.size) if info.type == pafs.FileType.File else None

    def read(self, name: str) -> bytes:
        """A whole object."""
        return b"".join(self.stream(name))

    def stream(self, name: str) -> Iterator[bytes]:
        """A whole object, some megabytes at a time."""
        with self._explained(name), self.filesystem.open_input_file(self._at(name)) as file:
            size = file.size()
            for start in range(0, size, READ_BYTES):
                yield file.read_at(min(READ_BYTES, size - start), start)

    def part(self, name: str, start: int, length: int, whole: int) -> bytes:
        """The bytes `start:start + length` of an object that has `whole`."""
        with self._explained(name), self.filesystem.open_input_file(self._at(name)) as file:
            found = file.size()
            content = bytes(file.read_at(length, start)) if found == whole else b""
        if found != whole or len(content) != length:
            raise self.damaged(name, f"has {found} bytes and not {whole}")
        return content

    def write(self, name: str, content: Iterable[bytes]) -> None:
        """Write a whole object; another process sees the old one, or none, until all is written."""
        with self._explained(name):
            at = self._at(name)
            if self.filesystem.type_name == "local":  # the others know no folders
                self.filesystem.create_dir(os.path.dirname(at), recursive=True)
            with self.filesystem.open_output_stream(at) as file:
                for each in content:
                    file.write(each)

    def delete(self, name: str) -> None:
        """Delete an object; one that is not there is none the less gone."""
        with self._explained(name), contextlib.suppress(FileNotFoundError):
            self.filesystem.delete_file(self._at(name))

    def clear(self) -> None:
        """Delete everything below, and the place itself."""
        with self._explained(""), contextlib.suppress(FileNotFoundError):
            self.filesystem.delete_dir(self.path)

    def damaged(self, name: str, what: str) -> StorageError:
        """The error of an object that is not as it was written."""
        return StorageError(
            f"What lies in a store must be as it was written, but `{name}` of `{self.uri}` {what}. Delete that "
            "folder and run `lethe prepare`, which writes it again."
        )

    def _at(self, name: str) -> str:
        return f"{self.path}/{name}" if name else self.path

    @contextlib.contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Errors of the storage in one line."""
        try:
            yield
        except (StorageError, ConnectionError):
            raise
        except FileNotFoundError as error:
            raise self._missing(name) from error
        except (OSError, ValueError, ImportError, NotImplementedError) as error:
            raise self._told(error) from error

    def _missing(self, name: str) -> StorageError:
        return self.damaged(name, "is missing") if self._has_bucket() else self._no_bucket()

    def _has_bucket(self) -> bool:
        import pyarrow.fs as pafs

        bucket = self.path.partition("/")[0]
        return not bucket or self.filesystem.get_file_info(bucket).type != pafs.FileType.NotFound

    def _no_bucket(self) -> StorageError:
        return StorageError(
            f"The bucket of a place must exist, but that of `{self.uri}` does not. Create it, or correct the URI."
        )

    def _told(self, error: Exception) -> Exception:
        text = " ".join(str(error).split()).rstrip(".")
        code = (_AWS.findall(text) or [""])[-1]
        if code == "NO_SUCH_BUCKET":
            return self._no_bucket()
        if code in _DENIED or isinstance(error, PermissionError) or "HTTP status 403" in text:
            return StorageError(
                "The credentials of the environment must be allowed to read and write a place, but "
                f"`{self.uri}` is denied to them ({code or 'no permission'}). Set others (AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE), or mend the rights of the bucket."
            )
        if not isinstance(error, OSError):
            return StorageError(
                f"A place must be the URI of a filesystem that pyarrow knows, but `{self.uri}` is not: {text[:200]}. "
                "Correct it."
            )
        if "Errno" in text and "AWS" not in text:  # of a filesystem on this machine: a full disk, say
            return error
        why = text.rpartition("operation: ")[2].partition(" (Request ID")[0][:200]
        return ConnectionError(
            f"The storage must answer, but `{self.uri}` did not: {why}. Make it reachable, and run the same command "
            "again: it goes on where it was"
        )
