"""Numbers for all users, items and event types of the pieces, after those that an older store has given."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from harness.data.engine import connect
from harness.data.errors import DataError
from harness.data.manifest import ITEMS, TYPE_NAMES, USERS
from harness.data.pieces import IDS
from trainers.log import LAYOUT
from trainers.storage.exchange import unit

VOCABULARIES = {"user": USERS, "item": ITEMS, "type": TYPE_NAMES}
"""Column → file of its ids [n] in order of number, in a store and in `numbers`."""
_MOST_TYPES = int(np.iinfo(LAYOUT["types"]).max) + 1
_BOUNDS = "bounds.json"
_BATCH = 1 << 18


@dataclass(frozen=True)
class Numbers:
    """What `give_numbers` left in a folder.

    Attributes:
        counts: column (`user`, `item`, `type`) → how many there are.
        bounds: [S + 1] users; shard s has the users `bounds[s]:bounds[s + 1]`.
    """

    folder: Path
    counts: dict[str, int]
    bounds: list[int]

    @classmethod
    def open(cls, folder: Path) -> Numbers:
        return cls(folder, **json.loads((folder / _BOUNDS).read_text()))

    def table(self, column: str) -> Path:
        """Parquet file of `id` and `number`."""
        return self.folder / f"{column}.parquet"

    def ids(self, column: str) -> pa.Array:
        """[n] the ids in order of number."""
        return read_ids(self.folder / VOCABULARIES[column])


def read_ids(file: Path) -> pa.Array:
    """The ids of a vocabulary, mapped."""
    column = pa.ipc.open_file(pa.memory_map(str(file))).read_all().column("id")
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def give_numbers(
    folder: Path, pieces: list[Path], old: Path | None, memory: int, threads: int, shard_rows: int
) -> Numbers:
    """Number the ids of all pieces and write them to `folder/numbers`, or find that done.

    Users are numbered by their first moment, then by id, which is the order of appearance in the log sorted by time;
    items and event types by id. Where `old`, the folder of a store, has given numbers, these stay and new ids come
    after them, in the same order among themselves. Shards are cut from users in order of number so that each has at
    most `shard_rows` events, but for a user with more.
    """
    target = folder / "numbers"
    if not target.exists():
        with unit(target) as made, connect(made / "spill", memory, threads) as db:
            counts = {}
            for column, file in IDS.items():
                known = read_ids(old / VOCABULARIES[column]) if old else pa.array([], pa.string())
                _number(db, [str(piece / file) for piece in pieces], known, column == "user")
                counts[column] = _write(db, made, column)
                if column == "user":
                    bounds = _bounds(db, counts[column], shard_rows)
                db.execute("DROP TABLE seen; DROP TABLE numbered")
            if counts["type"] > _MOST_TYPES:
                raise DataError(
                    f"A log must have at most {_MOST_TYPES:,} event types, but this one has {counts['type']:,}. "
                    "Set `data.columns.event_type` to a column of fewer values, or leave it out."
                )
            (made / _BOUNDS).write_text(json.dumps({"counts": counts, "bounds": bounds}))
    return Numbers.open(target)


def _number(db: duckdb.DuckDBPyConnection, files: list[str], known: pa.Array, users: bool) -> None:
    """Make the tables `seen` (id, first, events) and `numbered` (id, number).

    Ids compare as numbers if all that are new are some: an id is a number if it comes back unchanged from one: `7`
    is, `007` and `7.0` are text.
    """
    db.execute("CREATE TABLE seen (id VARCHAR, first DOUBLE, events BIGINT)")
    if files:
        first, events = ("min(first)", "sum(events)") if users else ("0", "0")
        db.execute(
            f"INSERT INTO seen SELECT id, {first}, {events} FROM read_parquet($files) GROUP BY id",
            {"files": files},
        )
    db.register("known", pa.table({"id": known, "number": np.arange(len(known), dtype=np.int64)}))
    new = "FROM seen ANTI JOIN known USING (id)"
    row = db.execute(
        f"SELECT bool_and(coalesce(TRY_CAST(id AS BIGINT)::VARCHAR = id, false)) {new}"
    ).fetchone()
    key = "id::BIGINT" if row and row[0] else "id"
    db.execute(
        f"CREATE TABLE numbered AS SELECT id, number::INTEGER AS number FROM known UNION ALL "
        f"SELECT id, ({len(known)} + row_number() OVER (ORDER BY first, {key}) - 1)::INTEGER {new}"
    )


def _write(db: duckdb.DuckDBPyConnection, made: Path, column: str) -> int:
    count = 0
    with (
        pa.OSFile(str(made / VOCABULARIES[column]), "wb") as file,
        pa.ipc.new_file(file, pa.schema([("id", pa.string())])) as writer,
    ):
        for batch in db.sql("SELECT id FROM numbered ORDER BY number").to_arrow_reader(_BATCH):
            writer.write_batch(batch.cast(pa.schema([("id", pa.string())])))
            count += batch.num_rows
    db.table("numbered").write_parquet(str(made / f"{column}.parquet"), compression="lz4")
    return count


def _bounds(db: duckdb.DuckDBPyConnection, users: int, rows: int) -> list[int]:
    events: npt.NDArray[np.int64] = np.zeros(users, np.int64)
    for batch in db.sql("SELECT number, events FROM numbered JOIN seen USING (id)").to_arrow_reader(_BATCH):
        events[batch.column("number").to_numpy()] = batch.column("events").to_numpy()
    ends, bounds = np.cumsum(events), [0]
    while bounds[-1] < users:
        before = int(ends[bounds[-1] - 1]) if bounds[-1] else 0
        bounds.append(max(int(np.searchsorted(ends, before + rows, side="right")), bounds[-1] + 1))
    return bounds if len(bounds) > 1 else [0, users]
