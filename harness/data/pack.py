"""From event logs to a packed store, once per content."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from harness.data.arrays import pack
from harness.data.disk import HashedFile, full_disk_explained, locked, publish, scratch
from harness.data.errors import DataError
from harness.data.items import ItemTable, read_items
from harness.data.read import read_batches
from harness.data.settings import DataSettings, TimeUnit
from harness.data.sources import Source, find_sources
from harness.data.store import (
    FORMAT,
    MANIFEST,
    REJECTED,
    Counts,
    Store,
    manifest_text,
    open_store,
)
from harness.data.validate import GOOD, REASONS, REJECTS, validate

Progress = Callable[[str], None]

LOG = "log.parquet"
"""Good rows between reading and sorting."""
_UNITS: dict[TimeUnit, str] = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
}


def prepare(settings: DataSettings, progress: Progress | None = None) -> Store:
    """Read, validate and pack the events, or find them packed (`Store.reused`).

    `progress` receives lines for a person. Raises `DataError` for wrong input (nothing is written then) and
    `OSError` when the machine fails, for instance with `ENOSPC` on a full disk (nothing is left then either).
    """
    say: Progress = progress or (lambda _: None)
    sources = find_sources(settings.event_locations)
    items = find_sources([settings.items]) if settings.items else []
    if len(items) > 1:
        raise DataError(
            f"`data.items` must name one file, but `{settings.items}` names {len(items)}. Name one of them."
        )
    fingerprint = _fingerprint(settings, sources, items)
    root = Path(settings.store).expanduser().absolute()
    name = fingerprint[:24]
    target = root / name
    if found := _find(target, fingerprint, settings, say):
        return found
    with full_disk_explained(root), locked(root, name):
        # Another process may have packed it while this one waited for the lock.
        if found := _find(target, fingerprint, settings, say):
            return found
        with scratch(root, name) as work:
            made = _build(settings, sources, items, fingerprint, work, say)
            publish(made, target, work)
    store = open_store(target)
    say(f"Packed {store.counts.events:,} events of {store.counts.users:,} users into `{target}`.")
    return store


def _find(target: Path, fingerprint: str, settings: DataSettings, say: Progress) -> Store | None:
    if not target.exists():
        return None
    try:
        store = open_store(target)
        if store.fingerprint != fingerprint:
            raise DataError(
                f"A store must be of its input, but `{target}` is of another. Run `lethe prepare`."
            )
    except DataError as error:
        say(f"{error} Packing again.")
        return None
    counts = store.counts
    # The limit may be lower now than when the store was packed.
    _check_limit(settings, counts.rejected, counts.rows, "events", f"see `{store.rejected_file}`")
    _check_limit(
        settings, counts.item_rows_rejected, counts.item_rows, "items", f"see `{store.rejected_file}`"
    )
    say(f"Found {counts.events:,} events of {counts.users:,} users packed in `{target}`: nothing to do.")
    return replace(store, reused=True)


def _fingerprint(settings: DataSettings, sources: list[Source], items: list[Source]) -> str:
    """Content and meaning of the input, not its place: the same bytes read alike are the same store."""
    content = {
        "format": FORMAT,
        "columns": settings.columns.model_dump(),
        "time_unit": settings.time_unit,
        "collapse_duplicates": settings.collapse_duplicates,
        "events": [(s.format, s.compression, s.digest()) for s in sources],
        "items": [(s.format, s.compression, s.digest()) for s in items],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass
class _Tally:
    """What happened to the rows read so far."""

    rows: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, rows: int, rejects: pa.Table) -> None:
        self.rows += rows
        for file, row, rule in zip(
            *(rejects.column(c).to_pylist() for c in ("file", "row", "rule")), strict=True
        ):
            self.reasons[rule] += 1
            self.first.setdefault(rule, f"row {row} of `{file}`")

    def check(self, settings: DataSettings, what: str) -> None:
        most = [f"{n} × {REASONS[rule]} ({self.first[rule]})" for rule, n in self.reasons.most_common()]
        unit = " (for the unit: `data.time_unit`)" if "wrong_unit" in self.reasons else ""
        _check_limit(settings, self.reasons.total(), self.rows, what, ", ".join(most) + unit)


def _check_limit(settings: DataSettings, rejected: int, rows: int, what: str, detail: str) -> None:
    if rejected > settings.max_rejected * rows:
        raise DataError(
            f"At most {settings.max_rejected:.4g} of the rows of {what} may be set aside, but {rejected} of "
            f"{rows} ({rejected / rows:.4g}) were: {detail}. Correct them, or raise `data.max_rejected`."
        )


def _build(
    settings: DataSettings,
    sources: list[Source],
    items: list[Source],
    fingerprint: str,
    work: Path,
    say: Progress,
) -> Path:
    made = work / "made"
    made.mkdir()
    files: dict[str, Any] = {}
    with HashedFile(made / REJECTED) as rejected, pacsv.CSVWriter(rejected, REJECTS) as rejects:
        tally = _ingest(settings, sources, work / LOG, rejects, say)
        tally.check(settings, "events")
        if tally.rows == 0 or tally.rows == tally.reasons.total():
            raise DataError(
                f"At least one event is needed, but {len(sources)} file(s) hold {tally.rows} rows and none "
                "is good. Look at `data.events` and `data.columns`."
            )
        table = read_items(items[0], settings) if items else None
        item_tally = _check_items(settings, table, rejects, say)
    files[REJECTED] = rejected.entry
    say(f"Read {tally.rows:,} rows, set {tally.reasons.total():,} aside; sorting.")
    packed = pack(work / LOG, made, table, settings.collapse_duplicates)
    counts = Counts(
        rows=tally.rows,
        rejected=tally.reasons.total(),
        by_reason=dict(tally.reasons),
        item_rows=item_tally.rows,
        item_rows_rejected=item_tally.reasons.total(),
        **packed.numbers,
    )
    about = {
        "packed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "inputs": [s.name for s in sources + items],
        "settings": settings.model_dump(include={"columns", "time_unit", "collapse_duplicates"}),
    }
    with HashedFile(made / MANIFEST) as manifest:
        manifest.write(manifest_text(fingerprint, counts, files | packed.files, about))
    for source in sources + items:
        if source.changed():
            raise DataError(
                f"A file must not change while it is read, but `{source.name}` did. Run it again."
            )
    return made


def _ingest(
    settings: DataSettings, sources: list[Source], rows: Path, rejects: pacsv.CSVWriter, say: Progress
) -> _Tally:
    """Write good rows to the Parquet file `rows` and the others to `rejects`."""
    columns = {role: name for role, name in settings.columns.model_dump().items() if name is not None}
    tally, units = _Tally(), Counter[TimeUnit]()
    with rows.open("xb") as file, pq.ParquetWriter(file, GOOD, compression="lz4") as good:
        for source in sources:
            say(f"Reading `{source.name}`.")
            for batch in read_batches(source, columns):
                result = validate(batch, settings)
                good.write_table(result.good)
                rejects.write_table(result.rejects)
                tally.add(len(batch.rows) + len(batch.malformed), result.rejects)
                for other, (n, example) in result.other_units.items():
                    units[other] += n
                    # Said at once, not after the whole log: most rows so far speak of one other unit.
                    if 2 * units[other] > tally.rows:
                        raise _wrong_unit(source, settings.time_unit, other, example)
    return tally


def _wrong_unit(source: Source, unit: TimeUnit, other: TimeUnit, example: float) -> DataError:
    return DataError(
        f"Timestamps must be in the unit of `data.time_unit`, which is `{unit}` ({_UNITS[unit]}), but those "
        f"of `{source.name}` look like {_UNITS[other]} (one is {example:.0f}). Set `data.time_unit: {other}`."
    )


def _check_items(
    settings: DataSettings, table: ItemTable | None, rejects: pacsv.CSVWriter, say: Progress
) -> _Tally:
    tally = _Tally()
    if table is not None:
        tally.add(table.rows, table.rejects)
        tally.check(settings, "items")
        rejects.write_table(table.rejects)
        if table.repeated:
            say(f"{table.repeated:,} rows of items repeat an item: the first row of each counts.")
    return tally
