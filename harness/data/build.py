"""A whole store in a folder: what the steps made, the names, the rows set aside, and the manifest."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from harness.data.arrays import Packed, put_together
from harness.data.disk import HashedFile
from harness.data.errors import DataError
from harness.data.find import Plan, Request
from harness.data.items import ItemTable, align, main_categories, read_items
from harness.data.manifest import (
    CATEGORY_NAMES,
    ITEMS,
    MANIFEST,
    REJECTED,
    SEGMENT,
    TYPE_NAMES,
    USERS,
    Counts,
    Manifest,
)
from harness.data.numbering import Numbers
from harness.data.pieces import rejects
from harness.data.segments import Segment, segments_of
from harness.data.sources import Source
from harness.data.steps import Steps
from harness.data.tally import Tally, joined
from harness.data.validate import REJECTS
from trainers.log import CATEGORY


def build(
    steps: Steps, asked: Request, plan: Plan, sources: list[Source], items: Source | None, made: Path
) -> None:
    """Write the store of a plan into the new folder `made`; `sources` are the files that its parent does not have.

    Raises `DataError` for wrong input.
    """
    made.mkdir()
    path, parent = plan.parent or (None, None)
    tally = steps.read(sources)
    tally.check(steps.settings, "events")
    if parent is None and tally.rows == tally.rejected:
        raise DataError(
            f"At least one event is needed, but {len(sources)} file(s) hold {tally.rows} rows and none "
            "is good. Look at `data.events` and `data.columns`."
        )
    table = read_items(items, steps.settings) if items else None
    item_tally = _item_tally(steps, table)
    older = segments_of(path, parent) if path and parent else []
    numbers = steps.number(path)
    steps.sort(numbers, older)
    if items and items.changed():
        raise DataError(f"A file must not change while it is read, but `{items.name}` did. Run it again.")

    folder = f"{SEGMENT}/" if parent else ""
    (made / folder).mkdir(exist_ok=True)
    packed = put_together(steps.folder, len(numbers.bounds) - 1, made / folder)
    files = {f"{folder}{name}": entry for name, entry in packed.files.items()}
    files |= _write_names(made, numbers, table)
    files[REJECTED], event_rejects = _write_rejects(made, steps, table, path, parent)
    counts = _counts(tally, item_tally, numbers, packed, steps.settings.collapse_duplicates, parent)
    manifest = Manifest(
        fingerprint=plan.fingerprint,
        counts=counts,
        files=files,
        meaning=asked.meaning,
        segments=plan.segments,
        items=asked.items,
        older=[segment.older() for segment in older],
        lineage=parent.lineage | {parent.fingerprint: parent.counts.users} if parent else {},
        last=_last(packed, older),
        appended=packed.events if parent else 0,
        event_rejects=event_rejects,
        inputs=asked.inputs,
        packed_at=datetime.now(UTC).replace(microsecond=0),
    )
    with HashedFile(made / MANIFEST) as file:
        file.write(manifest.model_dump_json(indent=1).encode())


def _last(packed: Packed, older: list[Segment]) -> float:
    return max([segment.last for segment in older] + ([] if packed.last is None else [packed.last]))


def _item_tally(steps: Steps, table: ItemTable | None) -> Tally:
    tally = Tally()
    if table is not None:
        tally.add(table.rows, table.rejects)
        tally.check(steps.settings, "items")
        if table.repeated:
            steps.say(f"{table.repeated:,} rows of items repeat an item: the first row of each counts.")
    return tally


def _counts(
    tally: Tally,
    item_tally: Tally,
    numbers: Numbers,
    packed: Packed,
    collapse: bool,
    parent: Manifest | None,
) -> Counts:
    before = parent.counts if parent else Counts(0, 0, 0, 0, 0, 0, 0)
    return Counts(
        rows=before.rows + tally.rows,
        events=before.events + packed.events,
        users=numbers.counts["user"],
        items=numbers.counts["item"],
        rejected=before.rejected + tally.rejected,
        duplicates=before.duplicates + packed.duplicates,
        collapsed=before.collapsed + (packed.duplicates if collapse else 0),
        by_reason=joined(before.by_reason, tally.reasons),
        item_rows=item_tally.rows,
        item_rows_rejected=item_tally.rejected,
    )


def _write_names(made: Path, numbers: Numbers, table: ItemTable | None) -> dict[str, Any]:
    """Write the vocabularies, the items' titles and categories beside theirs."""
    catalogue = align(numbers.ids("item"), table.table if table else None)
    categories, category = main_categories(catalogue)
    named = pa.table({"id": pa.array(categories, pa.string())})
    entries = {
        USERS: _write_table(made / USERS, pa.table({"id": numbers.ids("user")})),
        ITEMS: _write_table(made / ITEMS, catalogue),
        TYPE_NAMES: _write_table(made / TYPE_NAMES, pa.table({"id": numbers.ids("type")})),
        CATEGORY_NAMES: _write_table(made / CATEGORY_NAMES, named),
    }
    with HashedFile(made / CATEGORY[0]) as file:
        file.write(category.astype(CATEGORY[1]))
    return entries | {file.name: file.entry}


def _write_table(path: Path, table: pa.Table) -> dict[str, Any]:
    with HashedFile(path) as file:
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        file.flush()
    return file.entry


def _write_rejects(
    made: Path, steps: Steps, table: ItemTable | None, path: Path | None, parent: Manifest | None
) -> tuple[dict[str, Any], int]:
    """Write the rows set aside: events of the parent, new events, items. Returns the bytes of the events too."""
    with HashedFile(made / REJECTED) as file:
        if path and parent:
            with (path / REJECTED).open("rb") as before:
                file.write(before.read(parent.event_rejects))
        plain = pacsv.WriteOptions(include_header=parent is None)
        with pacsv.CSVWriter(file, REJECTS, write_options=plain) as writer:
            for piece in steps.pieces:
                writer.write_table(rejects(piece))
        events = file.entry["bytes"]
        if table is not None:
            with pacsv.CSVWriter(
                file, REJECTS, write_options=pacsv.WriteOptions(include_header=False)
            ) as writer:
                writer.write_table(table.rejects)
    return file.entry, events
