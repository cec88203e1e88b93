"""The optional table of items: titles and categories beside the vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from harness.data.errors import DataError
from harness.data.read import column_names, read_batches
from harness.data.settings import DataSettings
from harness.data.sources import Source, nearest
from harness.data.validate import (
    REASONS,
    REJECTS,
    as_text,
    is_blank,
    malformed_table,
    rejects_table,
    row_text,
)

ITEM, TITLE, CATEGORIES = "item_id", "title", "categories"
SEPARATOR = "|"


@dataclass(frozen=True)
class ItemTable:
    """Rows `item`, and `title` and `categories` where the file has them, one per item; `rejects` by schema
    `REJECTS`.
    """

    table: pa.Table
    rejects: pa.Table
    rows: int
    repeated: int


def read_items(source: Source, settings: DataSettings) -> ItemTable:
    """The table of items. Of several rows of one item the first counts; other columns are left alone."""
    present = column_names(source)
    # The file of items may call the id as the events do, or by its common name.
    item = settings.columns.item if settings.columns.item in present else ITEM
    if item not in present:
        raise DataError(
            f"The file of items must have the column of `item`, but `{source.name}` has no "
            f"`{settings.columns.item}`; {nearest(settings.columns.item, present)}. "
            "Rename it, or leave `items` out."
        )
    columns = {"item": item} | {name: name for name in (TITLE, CATEGORIES) if name in present}
    good, rejects, rows = [], [REJECTS.empty_table()], 0
    for batch in read_batches(source, columns):
        texts, encodings = zip(*(as_text(array) for array in batch.columns.values()), strict=True)
        encoding = sum(encodings) > 0
        missing = is_blank(texts[0]) & ~encoding
        for code, mask in (("encoding", encoding), ("missing_item", missing)):
            where = pa.array(mask.nonzero()[0])
            lines = row_text(array.take(where) for array in batch.columns.values())
            reasons = [REASONS[code]] * len(where)
            rejects.append(rejects_table(batch.file, batch.rows[mask], code, reasons, lines))
        rejects.append(malformed_table(batch))
        good.append(pa.table(list(texts), list(columns)).filter(pa.array(~(encoding | missing))))
        rows += len(batch.rows) + len(batch.malformed)
    table = (
        pa.concat_tables(good) if good else pa.table({role: pa.array([], pa.string()) for role in columns})
    )
    ids = table.column("item").combine_chunks()
    first = pc.index_in(pc.unique(ids), value_set=ids)
    return ItemTable(table.take(first), pa.concat_tables(rejects).sort_by("row"), rows, len(ids) - len(first))


def align(vocabulary: pa.Array, items: pa.Table | None) -> pa.Table:
    """The vocabulary [I] with the title and the list of categories of every item; null and [] where there is
    none.
    """
    columns: dict[str, pa.Array] = {"id": vocabulary}
    if items is not None:
        where = pc.index_in(vocabulary, value_set=items.column("item").combine_chunks())
        if TITLE in items.column_names:
            titles = pc.utf8_trim_whitespace(items.column(TITLE).combine_chunks().take(where))
            columns[TITLE] = pc.if_else(pc.equal(titles, ""), None, titles)
        if CATEGORIES in items.column_names:
            texts = pc.fill_null(items.column(CATEGORIES).combine_chunks().take(where), "").to_pylist()
            split = [[part.strip() for part in text.split(SEPARATOR) if part.strip()] for text in texts]
            columns[CATEGORIES] = pa.array(split, pa.list_(pa.string()))
    return pa.table(columns)


def main_categories(items: pa.Table) -> tuple[list[str], npt.NDArray[np.int32]]:
    """The first categories of aligned items: their names, ascending, and each item's number [I], -1 for none."""
    if CATEGORIES not in items.column_names:
        return [], np.full(len(items), -1, np.int32)
    first = [listed[0] if listed else None for listed in items.column(CATEGORIES).to_pylist()]
    names = sorted({name for name in first if name is not None})
    number = {name: n for n, name in enumerate(names)}
    return names, np.array([-1 if name is None else number[name] for name in first], np.int32)
