"""Files to record batches. Nothing is judged here except whether a line has the right number of fields."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from harness.data.errors import DataError
from harness.data.sources import Source, nearest

BLOCK_BYTES = 4 << 20
BATCH_ROWS = 1 << 18
NUMERIC = ("weight", "reward", "propensity")
"""Roles of columns that hold amounts."""
_HEADER_BYTES = 1 << 16


@dataclass(frozen=True)
class RawBatch:
    """Some rows of one file as they stand there.

    `rows` [n] are data row numbers: 1 is the first row after the header, blank lines are not counted.
    `columns` maps a role (`user`, `item`, …) to an array [n]: bytes for CSV, whatever type the file has for
    Parquet. `malformed` are rows with a wrong number of fields: number, reason, text.
    """

    file: str
    rows: npt.NDArray[np.int64]
    columns: dict[str, pa.Array]
    malformed: list[tuple[int, str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """What is read in one go: some row groups of a Parquet file, or a whole file.

    Attributes:
        number: parts are in the order of the files, and within a file in that of its rows.
        groups: row groups, None for all that the file has.
        before: rows of the file before the part.
    """

    source: Source
    number: int
    groups: range | None = None
    before: int = 0


def split_parts(sources: Sequence[Source], rows: int) -> list[Part]:
    """The parts of files: row groups of a Parquet file until they have so many rows. CSV is read from its start."""
    parts: list[Part] = []
    for source in sources:
        if source.format == "csv":
            parts.append(Part(source, len(parts)))
            continue
        with _opening(source) as file:
            sizes = [file.metadata.row_group(n).num_rows for n in range(file.metadata.num_row_groups)]
        if not sizes:  # its columns are looked at all the same
            parts.append(Part(source, len(parts), range(0)))
        first, before = 0, 0
        for last in range(len(sizes)):
            held = sum(sizes[first : last + 1])
            if last + 1 == len(sizes) or held + sizes[last + 1] > rows:
                parts.append(Part(source, len(parts), range(first, last + 1), before))
                first, before = last + 1, before + held
    return parts


@contextlib.contextmanager
def _opening(source: Source) -> Iterator[pq.ParquetFile]:
    try:
        with source.filesystem.open_input_file(source.path) as opened, pq.ParquetFile(opened) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"Every file must be readable, but {_explain(source, error)}") from error


def read_batches(source: Source, columns: Mapping[str, str], part: Part | None = None) -> Iterator[RawBatch]:
    """The rows of one file, or of a part of it, a few megabytes at a time. `columns` maps roles to names of columns.

    Raises `DataError` for a missing column and for a file that cannot be read to its end.
    """
    part = part or Part(source, 0)
    batches = _csv(source, columns) if source.format == "csv" else _parquet(part, columns)
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"Every file must be readable to its end, but {_explain(source, error)}"
            ) from error
        if batch is None:
            return
        yield batch


def column_names(source: Source) -> list[str]:
    """The columns of a file, from its header or its schema."""
    try:
        if source.format == "csv":
            return _header(source)
        with source.filesystem.open_input_file(source.path) as file:
            return list(pq.read_schema(file).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"Every file must be readable, but {_explain(source, error)}") from error


def _explain(source: Source, error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")[:300]
    if "straddling" in text or "out of sync" in text:
        return (
            f"`{source.name}` has a row of more than {BLOCK_BYTES >> 20} MiB: a quote was opened and never "
            "closed. Close it or double it."
        )
    way_out = (
        "Write or copy the file again; its text must be UTF-8."
        if source.format == "csv"
        else "Write it again."
    )
    return f"`{source.name}` is not: {text}. {way_out}"


def _check_columns(source: Source, wanted: Mapping[str, str], present: list[str]) -> None:
    for role, name in wanted.items():
        if name not in present:
            raise DataError(
                f"The column of `{role}` must be in every file, but `{source.name}` has no `{name}`; "
                f"{nearest(name, present)}. Set `data.columns.{role}`."
            )
        if present.count(name) > 1:
            raise DataError(
                f"A column must be there once, but `{source.name}` has `{name}` twice. Rename one."
            )


def _header(source: Source) -> list[str]:
    with source.filesystem.open_input_stream(source.path, compression=source.compression) as stream:
        start = bytes(stream.read(_HEADER_BYTES))
    try:
        # A character may be cut at the end of what was read; one that is broken before is an error.
        text = start.decode("utf-8-sig", errors="strict" if len(start) < _HEADER_BYTES else "ignore")
        lines = [line for line in text.splitlines() if line.strip()][:1]
    except UnicodeDecodeError as error:
        first = start.split(b"\n", 1)[0]
        try:
            lines = [first.decode("utf-8-sig")]
        except UnicodeDecodeError:
            raise DataError(
                f"Text must be UTF-8, but the header of `{source.name}` is not ({error.reason} at byte "
                f"{error.start}). Convert the file, for instance with `iconv -t utf-8`."
            ) from error
    if not lines:
        raise DataError(
            f"A file must have a header and rows, but `{source.name}` is empty. Remove or replace it."
        )
    return next(csv.reader(lines))


def _csv(source: Source, columns: Mapping[str, str]) -> Iterator[RawBatch]:
    _check_columns(source, columns, _header(source))
    pending: list[pacsv.InvalidRow] = []
    with (
        source.filesystem.open_input_stream(source.path, compression=source.compression) as stream,
        pacsv.open_csv(
            stream,
            # A parallel reader does not know the number of a malformed row.
            read_options=pacsv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
            parse_options=pacsv.ParseOptions(
                newlines_in_values=True, invalid_row_handler=_collector(pending)
            ),
            # Bytes, not text or numbers: `007` stays `007`, and one broken character does not end the
            # reading.
            convert_options=pacsv.ConvertOptions(
                include_columns=list(dict.fromkeys(columns.values())),  # one may have two roles
                column_types=dict.fromkeys(columns.values(), pa.binary()),
                strings_can_be_null=False,
            ),
        ) as reader,
    ):
        row = 1
        for batch in reader:
            # The reader works ahead: malformed rows beyond this batch wait for theirs.
            rows = _number_rows(
                batch.num_rows, row, np.array([r.number - 1 for r in pending], dtype=np.int64)
            )
            row = int(rows[-1]) + 1 if len(rows) else row
            ready = [r for r in pending if r.number - 1 < row]
            del pending[: len(ready)]
            arrays = {role: batch.column(name) for role, name in columns.items()}
            yield RawBatch(source.name, rows, arrays, [_malformed(source, r) for r in ready])
        if pending:
            none = {role: pa.array([], pa.binary()) for role in columns}
            yield RawBatch(source.name, np.empty(0, np.int64), none, [_malformed(source, r) for r in pending])


def _collector(into: list[pacsv.InvalidRow]) -> Callable[[pacsv.InvalidRow], str]:
    def collect(row: pacsv.InvalidRow) -> str:
        into.append(row)
        return "skip"

    return collect


def _malformed(source: Source, row: pacsv.InvalidRow) -> tuple[int, str, str]:
    number = row.number - 1  # the parser counts the header
    if "\n" in row.text:
        raise DataError(
            f"A quote must be closed on its line, but row {number} of `{source.name}` opens one that "
            "swallows the rows after it. Close it or double it."
        )
    return number, f"{row.actual_columns} fields where the header has {row.expected_columns}", row.text


def _number_rows(n: int, first: int, bad: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Numbers of `n` good rows when counting starts at `first` and the ascending numbers `bad` are skipped.

    >>> _number_rows(4, 1, np.array([2, 3, 6])).tolist()
    [1, 4, 5, 7]
    """
    good = np.arange(first, first + n, dtype=np.int64)
    return good + np.searchsorted(bad - np.arange(len(bad)), good, side="right")


