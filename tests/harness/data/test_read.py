"""Where events may come from, and what is said when they cannot."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import fsspec  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from harness.data import ColumnSettings, DataError, DataSettings, prepare, read
from harness.data.sources import find_sources
from tests.harness.data.conftest import HEADER, ROWS, left_behind, same
from tests.storage import Storage

Make = Callable[..., DataSettings]
Write = Callable[..., str]


def test_every_kind_of_input_gives_the_same_arrays(log: Write, settings: Make, tmp_path: Path) -> None:
    plain = prepare(settings(log(ROWS)))
    frame = pd.read_csv(io.StringIO("\n".join([HEADER, *ROWS])), dtype={"item_id": str})
    frame.to_parquet(tmp_path / "events.parquet")
    frame.astype({"item_id": "category"}).to_parquet(tmp_path / "dictionary.parquet")
    log(ROWS[:3], "parts/2020/a.csv"), log(ROWS[3:5], "parts/b.csv.gz"), log(ROWS[5:], "parts/c.csv")
    log(["junk"], "parts/_SUCCESS.csv"), log(["junk"], "parts/.part.csv")
    memory = fsspec.filesystem("memory")
    memory.pipe("/lethe/one.csv", Path(log(ROWS[:4], "one.csv")).read_bytes())
    memory.pipe("/lethe/two.csv.gz", Path(log(ROWS[4:], "two.csv.gz")).read_bytes())
    inputs: list[str | list[str]] = [
        log(ROWS, "zipped.csv.gz"),
        str(tmp_path / "events.parquet"),
        str(tmp_path / "dictionary.parquet"),
        [str(tmp_path / "one.csv"), str(tmp_path / "two.csv.gz")],
        str(tmp_path / "parts"),
        str(tmp_path / "parts/**/*.csv*")[:-1].replace("*.csv", "[abc].csv*"),
        (tmp_path / "events.csv").as_uri(),
        (tmp_path / "parts").as_uri(),
        tmp_path.as_uri() + "/[ot][nw][eo].csv*",
        "fsspec+memory://lethe/*.csv*",
        "fsspec+memory://lethe",
        log(["\n" + row for row in ROWS], "blank-lines.csv"),
        log(list(reversed(ROWS)), "reversed.csv"),
        log(
            [r.replace(",", ",x,", 1) for r in ROWS],
            "wide.csv",
            "\ufeffuser_id,extra,item_id,timestamp,weight",
        ),
    ]
    for events in inputs:
        assert same(prepare(settings(events)), plain), events


def test_a_glob_stops_at_a_slash_and_files_count_once(log: Write, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "deep/c.csv", "d.parquet"):
        log([], name)
    names = [Path(s.path).name for s in find_sources([str(tmp_path / "*.csv"), str(tmp_path / "a.csv")])]
    assert names == ["a.csv", "b.csv"]
    assert [Path(s.path).name for s in find_sources([str(tmp_path / "**/*.csv")])] == [
        "a.csv",
        "b.csv",
        "c.csv",
    ]
    assert [Path(s.path).name for s in find_sources([str(tmp_path / "[!b].csv")])] == ["a.csv"]


def test_files_of_two_endpoints_are_two(storage: Storage, tmp_path: Path) -> None:
    storage.write(f"{tmp_path.name}/events.csv", b"")
    there = storage.uri(f"{tmp_path.name}/events.csv")
    elsewhere = there.replace("127.0.0.1", "localhost")
    folder = storage.uri(tmp_path.name)
    assert [source.name for source in find_sources([there, elsewhere, there, folder])] == [there, elsewhere]


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("missing.csv", "does not"),
        ("none-*.csv", "no file matches"),
        ("empty", "directory with none"),
        ("events.xlsx", r"must end in one of \.csv, \.csv\.gz"),
        ("magic://x/y.csv", "Unrecognized filesystem"),
        ("file://not a uri", "Correct the path or the URI"),
    ],
)
def test_a_wrong_location_is_one_clear_line(
    location: str, message: str, settings: Make, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "events.xlsx").touch()
    with pytest.raises(DataError, match=message) as error:
        prepare(settings(location if "://" in location else str(tmp_path / location)))
    assert location in str(error.value)
    assert "\n" not in str(error.value)
    assert left_behind(tmp_path / "store") == []


def test_an_unknown_column_names_the_nearest(log: Write, settings: Make, tmp_path: Path) -> None:
    path = log(["1,2,3"], header="userId,movieId,Timestamp")
    with pytest.raises(DataError, match=r"no `user_id`; the nearest is `userId` \(present: .*`movieId`"):
        prepare(settings(path, columns=ColumnSettings()))
    pq.write_table(pq.read_table(_parquet(tmp_path, {"user_id": ["u"]})), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"no `item_id`"):
        prepare(settings(str(tmp_path / "x.parquet")))
    with pytest.raises(DataError, match=r"twice"):
        prepare(
            settings(
                log(["1,2,3,4"], "double.csv", "user_id,item_id,timestamp,user_id"), columns=ColumnSettings()
            )
        )


def _parquet(tmp_path: Path, columns: dict[str, list[object]]) -> Path:
    path = tmp_path / "made.parquet"
    pd.DataFrame(columns).to_parquet(path)
    return path


def test_ids_that_are_fractions_are_refused(settings: Make, tmp_path: Path) -> None:
    path = _parquet(tmp_path, {"user_id": [7.0, None], "item_id": [1, 2], "timestamp": [1e9, 1e9]})
    with pytest.raises(DataError, match=r"must hold text or integers, but `user_id` .* is double"):
        prepare(settings(str(path), columns=ColumnSettings()))


def _text(rows: int) -> bytes:
    return "\n".join([HEADER, *(f"{i},{i * 7919 % 1001},{10**9 + i},1" for i in range(rows))]).encode()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "is empty"),
        ("cut.csv.gz", gzip.compress(_text(20_000))[:-2000], "Truncated compressed stream"),
        ("not.csv.gz", _text(5), "incorrect header check"),
        ("not.parquet", _text(5), "[Pp]arquet"),
        ("quote.csv", _text(3) + b'\nu,"1,1000000000,1\n' + _text(30), "row 4 of .* opens one that swallows"),
        ("latin.csv", "utilisateur_é,item_id,timestamp,weight\n".encode("latin-1"), "must be UTF-8"),
    ],
)
def test_a_broken_file_is_one_clear_line(
    name: str, content: bytes, message: str, settings: Make, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        prepare(settings(str(tmp_path / name)))
    assert name in str(error.value)
    assert "\n" not in str(error.value)
    assert left_behind(tmp_path / "store") == []


def test_a_row_longer_than_a_block(settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "BLOCK_BYTES", 1 << 10)
    (tmp_path / "e.csv").write_bytes(_text(3) + b'\nu,"1,1000000000,1\n' + _text(300))
    with pytest.raises(DataError, match=r"a quote was opened and never closed"):
        prepare(settings(str(tmp_path / "e.csv")))


@hypothesis_settings(deadline=None, max_examples=30)
@given(bad=st.sets(st.integers(1, 400)))
def test_numbers_hold_across_blocks(bad: set[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    tmp_path = tmp_path_factory.mktemp("blocks")
    rows = [f"{n},bad" if n in bad else f"u{n},{n},{10**9},1" for n in range(1, 401)]
    (tmp_path / "e.csv").write_text("\n".join([HEADER, *rows]))
    columns = {"user": "user_id", "item": "item_id", "time": "timestamp"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read, "BLOCK_BYTES", 256)
        batches = list(read.read_batches(find_sources([str(tmp_path / "e.csv")])[0], columns))
    good = {
        int(n): v.decode()
        for b in batches
        for n, v in zip(b.rows, b.columns["item"].to_pylist(), strict=True)
    }
    assert good == {n: str(n) for n in range(1, 401) if n not in bad}
    assert [n for b in batches for n, _, _ in b.malformed] == sorted(bad)
    assert np.all(np.diff(np.concatenate([b.rows for b in batches])) > 0)
