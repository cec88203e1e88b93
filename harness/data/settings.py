"""Settings of the block `data:` of a configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

TimeUnit = Literal["s", "ms", "us", "ns"]

PER_SECOND: dict[TimeUnit, float] = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
"""How many of a unit make one second."""

EVENT = "event"
"""The one event type of a log without a column for them."""

_URI = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")


def is_uri(location: str) -> bool:
    """Whether `location` names a filesystem (`s3://…`, `file:///…`) rather than a local path."""
    return _URI.match(location) is not None


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
    """Local directory of the packed stores, relative to the working directory."""

    @field_validator("events")
    @classmethod
    def _some_events(cls, value: str | list[str]) -> str | list[str]:
        if not value or (isinstance(value, list) and not all(value)):
            raise ValueError(f"`events` must name at least one file, but got {value!r}.")
        return value

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
