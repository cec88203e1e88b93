"""Writing that a crash, a full disk or a second process cannot turn into half a store."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from harness.data.errors import DataError
from trainers.storage.place import CACHE, cache


class HashedFile:
    """A new file that is hashed while it is written and on the disk when it is closed."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.mode = "wb"
        self.closed = False
        self._file = path.open("xb")
        self._sha = hashlib.sha256()
        self._bytes = 0

    def write(self, data: Any) -> int:
        """Append anything with a buffer."""
        view = memoryview(data).cast("B")
        self._file.write(view)
        self._sha.update(view)
        self._bytes += len(view)
        return len(view)

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        self._file.flush()

    def close(self) -> None:
        """Wait until the content is on the disk."""
        if not self.closed:
            self.closed = True
            with self._file:
                self._file.flush()
                os.fsync(self._file.fileno())

    def __enter__(self) -> HashedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def entry(self) -> dict[str, Any]:
        """What the manifest says of the file."""
        return {"bytes": self._bytes, "sha256": self._sha.hexdigest()}


@contextlib.contextmanager
def locked(root: Path, name: str, setting: str | None = None) -> Iterator[None]:
    """Hold the lock `name` in `root`, which is created; wait where another process holds it.

    `setting` is what names `root`, for a message; left out, `root` is where packed stores lie.

    The system lets go of the lock when its holder dies. Nothing is left behind: the file of
    the lock is removed, and so is `root` where it is empty.
    """
    path = root / f".{name}.lock"
    while True:
        try:
            root.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
        except FileNotFoundError:  # another process has just removed an empty root
            continue
        except (PermissionError, FileExistsError, NotADirectoryError) as error:
            raise DataError(
                f"`{setting or _setting(root)}` must be a directory that can be written, but `{root}` is not "
                f"({error.strerror}). Name another one."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Its last holder may have removed the file while this process waited: then it locks nothing.
            if _same_file(descriptor, path):
                try:
                    yield
                finally:
                    path.unlink()
                    with contextlib.suppress(OSError):
                        root.rmdir()
                return
        finally:
            os.close(descriptor)


def _setting(root: Path) -> str:
    """What says that packed stores lie in `root`: a setting, or a variable of the environment."""
    return CACHE if root.is_relative_to(cache()) else "data.store"


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def scratch(root: Path, name: str) -> Iterator[Path]:
    """A directory beside the final one, removed at the end with all that was not moved out of it.

    To be called under the lock of `name`: whatever an earlier holder of that lock left is dead and removed
    first.
    """
    prefix = f".tmp-{name}-"
    for stale in root.glob(f"{prefix}*"):
        shutil.rmtree(stale)
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def publish(made: Path, target: Path, scratch_dir: Path) -> None:
    """Move the finished directory `made` to `target`; an older one there is moved to `scratch_dir` first."""
    made.chmod(0o755)
    sync_directory(made)
    if target.exists():
        target.rename(scratch_dir / "replaced")
    made.rename(target)
    sync_directory(target.parent)


def sync_directory(path: Path) -> None:
    """Wait until the names in a directory are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def full_disk_explained(root: Path) -> Iterator[None]:
    """Turn "no space" of any library into one `OSError` (`ENOSPC`) that says what to do."""
    try:
        yield
    except (OSError, duckdb.Error) as error:
        if not is_full(error):
            raise
        raise OSError(
            errno.ENOSPC,
            f"The disk must have room for the packed events, but that of `{root}` is full. Free some, or set "
            f"`{_setting(root)}` to a directory on another disk; nothing incomplete was left behind",
        ) from error


def is_full(error: BaseException) -> bool:
    """Whether an error of any library says that the disk, or one's share of it, is full."""
    if not isinstance(error, (OSError, duckdb.Error)):
        return False
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    return full or any(sign in str(error) for sign in ("No space left", "max_temp_directory_size"))
