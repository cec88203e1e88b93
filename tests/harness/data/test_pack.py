"""What is packed, and that nothing half-packed is ever taken for whole."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.data import DataError, DataSettings, Store, disk, numbering, open_store, prepare
from tests.harness.data.conftest import HEADER, ROWS, WEIGHTED, cut_small, left_behind, same

Make = Callable[..., DataSettings]
Write = Callable[..., str]
RETAIL = Path(__file__).parents[3] / "data" / "online-retail"


@pytest.fixture(scope="module")
def retail(tmp_path_factory: pytest.TempPathFactory) -> Store:
    settings = DataSettings(
        events=str(RETAIL / "events.csv.gz"),
        items=str(RETAIL / "items.csv.gz"),
        columns=WEIGHTED,
        store=str(tmp_path_factory.mktemp("retail")),
    )
    return prepare(settings)


def referee(events: pd.DataFrame) -> pd.DataFrame:
    """Events numbered as the evaluation protocol numbers them."""
    events = events.sort_values(["timestamp", "user_id", "item_id"], kind="stable").reset_index(drop=True)
    events["u"] = pd.factorize(events.user_id)[0]
    events["i"] = np.unique(events.item_id, return_inverse=True)[1]
    return events


def check_against_referee(store: Store, events: pd.DataFrame) -> None:
    events = referee(events)
    packed = events.sort_values(["u", "timestamp", "i", "weight"], kind="stable")
    assert np.array_equal(np.repeat(np.arange(len(store.users)), np.diff(store.offsets)), packed.u)
    for array, column in ((store.items, "i"), (store.times, "timestamp"), (store.weights, "weight")):
        assert np.array_equal(array, packed[column])
    assert store.users.tolist() == events.user_id.astype(str).drop_duplicates().tolist()
    assert store.item_ids.tolist() == [str(i) for i in np.unique(events.item_id)]


def test_online_retail(retail: Store) -> None:
    counts = retail.counts
    assert (counts.rows, counts.events, counts.users, counts.items) == (386_250, 386_250, 4_334, 3_659)
    assert (counts.rejected, counts.by_reason, counts.item_rows_rejected) == (0, {}, 0)
    check_against_referee(retail, pd.read_csv(RETAIL / "events.csv.gz", low_memory=False))
    titles = retail.titles
    assert titles is not None
    assert titles[list(retail.item_ids).index("10120")] == "DOGGY RUBBER"
    assert (len(titles), retail.categories) == (3_659, [[]] * 3_659)
    assert retail.weights.max() == 80_995


def test_a_small_log_by_hand(log: Write, settings: Make) -> None:
    store = prepare(settings(log(ROWS)))
    # c is first; a and b share a second, so the id decides. Items are all integers: 3 before 10.
    assert store.users.tolist() == ["c", "a", "b"]
    assert store.item_ids.tolist() == ["3", "10", "20"]
    assert store.offsets.tolist() == [0, 1, 4, 7]
    assert store.items.tolist() == [0, 0, 1, 2, 2, 2, 2]
    assert (store.times - 1e9).tolist() == [50, 100, 100, 200, 100, 300, 300]
    assert store.weights.tolist() == [1, 1.5, 2, 4, 1, 1, 1]
    arrays = (store.offsets, store.items, store.times, store.weights, store.types, store.category)
    assert [a.dtype.name for a in arrays] == ["int64", "int32", "float64", "float32", "int16", "int32"]
    assert (store.types.tolist(), store.event_types.tolist()) == ([0] * 7, ["event"])
    assert (store.category.tolist(), store.category_names.tolist()) == ([-1] * 3, [])
    assert store.titles is None
    assert store.categories is None


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("text", [False, True])
def test_order_agrees_with_the_referee(
    seed: int, text: bool, log: Write, settings: Make, monkeypatch: Any
) -> None:
    cut_small(monkeypatch)
    rng = np.random.default_rng(seed)
    columns = {"user_id": rng.integers(0, 40, 5000), "item_id": rng.integers(-5, 120, 5000)}
    frame = pd.DataFrame(columns | {"timestamp": rng.integers(10**9, 10**9 + 50, 5000)})
    frame["weight"] = rng.integers(0, 3, 5000)
    if text:
        frame = frame.astype({"user_id": str, "item_id": str})
        frame["item_id"] = "é" + frame.item_id  # no id is a number any more
        frame["user_id"] = "0" + frame.user_id
    store = prepare(settings(log(frame.to_csv(index=False, header=False).split())))
    check_against_referee(store, frame)
    assert store.counts.duplicates == frame.duplicated().sum() > 0


def test_ids_are_text(log: Write, settings: Make) -> None:
    rows = [
        "007,01,1000000000,1",
        "7,1,1000000000,1",
        "7.0,1,1000000000,1",
        "70,99999999999999999999,1000000000,1",
    ]
    store = prepare(settings(log(rows)))
    assert store.users.tolist() == ["007", "7", "7.0", "70"]  # one id is no number, so all are text
    assert store.item_ids.tolist() == ["01", "1", "99999999999999999999"]


def test_duplicates_are_collapsed_only_if_told(log: Write, settings: Make) -> None:
    rows = [*ROWS, ROWS[5], ROWS[4].replace(",1", ",2")]
    kept = prepare(settings(log(rows)))
    assert (kept.counts.events, kept.counts.duplicates, kept.counts.collapsed) == (9, 2, 0)
    collapsed = prepare(settings(log(rows), collapse_duplicates=True))
    assert (collapsed.counts.events, collapsed.counts.duplicates, collapsed.counts.collapsed) == (7, 2, 2)
    assert collapsed.offsets.tolist() == [0, 1, 4, 7]
    assert collapsed.weights.tolist() == [1, 1.5, 2, 4, 1, 1, 2]


TYPED = "user_id,item_id,timestamp,what"


def test_event_types_by_hand(log: Write, settings: Make) -> None:
    """Numbered by name; within a user, a time and an item, events are in order of their type."""
    rows = ["a,1,1000000000,view", "a,1,1000000000,buy", "a,2,1000000001, view ", "b,1,1000000000,Buy"]
    store = prepare(settings(log(rows, header=TYPED), columns={"event_type": "what"}))
    assert store.event_types.tolist() == ["Buy", "buy", "view"]
    assert store.items.tolist() == [0, 0, 1, 0]
    assert store.types.tolist() == [1, 2, 2, 0]
    assert store.types.dtype == store.log.types.dtype == np.int16
    assert store.log.types.tolist() == store.types.tolist()


def test_the_event_type_is_part_of_what_makes_a_duplicate(log: Write, settings: Make) -> None:
    rows = [f"a,1,1000000000,{what}" for what in ("view", "buy", "view", "view")]
    path = log(rows, header=TYPED)
    typed = prepare(settings(path, columns={"event_type": "what"}, collapse_duplicates=True))
    assert (typed.counts.duplicates, typed.types.tolist()) == (2, [0, 1])
    alike = prepare(settings(path, columns={}, collapse_duplicates=True))
    assert (alike.counts.duplicates, alike.types.tolist()) == (3, [0])
    assert typed.path != alike.path


def test_event_types_that_are_integers_compare_as_numbers(log: Write, settings: Make, tmp_path: Path) -> None:
    table = pd.DataFrame({"user_id": "a", "item_id": [1, 2, 3], "timestamp": 10**9, "kind": [10, 2, 10]})
    table.to_parquet(tmp_path / "e.parquet")
    store = prepare(settings(str(tmp_path / "e.parquet"), columns={"event_type": "kind"}))
    assert (store.event_types.tolist(), store.types.tolist()) == (["2", "10"], [1, 0, 1])


def test_too_many_event_types_are_refused(
    log: Write, settings: Make, tmp_path: Path, monkeypatch: Any
) -> None:
    rows = [f"a,1,100000000{n},t{n}" for n in range(3)]
    made = settings(log(rows, header=TYPED), columns={"event_type": "what"})
    monkeypatch.setattr(numbering, "_MOST_TYPES", 2)
    with pytest.raises(DataError, match=r"at most 2 event types, but this one has 3.*columns.event_type"):
        prepare(made)
    assert left_behind(tmp_path / "store") == []
    monkeypatch.setattr(numbering, "_MOST_TYPES", 3)
    assert prepare(made).types.tolist() == [0, 1, 2]


def test_a_missing_column_of_event_types_is_named(log: Write, settings: Make) -> None:
    with pytest.raises(DataError, match=r"no `waht`; the nearest is `what` .*data.columns.event_type"):
        prepare(settings(log(["a,1,1,x"], header=TYPED), columns={"event_type": "waht"}))


@pytest.mark.parametrize("files", [1, 2, 3])
def test_duplicates_across_pieces(files: int, log: Write, settings: Make, monkeypatch: Any) -> None:
    rows = [ROWS[0], *[ROWS[4]] * 5, *[ROWS[6]] * 2]
    cut_small(monkeypatch, rows=1)
    names = [log(rows[n::files], f"{n}.csv") for n in range(files)]
    store = prepare(settings(names, collapse_duplicates=True))
    assert (store.counts.events, store.counts.collapsed) == (3, 5)


def test_items_are_aligned_with_the_vocabulary(log: Write, settings: Make) -> None:
    header = "year,title,item_id,categories"
    rows = [
        "1999, Ten ,10,a|b",
        "2000,,20,",
        "1,Nowhere,99,x",
        '2,"A, ""quoted"" title",3,c | d|',
        "3,Again,10,z",
    ]
    said: list[str] = []
    store = prepare(settings(log(ROWS), items=log(rows, "items.csv", header)), said.append)
    assert store.titles is not None
    assert store.titles.tolist() == ['A, "quoted" title', "Ten", None]
    assert store.categories == [["c", "d"], ["a", "b"], []]
    assert (store.category_names.tolist(), store.category.tolist()) == (["a", "c"], [1, 0, -1])
    assert any("1 rows of items repeat" in line for line in said)
    only = prepare(settings(log(ROWS), items=log(["20"], "ids.csv.gz", "item_id")))
    assert only.titles is None
    assert only.categories is None
    assert only.category.tolist() == [-1] * 3


def test_bad_rows_of_items(log: Write, settings: Make, tmp_path: Path) -> None:
    events = log(ROWS)
    items = log(["10,Ten", ",None", "3", "20,Twenty"], "items.csv", "item_id,title")
    with pytest.raises(DataError, match=r"rows of items .* 2 of 4"):
        prepare(settings(events, items=items))
    assert left_behind(tmp_path / "store") == []
    store = prepare(settings(events, items=items, max_rejected=0.5))
    rejected = pd.read_csv(store.rejected_file)
    assert rejected[["file", "row", "rule"]].to_numpy().tolist() == [
        [items, 2, "missing_item"],
        [items, 3, "fields"],
    ]
    assert (store.counts.rejected, store.counts.item_rows, store.counts.item_rows_rejected) == (0, 4, 2)
    with pytest.raises(DataError, match=r"column of `item`.*no `item_id`"):
        prepare(settings(events, items=log(["1"], "other.csv", "sku")))
    with pytest.raises(DataError, match=r"names 3"):
        prepare(settings(events, items=str(tmp_path / "*.csv")))


def test_a_second_run_finds_the_first(log: Write, settings: Make) -> None:
    said: list[str] = []
    first = prepare(settings(log(ROWS)), said.append)
    again = prepare(settings(log(ROWS, "elsewhere/copy.csv")), said.append)
    assert (first.reused, again.reused, again.path) == (False, True, first.path)
    assert "nothing to do" in said[-1]
    assert same(first, again)
    items = log(["10"], "items.csv", "item_id")
    changes: list[dict[str, Any]] = [{"collapse_duplicates": True}, {"columns": {}}, {"items": items}]
    paths = {prepare(settings(log(ROWS), **change)).path for change in changes}
    paths |= {first.path, prepare(settings(log(ROWS[:-1]))).path}
    assert len(paths) == 5
    assert prepare(
        settings(log(ROWS), repeats=True, max_rejected=0.5)
    ).reused  # these change nothing in the store


def test_a_store_is_opened_again_in_another_process(log: Write, settings: Make) -> None:
    store = prepare(settings(log(ROWS)))
    sent = pickle.dumps(store)
    assert len(sent) < 1000
    assert same(pickle.loads(sent), store)
    assert same(open_store(store.path, verify=True), store)


FILES = [
    "offsets.bin",
    "items.bin",
    "times.bin",
    "weights.bin",
    "types.bin",
    "category.bin",
    "users.arrow",
    "items.arrow",
    "types.arrow",
    "categories.arrow",
    "rejected.csv",
    "manifest.json",
]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["cut", "removed", "changed"])
def test_damage_is_seen_and_repaired(name: str, damage: str, log: Write, settings: Make) -> None:
    made = settings(log(ROWS))
    whole = prepare(made)
    file = whole.path / name
    content = file.read_bytes()
    file.unlink()
    if damage != "removed":
        file.write_bytes(content[:-1] if damage == "cut" else content[:-9] + b"\x7e" + content[-8:])
    with pytest.raises(DataError, match=rf"`{name}`.*Run `lethe prepare`"):
        open_store(whole.path, verify=True)
    if damage == "changed" and name.endswith(".bin"):
        return  # seen only when the arrays are read through
    said: list[str] = []
    store = prepare(made, said.append)
    assert not store.reused
    assert any("Packing again" in line for line in said)
    assert file.read_bytes() == content or name == "manifest.json"
    assert prepare(made).reused


def test_another_format_is_packed_again(log: Write, settings: Make) -> None:
    store = prepare(settings(log(ROWS)))
    manifest = json.loads((store.path / "manifest.json").read_text())
    # As the first format was: without event types and categories.
    later = ("types.bin", "category.bin", "types.arrow", "categories.arrow")
    for name in later:
        (store.path / name).unlink()
    files = {name: entry for name, entry in manifest["files"].items() if name not in later}
    (store.path / "manifest.json").write_text(json.dumps(manifest | {"format": 1, "files": files}))
    with pytest.raises(DataError, match=r"format 3, but .* has 1"):
        open_store(store.path)
    assert not prepare(settings(log(ROWS))).reused


@pytest.mark.parametrize("writes", range(0, 22, 2))
def test_a_full_disk_leaves_nothing(
    writes: int, log: Write, settings: Make, tmp_path: Path, monkeypatch: Any
) -> None:
    original = disk.HashedFile.write
    done = 0

    def write(self: disk.HashedFile, data: Any) -> int:
        nonlocal done
        done += 1
        if done > writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(self, data)

    monkeypatch.setattr(disk.HashedFile, "write", write)
    with pytest.raises(OSError, match=r"is full.*data.store") as error:
        prepare(settings(log(ROWS)))
    assert error.value.errno == errno.ENOSPC
    assert left_behind(tmp_path / "store") == []
    monkeypatch.undo()
    assert not prepare(settings(log(ROWS))).reused


def test_a_store_that_cannot_be_written_is_an_error(log: Write, settings: Make, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"`data.store` must be a directory"):
        prepare(settings(log(ROWS), store=str(tmp_path / "file")))


KILLED = """
import os, signal, sys
from harness.data import build, disk, pack
from harness.data.settings import DataSettings
moment = sys.argv[1]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if moment == "manifest":
    build.Manifest = die
