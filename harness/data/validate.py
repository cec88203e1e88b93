"""The rules an event must keep, applied to whole batches at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from harness.data.read import RawBatch, is_text
from harness.data.settings import EVENT, PER_SECOND, DataSettings, TimeUnit

EARLIEST = 0.0
"""1970-01-01 UTC, in seconds. Nobody's clicks are older; a negative time is a default or an overflow."""
LATEST = 4_102_444_800.0
"""2100-01-01 UTC, in seconds. Later times are placeholders, or seconds in name only."""
_USUAL = (157_766_400.0, LATEST)  # 1975 to 2100: no number lies in this range in two units at once

REASONS: dict[str, str] = {
    "fields": "wrong number of fields",
    "encoding": "text that is not UTF-8",
    "missing_user": "no user id",
    "missing_item": "no item id",
    "line_break": "a line break in an id or an event type: an unclosed quote before it",
    "missing_time": "no timestamp",
    "unparsable_time": "the timestamp is neither a number nor ISO 8601",
    "non_finite_time": "the timestamp is not finite",
    "negative_time": "the timestamp is before 1970",
    "wrong_unit": "the timestamp is after 2100, and plausible in another unit",
    "late_time": "the timestamp is after 2100",
    "missing_weight": "no weight",
    "unparsable_weight": "the weight is not a number",
    "non_finite_weight": "the weight is not finite",
    "negative_weight": "the weight is negative",
    "missing_event_type": "no event type",
}
"""Code → text. A row is set aside for the first rule it breaks, in this order."""

GOOD = pa.schema(
    [
        ("user", pa.string()),
        ("item", pa.string()),
        ("time", pa.float64()),
        ("weight", pa.float32()),
        ("type", pa.string()),
    ]
)
REJECTS = pa.schema(
    [
        ("file", pa.string()),
        ("row", pa.int64()),
        ("rule", pa.string()),
        ("reason", pa.string()),
        ("text", pa.string()),
    ]
)

_Mask = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]
_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$|^[+-]?(?i:nan|inf|infinity)$"
_SHOWN = 200


@dataclass(frozen=True)
class Validated:
    """`good` by schema `GOOD`, `rejects` by schema `REJECTS`, both in the order of the file.

    `kept` [n] says which rows of the batch are good. `other_units` says how many numeric timestamps make sense in a
    unit that is not the declared one, with an example.
    """

    good: pa.Table
    kept: _Mask
    rejects: pa.Table
    other_units: dict[TimeUnit, tuple[int, float]]


def validate(batch: RawBatch, settings: DataSettings) -> Validated:
    """Split a batch into events and rows set aside, and turn times into float64 unix seconds.

    Nanoseconds lose what is below 0.24 µs: that is the resolution of float64 today.
    """
    n = len(batch.rows)
    user, user_encoding = as_text(batch.columns["user"])
    item, item_encoding = as_text(batch.columns["item"])
    time = _times(batch.columns["time"], settings.time_unit)
    broken: dict[str, _Mask] = {
        "encoding": user_encoding | item_encoding | time.encoding,
        "missing_user": is_blank(user),
        "missing_item": is_blank(item),
        "line_break": _has_line_break(user) | _has_line_break(item),
        "missing_time": time.missing,
        "unparsable_time": time.unparsable,
        "non_finite_time": ~np.isfinite(time.values),
        "negative_time": time.values < EARLIEST,
        "wrong_unit": (time.values > LATEST) & time.plausible_elsewhere,
        "late_time": time.values > LATEST,
    }
    weights = np.ones(n, np.float32)
    if "weight" in batch.columns:
        weight = _numbers(batch.columns["weight"])
        # What float32 cannot hold becomes infinite, and is set aside as such.
        with np.errstate(over="ignore"):
            weights = weight.values.astype(np.float32) + np.float32(0)  # −0 becomes 0: equal, and alike
        broken["encoding"] |= weight.encoding
        broken["missing_weight"] = weight.missing
        broken["unparsable_weight"] = weight.unparsable
        broken["non_finite_weight"] = ~np.isfinite(weights)
        broken["negative_weight"] = weights < 0
    types = pa.repeat(EVENT, n)
    if "event_type" in batch.columns:
        types, encoding = as_text(batch.columns["event_type"])
        broken["encoding"] |= encoding
        broken["line_break"] |= _has_line_break(types)
        types = pc.utf8_trim_whitespace(types)
        broken["missing_event_type"] = is_blank(types)

    codes = list(REASONS)
    reason = np.zeros(n, np.int8)  # 0 is a good row; `fields` never gets here
    for code, mask in broken.items():
        reason[(reason == 0) & mask] = codes.index(code)
    kept = reason == 0
    good = pa.table([user, item, pa.array(time.values), pa.array(weights), types], schema=GOOD)
    return Validated(
        good=good if kept.all() else good.filter(pa.array(kept)),
        kept=kept,
        rejects=_rejects(batch, reason),
        other_units=time.other_units,
    )


def as_text(array: pa.Array) -> tuple[pa.Array, _Mask]:
    """As UTF-8 strings, and where the bytes are not UTF-8 (those become null)."""
    try:
        return array.cast(pa.string()), np.zeros(len(array), bool)
    except pa.ArrowInvalid:
        texts = [_decode(value) for value in array.to_pylist()]
        bad = [
            text is None and value is not None for text, value in zip(texts, array.to_pylist(), strict=True)
        ]
        return pa.array(texts, pa.string()), np.array(bad)


