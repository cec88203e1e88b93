"""Where a training was, on disk: each file whole or not there at all, the latest few kept, broken ones passed over."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainers.training.loop import Training

SUFFIX = ".pt"


def name_of(epochs: int, batches: int) -> str:
    """The name of the checkpoint after so many epochs, and batches of the next one."""
    return f"{epochs:05d}-{batches:08d}{SUFFIX}"


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training, `<epochs>-<batches>.pt` in a folder.

    Attributes:
        keep: so many of the latest stay.
        of: what the training depends on; a checkpoint of anything else is refused.
    """

    folder: Path
    keep: int
    of: Mapping[str, Any]

    def write(self, training: Training) -> None:
        """Write a checkpoint, then drop the oldest ones.

        Raises:
            OSError: there is no room for it; those that are there stay.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        name = name_of(len(training.curve.loss), training.batch)
        partial = self.folder / f".{name}.part"
        try:
            with partial.open("wb") as file:
                torch.save({**training.plain(), "of": dict(self.of)}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self.folder / name)
        except (OSError, RuntimeError) as error:  # torch hides what the system said behind a RuntimeError
            partial.unlink(missing_ok=True)
            system = _system_error(error)
            last = f"the last one, {self.names()[-1]}, stays" if self.names() else "there is none yet"
            raise OSError(
                system.errno if system else None,
                f"a checkpoint could not be written ({system.strerror if system else error}); {last}: make room, and "
                "the same command goes on from there",
                str(self.folder),
            ) from error
        for old in self.names()[: -self.keep]:
            (self.folder / old).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """All that are there, the latest last."""
        return sorted(file.name for file in self.folder.glob(f"[0-9]*{SUFFIX}"))

    def sound(self) -> tuple[str | None, list[str]]:
        """The latest one that is whole, and those after it that are not."""
        broken: list[str] = []
        for name in reversed(self.names()):
            if whole(self.folder / name):
                return name, broken
            broken.append(name)
        return None, broken

    def read(self, name: str) -> Training:
        """
        Raises:
            ValueError: it is of another training.
        """
        saved = torch.load(self.folder / name, weights_only=True)
        found = saved.pop("of")
        for key, value in self.of.items():
            if found.get(key) != value:
                raise ValueError(
                    f"{self.folder / name} is a checkpoint of another training: its `{key}` is {found.get(key)!r}, and "
                    f"{value!r} is asked for; remove {self.folder} to begin anew."
                )
        return Training.of_plain(saved)


def whole(file: Path) -> bool:
    """Whether all that was written is there, bit for bit (each record has a checksum)."""
    try:
        with zipfile.ZipFile(file) as records:
            return records.testzip() is None
    except (zipfile.BadZipFile, EOFError, OSError):
        return False


def _system_error(error: BaseException | None) -> OSError | None:
    """The first error of the system behind an error."""
    while error is not None and not isinstance(error, OSError):
        error = error.__context__
    return error
