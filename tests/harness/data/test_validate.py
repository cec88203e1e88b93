"""Every way a row can be bad, with the rule it breaks and its row number."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data import ColumnSettings, DataError, DataSettings, prepare
from tests.harness.data.conftest import left_behind

Make = Callable[..., DataSettings]
Write = Callable[..., str]

BAD = [
    (",1,1000000000,1", "missing_user"),
    ("   ,1,1000000000,1", "missing_user"),
    ("u,,1000000000,1", "missing_item"),
    ("u,1,,1", "missing_time"),
    ("u,1,yesterday,1", "unparsable_time"),
    ("u,1,2011-02-30,1", "unparsable_time"),
    ("u,1,0x10,1", "unparsable_time"),
    ("u,1,nan,1", "non_finite_time"),
    ("u,1,inf,1", "non_finite_time"),
    ("u,1,-1,1", "negative_time"),
    ("u,1,1969-12-31T23:59:59Z,1", "negative_time"),
    ("u,1,4102444801,1", "late_time"),
    ("u,1,9999-12-31,1", "late_time"),
    ("u,1,1291191960000,1", "wrong_unit"),
    ("u,1,1000000000,", "missing_weight"),
    ("u,1,1000000000,many", "unparsable_weight"),
    ("u,1,1000000000,nan", "non_finite_weight"),
    ("u,1,1000000000,1e39", "non_finite_weight"),
    ("u,1,1000000000,-0.5", "negative_weight"),
    ("u,1,1000000000", "fields"),
    ("u,1,1000000000,1,1", "fields"),
    ('u,"1\n2",1000000000,1', "line_break"),
    (",,,", "missing_user"),
]


@pytest.mark.parametrize(("line", "rule"), BAD)
def test_a_bad_row_is_set_aside(line: str, rule: str, log: Write, settings: Make) -> None:
    good = [f"u,{i},{1_000_000_000 + i},1" for i in range(5)]
    path = log([*good[:3], line, *good[3:]])
    store = prepare(settings(path, max_rejected=0.5))
    rejected = pd.read_csv(store.rejected_file)
    assert rejected[["file", "row", "rule"]].to_numpy().tolist() == [[path, 4, rule]]
    assert rejected.text[0].replace('"', "") == line.replace('"', "")
    assert (store.counts.rows, store.counts.events, store.counts.rejected) == (6, 5, 1)
    assert store.counts.by_reason == {rule: 1}


def test_all_bad_rows_at_once_keep_their_numbers(log: Write, settings: Make) -> None:
    lines = [line for pair in ((bad, "u,1,1000000000,1") for bad, _ in BAD) for line in pair]
    store = prepare(settings(log(lines), max_rejected=0.6))
    rejected = pd.read_csv(store.rejected_file)
    assert rejected.row.tolist() == [2 * i + 1 for i in range(len(BAD))]
    assert rejected.rule.tolist() == [rule for _, rule in BAD]


TYPED = "user_id,item_id,timestamp,type"
BAD_TYPES = [
    ("u,1,1000000000,", "missing_event_type"),
    ("u,1,1000000000,  ", "missing_event_type"),
    (",1,1000000000,", "missing_user"),
    ('u,1,1000000000,"view\n"', "line_break"),
    ("u,1,1000000000,caf\udce9", "encoding"),
]


@pytest.mark.parametrize(("line", "rule"), BAD_TYPES)
def test_a_row_without_its_event_type_is_set_aside(
    line: str, rule: str, tmp_path: Path, settings: Make
) -> None:
    path = tmp_path / "events.csv"
    text = "\n".join([TYPED, "u,1,1000000000,view", line, "u,2,1000000001,buy", ""])
    path.write_bytes(text.encode(errors="surrogateescape"))
    store = prepare(settings(str(path), columns={"event_type": "type"}, max_rejected=0.5))
    rejected = pd.read_csv(store.rejected_file)
    assert rejected[["row", "rule"]].to_numpy().tolist() == [[2, rule]]
    assert store.event_types.tolist() == ["buy", "view"]
    assert store.types.tolist() == [1, 0]


def test_text_that_is_not_utf8_is_set_aside(tmp_path: Path, settings: Make) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(b"user_id,item_id,timestamp,weight\nu,1,1000000000,1\nu,caf\xe9,1000000000,1\n")
    store = prepare(settings(str(path), max_rejected=0.5))
    rejected = pd.read_csv(store.rejected_file)
    assert rejected[["row", "rule"]].to_numpy().tolist() == [[2, "encoding"]]


def test_good_rows_of_odd_shapes(log: Write, settings: Make) -> None:
    rows = ["007, x ,1e9,0", 'é,"a,b", 1000000001 ,2', "", "7,NA,1000000002.5,3"]
    store = prepare(settings(log(rows)))
    assert store.users.tolist() == ["007", "é", "7"]
    assert store.item_ids.tolist() == [" x ", "NA", "a,b"]
    assert store.times.tolist() == [1e9, 1_000_000_001, 1_000_000_002.5]
    assert store.weights.tolist() == [0, 2, 3]


@pytest.mark.parametrize(("factor", "unit"), [(10**3, "ms"), (10**6, "us"), (10**9, "ns")])
def test_another_unit_is_refused_and_named(
    factor: int, unit: str, log: Write, settings: Make, tmp_path: Path
) -> None:
    seconds = [874724710, 1291191960, 1700000000]
    path = log([f"u,{i},{t * factor},1" for i, t in enumerate(seconds)])
    with pytest.raises(DataError, match=rf"Set `data.time_unit: {unit}`") as error:
        prepare(settings(path, max_rejected=1.0))
    assert str(seconds[0] * factor) in str(error.value)
    assert left_behind(tmp_path / "store") == []
    assert prepare(settings(path, time_unit=unit)).times.tolist() == seconds


def test_seconds_given_as_milliseconds_are_refused(log: Write, settings: Make) -> None:
    with pytest.raises(DataError, match=r"look like seconds .one is 1291191960.*time_unit: s`"):
        prepare(settings(log(["u,1,1291191960,1"]), time_unit="ms"))


def test_iso_and_zones(log: Write, settings: Make) -> None:
    rows = ["u,1,2011-01-02,1", "u,2,2011-01-02 03:04:05,1", "u,3,2011-01-02T03:04:05.5+02:00,1"]
    rows += ["u,4,2011-01-02T03:04:05Z,1", "u,5,1293937445,1"]
    store = prepare(settings(log(rows)))
    noon = datetime(2011, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
    expected = {"1": noon - 11045, "2": noon, "3": noon - 7199.5, "4": noon, "5": noon}
    got = {store.item_ids[i]: t for i, t in zip(store.items, store.times, strict=True)}
    assert got == expected


@pytest.mark.parametrize(
    "type_",
    [
        pa.timestamp("s"),
        pa.timestamp("ms"),
        pa.timestamp("us", "UTC"),
        pa.timestamp("ns", "Europe/Berlin"),
        pa.date32(),
        pa.int64(),
        pa.int32(),
        pa.float64(),
        pa.decimal128(12, 1),
    ],
)
def test_parquet_types_of_time(type_: pa.DataType, tmp_path: Path, settings: Make) -> None:
    day = 15_000
    unit = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    raw = day if pa.types.is_date(type_) else day * 86_400
    raw = raw * unit[type_.unit] if pa.types.is_timestamp(type_) else raw
    source = pa.array([raw, None], pa.int64() if not pa.types.is_date(type_) else pa.int32())
    times = (
        source.cast(pa.decimal128(20, 1)).cast(type_) if pa.types.is_decimal(type_) else source.cast(type_)
    )
    pq.write_table(
        pa.table({"user_id": [1, 2], "item_id": ["x", "y"], "timestamp": times}), tmp_path / "e.parquet"
    )
    store = prepare(settings(str(tmp_path / "e.parquet"), columns=ColumnSettings(), max_rejected=0.5))
    assert store.times.tolist() == [day * 86_400.0]
    assert store.counts.by_reason == {"missing_time": 1}


def test_parquet_rows_are_numbered_too(tmp_path: Path, settings: Make) -> None:
    table = pa.table(
        {
            "user_id": pa.array([1, None, 3, 4]),
            "item_id": pa.array(["x", "y", "z", "x"]).dictionary_encode(),
            "timestamp": [1e9, 1e9, float("nan"), 1e9],
            "weight": pa.array([1.0, 1.0, 1.0, None], pa.float32()),
        }
    )
    pq.write_table(table, tmp_path / "e.parquet")
    store = prepare(settings(str(tmp_path / "e.parquet"), max_rejected=0.9))
    rejected = pd.read_csv(store.rejected_file)
    assert list(zip(rejected.row, rejected.rule, strict=True)) == [
        (2, "missing_user"),
        (3, "non_finite_time"),
        (4, "missing_weight"),
    ]


def test_too_many_bad_rows_stop_and_leave_nothing(log: Write, settings: Make, tmp_path: Path) -> None:
    rows = [f"u,{i},1000000000,{-1 if i == 7 else 1}" for i in range(50)]
    with pytest.raises(
        DataError, match=r"0\.01 .*1 of 50 .*1 × the weight is negative \(row 8 of .*max_rejected"
    ) as e:
        prepare(settings(log(rows)))
    assert "\n" not in str(e.value)
    assert left_behind(tmp_path / "store") == []
    assert prepare(settings(log(rows), max_rejected=0.02)).counts.rejected == 1  # the limit itself is allowed


def test_a_lower_limit_counts_for_a_store_that_is_there(log: Write, settings: Make) -> None:
    path = log([f"u,{i},1000000000,{-1 if i == 7 else 1}" for i in range(50)])
    prepare(settings(path, max_rejected=0.5))
    with pytest.raises(DataError, match=r"1 of 50"):
        prepare(settings(path))


def test_nothing_good_is_an_error_at_any_limit(log: Write, settings: Make) -> None:
    with pytest.raises(DataError, match=r"none is good"):
        prepare(settings(log([",,,"]), max_rejected=1.0))
    with pytest.raises(DataError, match=r"0 rows"):
        prepare(settings(log([])))


def test_without_a_weight_column_everything_weighs_one(log: Write, settings: Make) -> None:
    store = prepare(settings(log(["u,1,1000000000,-5"]), columns=ColumnSettings()))
    assert np.array_equal(store.weights, [1.0])