def _decode(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def is_blank(text: pa.Array) -> _Mask:
    """Where a string is missing, empty or white space."""
    return _mask(pc.fill_null(pc.equal(pc.utf8_trim_whitespace(text), ""), True))


def _has_line_break(text: pa.Array) -> _Mask:
    return _mask(pc.fill_null(pc.match_substring(text, "\n"), False))


def rejects_table(
    file: str, rows: Iterable[int], rule: str, reasons: Iterable[str], texts: pa.Array
) -> pa.Table:
    """Rows set aside for one rule, by schema `REJECTS`."""
    numbers = pa.array(rows, pa.int64())
    n = len(numbers)
    shown = pc.utf8_slice_codeunits(texts, 0, _SHOWN)
    return pa.table(
        [pa.repeat(file, n), numbers, pa.repeat(rule, n), pa.array(reasons, pa.string()), shown], REJECTS
    )


def malformed_table(batch: RawBatch) -> pa.Table:
    """The rows of a batch that have a wrong number of fields."""
    rows, reasons, texts = zip(*batch.malformed, strict=True) if batch.malformed else ((), (), ())
    return rejects_table(batch.file, rows, "fields", reasons, pa.array(texts, pa.string()))


def row_text(columns: Iterable[pa.Array]) -> pa.Array:
    """The mapped fields of rows joined by commas, to be shown to a person."""

    def shown(array: pa.Array) -> pa.Array:
        if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
            return pa.array(
                [None if v is None else v.decode(errors="replace") for v in array.to_pylist()], pa.string()
            )
        return array.cast(pa.string())

    return pc.binary_join_element_wise(
        *map(shown, columns), ",", null_handling="replace", null_replacement=""
    )


def _rejects(batch: RawBatch, reason: npt.NDArray[np.int8]) -> pa.Table:
    tables = [malformed_table(batch)]
    for number, (code, text) in enumerate(REASONS.items()):
        where = np.flatnonzero(reason == number)
        if number and len(where):
            texts = row_text(column.take(pa.array(where)) for column in batch.columns.values())
            tables.append(rejects_table(batch.file, batch.rows[where], code, [text] * len(where), texts))
    return pa.concat_tables(tables).sort_by("row")


@dataclass(frozen=True)
class _Numbers:
    values: _Floats  # NaN where there is none
    missing: _Mask
    unparsable: _Mask
    encoding: _Mask


@dataclass(frozen=True)
class _Times(_Numbers):
    plausible_elsewhere: _Mask
    other_units: dict[TimeUnit, tuple[int, float]]


def numbers(array: pa.Array) -> _Floats:
    """As numbers, NaN where there is none."""
    return _numbers(array).values


def _numbers(array: pa.Array) -> _Numbers:
    encoding = np.zeros(len(array), bool)
    if not is_text(array.type):
        return _Numbers(_floats(array), _mask(array.is_null()), encoding, encoding)
    text, encoding = as_text(array)
    text = pc.utf8_trim_whitespace(text)
    missing = is_blank(text)
    text = pc.if_else(pa.array(missing), None, text)
    unparsable = encoding & False
    try:
        values = text.cast(pa.float64())
    except pa.ArrowInvalid:  # some are no numbers: only now is it worth looking for them
        number = pc.match_substring_regex(text, _NUMBER)
        values = pc.if_else(number, text, None).cast(pa.float64())
        unparsable = ~_mask(pc.fill_null(number, True))
    return _Numbers(_floats(values), missing, unparsable, encoding)


def _times(array: pa.Array, unit: TimeUnit) -> _Times:
    nowhere = np.zeros(len(array), bool)
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        stamps = array if pa.types.is_timestamp(array.type) else array.cast(pa.timestamp("s"))
        values = _floats(stamps.cast(pa.int64())) / PER_SECOND[stamps.type.unit]
        return _Times(values, _mask(array.is_null()), nowhere, nowhere, nowhere, {})
    numbers = _numbers(array)
    values = numbers.values / PER_SECOND[unit]
    elsewhere = nowhere
    others: dict[TimeUnit, tuple[int, float]] = {}
    for other in PER_SECOND:
        fits = _plausible(numbers.values, other)
        if other != unit and fits.any():
            elsewhere = elsewhere | fits
            others[other] = int(fits.sum()), float(numbers.values[fits][0])
    unparsable = numbers.unparsable
    if unparsable.any():
        where = np.flatnonzero(unparsable)
        values[where] = _iso(array.take(pa.array(where)))
        unparsable = unparsable & np.isnan(values)
    return _Times(values, numbers.missing, unparsable, numbers.encoding, elsewhere, others)


def _iso(array: pa.Array) -> _Floats:
    """ISO 8601 texts as unix seconds, NaN for anything else; UTC where there is no zone."""
    text, _ = as_text(array)
    series = pd.Series(text.to_pylist(), dtype=object)
    stamps = pd.to_datetime(series, format="ISO8601", utc=True, errors="coerce")
    seconds = stamps.astype("datetime64[us, UTC]").astype("int64").to_numpy(np.float64) / 1e6
    return np.where(stamps.isna().to_numpy(), np.nan, seconds)


def _plausible(values: _Floats, unit: TimeUnit) -> _Mask:
    low, high = _USUAL
    return (values >= low * PER_SECOND[unit]) & (values <= high * PER_SECOND[unit])


def _floats(array: pa.Array) -> _Floats:
    # Nulls count as NaN. A copy: what Arrow hands out is read-only.
    return np.array(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def _mask(array: pa.Array) -> _Mask:
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=bool)
