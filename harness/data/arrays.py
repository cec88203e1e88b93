"""Pieces to the arrays of a packed log: encoded piece by piece, sorted shard by shard, put together.

A shard is a range of users, so the arrays of the shards one after another are those of the log.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from harness.data.disk import HashedFile
from harness.data.engine import connect
from harness.data.numbering import Numbers
from harness.data.pieces import IDS, ROWS
from harness.data.rows import ORDER, Rows, found, repeated, sorted_rows, take
from harness.data.segments import Segment
from trainers.log import LAYOUT
from trainers.storage.exchange import unit

_CHUNK = 1 << 24
_COLUMNS = {"users": "user", "items": "item", "times": "time", "weights": "weight", "types": "type"}


def encode(piece: Path, numbers: Numbers, folder: Path, memory: int) -> None:
    """Write the rows of a piece in the log's numbers, a batch for each shard, and drop those in the piece's."""
    target = folder / "encoded" / f"{piece.name}"
    if not target.exists():
        with unit(target) as made, pa.memory_map(str(piece / ROWS)) as file:
            coded = pa.ipc.open_file(file).read_all()
            rows: dict[str, Any] = {}
            for name, column in _COLUMNS.items():
                values = coded.column(column).to_numpy()
                if column in IDS:
                    values = _numbers_of(piece, column, numbers, made / "spill", memory)[values]
                rows[name] = values
            _write_shards(made / ROWS, rows, np.array(numbers.bounds))
    (piece / ROWS).unlink(missing_ok=True)


def _numbers_of(
    piece: Path, column: str, numbers: Numbers, spill: Path, memory: int
) -> npt.NDArray[np.int32]:
    """[n] the log's number of each id of a piece."""
    with connect(spill, memory, 1) as db:
        found = db.execute(
            "SELECT number FROM read_parquet($piece, file_row_number = true) AS piece "
            "JOIN read_parquet($log) USING (id) ORDER BY piece.file_row_number",
            {"piece": str(piece / IDS[column]), "log": str(numbers.table(column))},
        )
        return np.asarray(found.fetchnumpy()["number"], np.int32)


def _write_shards(file: Path, rows: dict[str, npt.NDArray[Any]], bounds: npt.NDArray[np.int64]) -> None:
    shards = len(bounds) - 1
    if shards > 1:
        shard = np.searchsorted(bounds[1:-1], rows["users"], side="right")
        order = np.argsort(shard.astype(np.uint16 if shards < 1 << 16 else np.int64), kind="stable")
        rows = take(rows, order)
        ends = np.cumsum(np.bincount(shard, minlength=shards)).tolist()
    else:
        ends = [len(rows["users"])]
    table = pa.table(rows)
    with pa.OSFile(str(file), "wb") as out, pa.ipc.new_file(out, table.schema) as writer:
        for low, high in zip([0, *ends], ends, strict=False):
            # A batch even where it is empty: the number of a batch is that of its shard.
            part = table.slice(low, high - low).combine_chunks().to_batches()
            writer.write_batch(part[0] if part else pa.RecordBatch.from_pylist([], table.schema))


def pack_shard(
    shard: int,
    pieces: Sequence[str],
    numbers: Numbers,
    folder: Path,
    collapse: bool,
    older: Sequence[Segment],
) -> None:
    """Sort the events of a shard's users, and leave out duplicates where told, also of events of `older` segments."""
    target = folder / "packed" / f"{shard:06d}"
    if target.exists():
        return
    low, high = numbers.bounds[shard : shard + 2]
    rows = sorted_rows(_read_shard(shard, [folder / "encoded" / name / ROWS for name in pieces]))
    again = repeated(rows)
    for segment in older:
        again |= _known(rows, segment)
    if collapse:
        rows = take(rows, ~again)
    with unit(target) as made:
        for name in ORDER:
            np.ascontiguousarray(rows[name], LAYOUT[name]).tofile(made / f"{name}.bin")
        counts = np.bincount(rows["users"] - low, minlength=high - low)
        counts.astype(LAYOUT["offsets"]).tofile(made / "counts.bin")
        last = float(rows["times"].max()) if len(rows["times"]) else None
        about = {"duplicates": int(again.sum()), "events": len(rows["times"]), "last": last}
        (made / "about.json").write_text(json.dumps(about))


def _read_shard(shard: int, files: Sequence[Path]) -> dict[str, npt.NDArray[Any]]:
    batches = []
    for path in files:
        with pa.memory_map(str(path)) as file:
            batches.append(pa.ipc.open_file(file).get_batch(shard))
    kinds = LAYOUT | {"users": "<i4"}
    return {
        name: np.concatenate([np.zeros(0, kinds[name]), *(b.column(name).to_numpy() for b in batches)])
        for name in _COLUMNS
    }


def _known(rows: Rows, segment: Segment) -> npt.NDArray[np.bool_]:
    """[n] which events an older segment has: only late ones, of a user that it knows, are looked for."""
    known = (rows["times"] <= segment.last) & (rows["users"] < segment.users)
    late = take(rows, known)
    if len(late["users"]):
        old = segment.arrays()
        known[known] = found(old["offsets"], old, late["users"], late)
    return known


@dataclass(frozen=True)
class Packed:
    """What `put_together` wrote: how many events and duplicates, the last moment, and file → entry of the manifest."""

    events: int
    duplicates: int
    last: float | None
    files: dict[str, Any]


def put_together(folder: Path, shards: int, made: Path) -> Packed:
    """Write the arrays of `LAYOUT` from those of the shards into `made`."""
    parts = [folder / "packed" / f"{shard:06d}" for shard in range(shards)]
    files = {}
    for name in ORDER:
        with HashedFile(made / f"{name}.bin") as file:
            for part in parts:
                for chunk in _chunks(part / f"{name}.bin"):
                    file.write(chunk)
        files[file.name] = file.entry
    counts = np.concatenate([np.fromfile(part / "counts.bin", LAYOUT["offsets"]) for part in parts])
    with HashedFile(made / "offsets.bin") as file:
        file.write(np.concatenate(([0], np.cumsum(counts))).astype(LAYOUT["offsets"]))
    files[file.name] = file.entry
    about = [json.loads((part / "about.json").read_text()) for part in parts]
    return Packed(
        sum(each["events"] for each in about),
        sum(each["duplicates"] for each in about),
        max((each["last"] for each in about if each["last"] is not None), default=None),
        files,
    )


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk
