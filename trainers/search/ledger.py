"""What is finished of a search, on disk, by content: a search that was killed finds it and goes on with the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainers.model import ModelSettings
from trainers.search.halving import Reading, Stop, stop_of
from trainers.storage.files import whole

STOPPED = ".stopped.json"
ABOUT_FILE = "about"
"""No entry ends like that."""


@dataclass(frozen=True)
class Entry:
    """One trial as it is written down.

    Attributes:
        readings: its values on the way, as (epochs or share of users, value), where a search looks at such.
        value: of the whole trial; None for one that was stopped after the last of the readings.
        file: of the whole trial's values by query.
        at: how far it came, in epochs or share of users.
    """

    readings: tuple[Reading, ...]
    value: float | None = None
    file: str | None = None
    at: float = 0.0

    def stop(self, cutoffs: Sequence[Reading]) -> Stop | None:
        """Where these cut-offs stop the trial; None where they let it end."""
        return stop_of(self.readings, cutoffs)

    def serves(self, cutoffs: Sequence[Reading]) -> bool:
        """Whether it says how a trial of the same content ends under these cut-offs: it is whole, or was not stopped
        before they would stop it."""
        return self.value is not None or self.stop(cutoffs) is not None


class Ledger:
    """A folder of entries, each written whole or not at all: `<key>.json` beside `<key>.npy` for a whole trial,
    `<key>.stopped.json` for one that was stopped, which a whole one makes void."""

    def __init__(self, folder: Path, objective: str) -> None:
        self.folder = folder
        self.objective = objective

    def sign(self, about: dict[str, Any]) -> None:
        """Say what the values are of, for a later search that would start from them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / ABOUT_FILE, json.dumps(about, indent=1).encode())

    def file(self, settings: ModelSettings) -> Path:
        content = json.dumps([self.objective, settings.model_dump(mode="json")], sort_keys=True)
        return self.folder / f"{hashlib.sha256(content.encode()).hexdigest()[:24]}.json"

    def find(self, settings: ModelSettings, cutoffs: Sequence[Reading] = ()) -> Entry | None:
        """The entry that says how a trial of this content ends under these cut-offs. An entry that cannot be read is
        none, so that its trial runs again."""
        file = self.file(settings)
        values = file.with_suffix(".npy")
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(file.read_text())
            np.load(values, mmap_mode="r")
            return Entry(_readings(content), float(content["value"]), str(values), float(content["at"]))
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(file.with_suffix(STOPPED).read_text())
            entry = Entry(_readings(content), at=float(content["at"]))
            if entry.serves(cutoffs):
                return entry
        return None

    def enter(
        self,
        settings: ModelSettings,
        values: npt.NDArray[np.float64] | None,
        seconds: float,
        *,
        params: dict[str, Any] | None = None,
        readings: Sequence[Reading] = (),
        at: float = 0.0,
    ) -> None:
        """Write a trial down; without `values` it was stopped.

        Raises:
            OSError: there is no room: nothing is left of the entry then.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.file(settings)
        content = {
            "value": None if values is None else float(values.mean()),
            "seconds": seconds,
            "params": params or {},
            "readings": list(readings),
            "at": at,
            "model": settings.model_dump(mode="json"),
        }
        text = json.dumps(content).encode()
        if values is None:
            _write(file.with_suffix(STOPPED), text)
            return
        _write(file.with_suffix(".npy"), values)
        _write(file, text)  # last: an entry that can be seen has its values beside it


def _write(file: Path, content: bytes | npt.NDArray[np.float64]) -> None:
    with whole(file) as partial, partial.open("wb") as stream:
        if isinstance(content, bytes):
            stream.write(content)
        else:
            np.save(stream, content)


def _readings(content: dict[str, Any]) -> tuple[Reading, ...]:
    return tuple((float(at), float(value)) for at, value in content["readings"])