elif moment == "publish":
    pack.publish = die
else:
    disk.sync_directory = die  # all is written and nothing renamed
pack.prepare(DataSettings.model_validate_json(sys.argv[2]))
"""


@pytest.mark.parametrize("moment", ["manifest", "publish", "sync"])
def test_a_killed_run_is_gone_over(moment: str, log: Write, settings: Make, tmp_path: Path) -> None:
    made = settings(log(ROWS))
    run = subprocess.run([sys.executable, "-c", KILLED, moment, made.model_dump_json()], check=False)
    assert run.returncode == -signal.SIGKILL
    assert any(name.startswith(".tmp-") for name in left_behind(tmp_path / "store"))
    store = prepare(made)
    assert not store.reused
    assert store.counts.events == 7
    assert [p for p in left_behind(tmp_path / "store") if "/" not in p] == [store.path.name]


TOGETHER = """
import sys
from harness.data import DataSettings, prepare
print("ready", flush=True)
sys.stdin.readline()
store = prepare(DataSettings.model_validate_json(sys.argv[1]))
print(store.reused, store.counts.events)
"""


def test_processes_that_prepare_at_once_do_it_once(log: Write, settings: Make, tmp_path: Path) -> None:
    made = settings(log([f"u{i % 97},{i % 89},{10**9 + i},1" for i in range(20_000)]))
    command = [sys.executable, "-c", TOGETHER, made.model_dump_json()]
    runs = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    results = [run.communicate(timeout=30)[0] for run in runs]
    assert sorted(results) == ["False 20000\n", "True 20000\n", "True 20000\n"]
    assert [p for p in left_behind(tmp_path / "store") if "/" not in p] == [prepare(made).path.name]


def test_a_file_that_changes_while_it_is_read_is_refused(log: Write, settings: Make, tmp_path: Path) -> None:
    path = log(ROWS)

    def change(line: str) -> None:
        if line.startswith("Reading"):
            Path(path).write_text("\n".join([HEADER, *ROWS, *ROWS]))

    with pytest.raises(DataError, match=r"must not change while it is read"):
        prepare(settings(path), change)
    assert left_behind(tmp_path / "store") == []
