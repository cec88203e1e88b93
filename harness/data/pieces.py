"""Event files to pieces on the disk: validated rows in numbers of the piece, and what these numbers mean."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.errors import DataError
from harness.data.read import Part, RawBatch, read_batches
from harness.data.settings import DataSettings, TimeUnit
from harness.data.sources import Source
from harness.data.tally import Tally
from harness.data.validate import GOOD, REJECTS, validate
from trainers.storage.exchange import unit

ROWS, SET_ASIDE, TALLY = "rows.arrow", "rejects.arrow", "tally.json"
IDS = {"user": "users.parquet", "item": "items.parquet", "type": "types.parquet"}
"""Column of a good row → the piece's file of its ids, in order of the numbers that the piece gave them."""
_UNITS: dict[TimeUnit, str] = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
}


def read_part(part: Part, settings: DataSettings, folder: Path, rows: int) -> int:
    """Write the pieces of a part, of at least `rows` rows but the last, that `folder` lacks; returns the rows read.

    Raises `DataError` where the file is not what it must be, or changes.
    """
    over = folder / f"part-{part.number:06d}.done"
    if over.exists():
        return sum(tally(piece).rows for piece in pieces(folder, part.number))
    batches = read_batches(part.source, settings.roles, part)
    read = 0
    for piece in pieces(folder, part.number):
        before = tally(piece)
        read += before.rows
        next(itertools.islice(batches, before.batches, before.batches), None)  # read past, not validated
    for number in itertools.count(len(pieces(folder, part.number))):
        collected = _collect(batches, part.source, settings, rows)
        if not collected.tally.batches and number:
            break
        _write(folder / f"{part.number:06d}-{number:06d}", collected)
        if part.source.changed():
            raise DataError(
                f"A file must not change while it is read, but `{part.source.name}` did. Run it again."
            )
        read += collected.tally.rows
        if collected.tally.rows < rows:
            break
    over.touch()
    return read


def pieces(folder: Path, part: int | None = None) -> list[Path]:
    """The pieces that are whole, of all parts or of one, in the order of the rows."""
    return sorted(folder.glob("[0-9]*-*" if part is None else f"{part:06d}-*"))


def tally(piece: Path) -> Tally:
    """What became of the rows of a piece."""
    return Tally.of((piece / TALLY).read_text())


def rejects(piece: Path) -> pa.Table:
    """The rows of a piece that were set aside, by schema `REJECTS`."""
    with pa.OSFile(str(piece / SET_ASIDE)) as file:
        return pa.ipc.open_file(file).read_all()


@dataclass
class _Collected:
    good: list[pa.Table] = field(default_factory=lambda: [GOOD.empty_table()])
    rejects: list[pa.Table] = field(default_factory=lambda: [REJECTS.empty_table()])
    tally: Tally = field(default_factory=Tally)


def _collect(batches: Iterator[RawBatch], source: Source, settings: DataSettings, rows: int) -> _Collected:
    collected, units = _Collected(), Counter[TimeUnit]()
    for batch in batches:
        result = validate(batch, settings)
        collected.good.append(result.good)
        collected.rejects.append(result.rejects)
        collected.tally.add(len(batch.rows) + len(batch.malformed), result.rejects)
        for other, (n, example) in result.other_units.items():
            units[other] += n
            # Said at once, not after the whole log: most rows so far speak of one other unit.
            if 2 * units[other] > collected.tally.rows:
                raise _wrong_unit(source, settings.time_unit, other, example)
        if collected.tally.rows >= rows:
            break
    return collected


def _wrong_unit(source: Source, unit: TimeUnit, other: TimeUnit, example: float) -> DataError:
    return DataError(
        f"Timestamps must be in the unit of `data.time_unit`, which is `{unit}` ({_UNITS[unit]}), but those "
        f"of `{source.name}` look like {_UNITS[other]} (one is {example:.0f}). Set `data.time_unit: {other}`."
    )


def _write(piece: Path, collected: _Collected) -> None:
    good = pa.concat_tables(collected.good)
    columns: dict[str, Any] = {name: good.column(name) for name in ("time", "weight")}
    with unit(piece) as made:
        for name, file in IDS.items():
            coded = good.column(name).combine_chunks().dictionary_encode()
            codes = coded.indices.to_numpy()
            columns[name] = codes
            ids = {"id": coded.dictionary}
            if name == "user":
                ids |= _moments(len(coded.dictionary), codes, good.column("time").to_numpy())
            # Ids are all different: a dictionary of them would be them once more.
            pq.write_table(pa.table(ids), made / file, compression="lz4", use_dictionary=False)
        write_arrow(made / ROWS, pa.table(columns))
        # One chunk: pyarrow 25 writes zeros for text where an empty chunk comes first in a table that becomes CSV.
        write_arrow(made / SET_ASIDE, pa.concat_tables(collected.rejects).combine_chunks())
        (made / TALLY).write_text(collected.tally.text())


def _moments(users: int, codes: Any, times: Any) -> dict[str, Any]:
    """By user of a piece, the first time and the number of events."""
    first = np.full(users, np.inf)
    np.minimum.at(first, codes, times)
    return {"first": first, "events": np.bincount(codes, minlength=users).astype(np.int64)}


def write_arrow(path: Path, table: pa.Table) -> None:
    """Write a table as an Arrow file, which is mapped and not read."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
