"""Good rows, in any order and any number, to numbered, sorted and packed arrays. DuckDB sorts, on the disk if
need be.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as pads

from harness.data.disk import HashedFile
from harness.data.errors import DataError
from harness.data.items import ItemTable, align, main_categories
from harness.data.store import CATEGORY_NAMES, ITEMS, TYPE_NAMES, USERS
from trainers.log import CATEGORY, LAYOUT

MEMORY_LIMIT = "1500MB"
"""What the sort may hold in memory; beyond it goes to the disk, beside the store."""
_SORTED_ROWS = 1 << 18
_MOST_TYPES = int(np.iinfo(LAYOUT["types"]).max) + 1


@dataclass(frozen=True)
class Packed:
    """What `pack` wrote: numbers for the counts, and file → entry of the manifest."""

    numbers: dict[str, int]
    files: dict[str, Any]


def pack(log: Path, made: Path, items: ItemTable | None, collapse: bool) -> Packed:
    """Number users, items and event types, sort the events and write every array."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": str(log.with_name("sort")),
        "preserve_insertion_order": False,
    }
    with duckdb.connect(":memory:", config=config) as db:
        db.execute("SET autoinstall_known_extensions = false")  # nothing is fetched behind the user's back
        db.register("log", pads.dataset(log, format="parquet"))
        # The first moment of a user, then the id, is the order of appearance in the log sorted by time, user,
        # item.
        _number(db, "user", "min(time)")
        _number(db, "item", "0")
        _number(db, "type", "0")
        users, ids, types = (_ids(db, table) for table in ("users", "items", "types"))
        if len(types) > _MOST_TYPES:
            raise DataError(
                f"A log must have at most {_MOST_TYPES:,} event types, but this one has {len(types):,}. Set "
                "`data.columns.event_type` to a column of fewer values, or leave it out."
            )
        catalogue = align(ids, items.table if items else None)
        categories, category = main_categories(catalogue)
        entries = {
            USERS: _write_table(made / USERS, pa.table({"id": users})),
            ITEMS: _write_table(made / ITEMS, catalogue),
            TYPE_NAMES: _write_table(made / TYPE_NAMES, pa.table({"id": types})),
            CATEGORY_NAMES: _write_table(
                made / CATEGORY_NAMES, pa.table({"id": pa.array(categories, pa.string())})
            ),
        }
        with HashedFile(made / CATEGORY[0]) as file:
            file.write(category.astype(CATEGORY[1]))
        entries[file.name] = file.entry
        ordered = db.sql(
            "SELECT u.number AS u, i.number AS i, time AS t, weight AS w, k.number AS k "
            "FROM log JOIN users u ON log.user = u.id JOIN items i ON log.item = i.id "
            "JOIN types k ON log.type = k.id ORDER BY u, t, i, w, k"
        ).to_arrow_reader(_SORTED_ROWS)
        arrays, events, duplicates = _write_arrays(made, ordered, len(users), collapse)
    collapsed = duplicates if collapse else 0
    numbers = {"users": len(users), "items": len(ids), "events": events}
    return Packed(numbers | {"duplicates": duplicates, "collapsed": collapsed}, entries | arrays)


def _number(db: duckdb.DuckDBPyConnection, column: str, first: str) -> None:
    """Make the table `<column>s` (id, number) numbered from 0 by `first`, then by id: as numbers if all ids
    are some.

    An id is a number if it comes back unchanged from one: `7` is, `007` and `7.0` are text.
    """
    db.execute(f'CREATE TEMP TABLE seen AS SELECT "{column}" AS id, {first} AS first FROM log GROUP BY 1')
    row = db.execute(
        "SELECT bool_and(coalesce(TRY_CAST(id AS BIGINT)::VARCHAR = id, false)) FROM seen"
    ).fetchone()
    key = "id::BIGINT" if row and row[0] else "id"
    db.execute(
        f"CREATE TABLE {column}s AS "
        f"SELECT id, (row_number() OVER (ORDER BY first, {key}) - 1)::INTEGER AS number FROM seen"
    )
    db.execute("DROP TABLE seen")


def _ids(db: duckdb.DuckDBPyConnection, table: str) -> pa.Array:
    return db.sql(f"SELECT id FROM {table} ORDER BY number").to_arrow_table().column("id").combine_chunks()


def _write_table(path: Path, table: pa.Table) -> dict[str, Any]:
    with HashedFile(path) as file:
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        file.flush()
    return file.entry


def _write_arrays(
    made: Path, ordered: pa.RecordBatchReader, users: int, collapse: bool
) -> tuple[dict[str, Any], int, int]:
    """Write sorted rows (u, i, t, w, k) as arrays. Returns their entries, the events written and the duplicates
    seen.
    """
    per_user = np.zeros(users, np.int64)
    duplicates = 0
    last: tuple[npt.NDArray[Any], ...] | None = None
    with contextlib.ExitStack() as stack:
        out = {name: stack.enter_context(HashedFile(made / f"{name}.bin")) for name in LAYOUT}
        for batch in ordered:
            if batch.num_rows == 0:
                continue
            columns = [batch.column(c).to_numpy(zero_copy_only=False) for c in "uitwk"]
            # A duplicate equals the row before it, also across batches.
            before = [
                np.concatenate((c[:1] if last is None else e, c[:-1]))
                for c, e in zip(columns, last or columns, strict=True)
            ]
            again = np.logical_and.reduce([c == b for c, b in zip(columns, before, strict=True)])
            again[0] &= last is not None
            duplicates += int(again.sum())
            last = tuple(c[-1:] for c in columns)
            u, i, t, w, k = (c[~again] for c in columns) if collapse else columns
            per_user += np.bincount(u, minlength=users)
            for name, values in (("items", i), ("times", t), ("weights", w), ("types", k)):
                out[name].write(np.ascontiguousarray(values, dtype=LAYOUT[name]))
        offsets = np.concatenate(([0], np.cumsum(per_user)))
        out["offsets"].write(offsets.astype(LAYOUT["offsets"]))
    return {file.name: file.entry for file in out.values()}, int(offsets[-1]), duplicates
