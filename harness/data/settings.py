"""Settings of the block `data:` of a configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from harness.masking import masked
from trainers.storage.place import is_uri

TimeUnit = Literal["s", "ms", "us", "ns"]

PER_SECOND: dict[TimeUnit, float] = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
"""How many of a unit make one second."""

EVENT = "event"
"""The one event type of a log without a column for them."""

LEAST_MEMORY = 256 * 10**6
"""Bytes: below it the interpreter and its libraries take more than the data."""

OBJECT_STORES = ("s3://", "gs://", "gcs://", "abfs://", "abfss://")

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(M|G|T)(i?)B")
_POWER = {"M": 2, "G": 3, "T": 4}


def _bytes(size: str) -> int | None:
    """`2GB` or `1.5 GiB` as bytes, None for anything else.

    >>> _bytes("2GB"), _bytes("1.5 GiB"), _bytes("much")
    (2000000000, 1610612736, None)
    """
    found = _SIZE.fullmatch(size.strip())
    if found is None:
        return None
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** _POWER[unit])


class ColumnSettings(BaseModel):
    """Which column of the event log holds what.

    Without `weight` every event weighs 1; without `event_type` all are of one type, called `event`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str = Field("user_id", min_length=1)
    item: str = Field("item_id", min_length=1)
    time: str = Field("timestamp", min_length=1)
    weight: str | None = Field(None, min_length=1)
    event_type: str | None = Field(None, min_length=1)


class DataSettings(BaseModel):
    """Where the events are and how they are read.

    `events` is a file, a directory, a glob (`*`, `?`, `[…]`, `**`) or a list of these, as a path or as the
    URI of any filesystem that pyarrow knows (`s3://`, `gs://`, `abfs://`, `hdfs://`, `file://`,
    `fsspec+<protocol>://`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: str | list[str]
    """CSV, CSV.gz or Parquet, one file or many."""
    items: str | None = None
    """Optional table of items with `title` and `categories` (`|` between them, the main one first).

    Where curves differ by category, one with few events is shrunk to the common curve: many small ones do no harm.
    """
    columns: ColumnSettings = ColumnSettings()
    repeats: bool = False
    """Whether an item may be wanted again (groceries, places, music) or is done with once seen (films)."""
    time_unit: TimeUnit = "s"
    """Unit of numeric timestamps. Text in ISO 8601 and Parquet timestamps carry their own; without a zone
    they are UTC.
    """
    max_rejected: float = Field(0.01, ge=0, le=1)
    """Largest share of rows that may be set aside before `prepare` stops."""
    collapse_duplicates: bool = False
    """Keep one of several events that agree in user, item, time, weight and event type."""
    store: str = Field(".lethe/store", min_length=1)
    """Directory of the packed stores, relative to the working directory; or the URI of one in object storage, which
    nodes without a shared disk read through a cache of their own.
    """
    append: bool = True
    """Whether new files beside those of a store are appended to it, and its users and items keep their numbers; if not,
    all files are packed anew.
    """
    memory: str | None = None
    """What preparation may hold in memory, such as `2GB`; a quarter of the machine's memory by default."""
    workers: int = Field(0, ge=0)
    """How many Ray tasks read and sort at once; 0: threads of this process, one a core."""

    @field_validator("events")
    @classmethod
    def _some_events(cls, value: str | list[str]) -> str | list[str]:
        if not value or (isinstance(value, list) and not all(value)):
            raise ValueError(f"`events` must name at least one file, but got {value!r}.")
        return value

    @field_validator("events", "items", "store")
    @classmethod
    def _no_login(cls, value: str | list[str] | None, info: ValidationInfo) -> str | list[str] | None:
        locations = [value] if isinstance(value, str) else value or []
        for location in locations:
            secret = masked(location) != location
            if secret and (info.field_name == "store" or location.startswith(OBJECT_STORES)):
                raise ValueError(
                    f"`{info.field_name}` must hold no key and no secret, but got {masked(location)!r}. Set them in "
                    "the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile)."
                )
        return value

    @field_validator("memory")
    @classmethod
    def _enough_memory(cls, value: str | None) -> str | None:
        if value is not None and (_bytes(value) or 0) < LEAST_MEMORY:
            raise ValueError(f"`memory` must be at least 256MB, as in `2GB`, but got {value!r}.")
        return value

    @property
    def memory_bytes(self) -> int | None:
        """`memory` in bytes."""
        return None if self.memory is None else _bytes(self.memory)

    @property
    def roles(self) -> dict[str, str]:
        """Role (`user`, `item`, `time`, …) → the column that has it."""
        return {role: name for role, name in self.columns.model_dump().items() if name is not None}

    @property
    def event_locations(self) -> list[str]:
        """`events` as a list."""
        return [self.events] if isinstance(self.events, str) else list(self.events)

    def resolve(self, base: Path) -> DataSettings:
        """The same settings with relative paths of `events` and `items` taken from `base`.

        `base` is the directory of the configuration file. URIs and absolute paths stay as they are, and so
        does `store`, which belongs to the place of work and not to the configuration.
        """

        def absolute(location: str) -> str:
            return location if is_uri(location) else str((base / Path(location).expanduser()).absolute())

        events = absolute(self.events) if isinstance(self.events, str) else [absolute(e) for e in self.events]
        return self.model_copy(
            update={"events": events, "items": None if self.items is None else absolute(self.items)}
        )