def _parquet(part: Part, columns: Mapping[str, str]) -> Iterator[RawBatch]:
    source = part.source
    with source.filesystem.open_input_file(source.path) as opened, pq.ParquetFile(opened) as file:
        schema = file.schema_arrow
        _check_columns(source, columns, schema.names)
        for role, name in columns.items():
            _check_type(source, role, name, schema.field(name).type)
        row = 1 + part.before
        wanted = list(dict.fromkeys(columns.values()))
        for batch in file.iter_batches(BATCH_ROWS, None if part.groups is None else part.groups, wanted):
            arrays = {role: _plain(batch.column(name)) for role, name in columns.items()}
            yield RawBatch(source.name, np.arange(row, row + batch.num_rows, dtype=np.int64), arrays)
            row += batch.num_rows


def _plain(array: Any) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def is_text(type_: pa.DataType) -> bool:
    """Whether a column holds text, or bytes that should be text."""
    t = pa.types
    return bool(
        t.is_string(type_) or t.is_large_string(type_) or t.is_binary(type_) or t.is_large_binary(type_)
    )


def _check_type(source: Source, role: str, name: str, type_: pa.DataType) -> None:
    t = pa.types
    if t.is_dictionary(type_):
        type_ = type_.value_type
    if is_text(type_) or t.is_integer(type_):
        return
    number = t.is_floating(type_) or t.is_decimal(type_)
    if role == "time" and (number or t.is_timestamp(type_) or t.is_date(type_)):
        return
    if role in NUMERIC and number:
        return
    allowed = {"time": "numbers, text, dates or timestamps"} | dict.fromkeys(NUMERIC, "numbers or text")
    # 7.0 and '7' would be two ids for one thing.
    rule = allowed.get(role, "text or integers")
    raise DataError(
        f"The column of `{role}` must hold {rule}, but `{name}` in `{source.name}` is {type_}. "
        "Convert it where the file is written."
    )
