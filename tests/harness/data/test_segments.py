"""Appending: what is read of a store that grew is what a store packed at once would say."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from harness.data import DataError, DataSettings, Store, open_store, prepare, segments
from harness.data.sources import Source
from tests.harness.data.conftest import HEADER, ROWS, cut_small, left_behind, same
from trainers.log import PackedLog

Make = Callable[..., DataSettings]
Write = Callable[..., str]

LATER = [
    "a,10,1000000400,1",
    "d,7,1000000010,2",
    "a,3,1000000100,1.5",
    "b,20,1000000150,1",
    "a,5,1000000150,1",
]
"""A new event, a new user and item, a duplicate of an old event, a late event, and a late event of another new item."""


def events(store: Store) -> Counter[tuple[str, str, float, float, str]]:
    """The events with their own ids, whatever numbers these have."""
    users = np.repeat(store.users, np.diff(store.offsets))
    columns = (store.item_ids[store.items], store.times, store.weights, store.event_types[store.types])
    return Counter(zip(users.tolist(), *(c.tolist() for c in columns), strict=True))


def in_order(store: Store) -> bool:
    for user in range(len(store.users)):
        rows = slice(store.offsets[user], store.offsets[user + 1])
        columns = (store.times, store.items, store.weights, store.types)
        listed = list(zip(*(c[rows].tolist() for c in columns), strict=True))
        if listed != sorted(listed):
            return False
    return True


def test_a_small_log_by_hand(log: Write, settings: Make) -> None:
    old = prepare(settings(log(ROWS)))
    said: list[str] = []
    new = prepare(settings([log(ROWS), log(LATER, "later.csv")]), said.append)
    assert any("Reading" in line and "later.csv" in line and "/events.csv" not in line for line in said)
    assert (new.segments, new.appended, new.reused) == (2, 5, False)
    assert new.lineage == {old.fingerprint: 3}
    assert not (new.path / "times.bin").exists()  # nobody has read them
    assert new.users.tolist() == [*old.users, "d"]
    assert new.item_ids.tolist() == [*old.item_ids, "5", "7"]  # numbers among themselves, after the old
    assert new.offsets.tolist() == [0, 1, 7, 11, 12]
    assert (new.times[1:7] - 1e9).tolist() == [100, 100, 100, 150, 200, 400]
    assert new.items[1:7].tolist() == [0, 0, 1, 3, 2, 1]
    assert (new.times[7:11] - 1e9).tolist() == [100, 150, 300, 300]
    assert (new.counts.rows, new.counts.events, new.counts.duplicates) == (12, 12, 2)
    again = prepare(settings([log(LATER, "later.csv"), log(ROWS)]))
    assert (again.reused, again.path, again.appended) == (True, new.path, 5)
    opened = PackedLog.open(new.path, new.counts.items)
    assert np.array_equal(opened.times, new.times)
    assert same(open_store(new.path, verify=True), new)


FIELDS = st.tuples(
    st.sampled_from(["u", "v", "w", "x9", "x10"]),
    st.sampled_from(["1", "2", "10", "k"]),
    st.integers(10**9, 10**9 + 3),
    st.sampled_from(["0", "1", "2", "-1"]),
    st.sampled_from(["view", "buy"]),
)


@hypothesis_settings(deadline=None, max_examples=8, phases=[Phase.generate])
@given(
    files=st.lists(st.lists(FIELDS, min_size=1, max_size=25), min_size=2, max_size=3),
    collapse=st.booleans(),
    read_between=st.booleans(),
    rows=st.sampled_from([4, 1000]),
)
def test_it_says_what_a_store_packed_at_once_says(
    files: list[list[Any]],
    collapse: bool,
    read_between: bool,
    rows: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    tmp_path = tmp_path_factory.mktemp("grown")
    files[0].append(("u", "1", 10**9, "1", "view"))  # the first has one that is good
    for number, lines in enumerate(files):
        text = "\n".join([f"{HEADER},type", *(",".join(map(str, line)) for line in lines)])
        (tmp_path / f"{number}.csv").write_text(text)
    columns = {"weight": "weight", "event_type": "type"}

    def made(store: str, count: int) -> DataSettings:
        names = [str(tmp_path / f"{n}.csv") for n in range(count)]
        return DataSettings(
            events=names,
            columns=columns,
            store=str(tmp_path / store),
            collapse_duplicates=collapse,
            max_rejected=1,
        )

    with pytest.MonkeyPatch.context() as patch:
        cut_small(patch, rows=rows, block=64 * rows)
        states = []
        for count in range(1, len(files) + 1):
            states.append(prepare(made("grown", count)))
            if read_between:
                assert len(states[-1].times) == states[-1].counts.events
        at_once = prepare(made("at-once", len(files)))
    grown = states[-1]
    assert (grown.segments, at_once.segments) == (len(files), 1)
    assert events(grown) == events(at_once)
    assert in_order(grown)
    assert grown.counts == at_once.counts
    assert grown.rejected_file.read_bytes() == at_once.rejected_file.read_bytes()
    for before, after in itertools.pairwise(states):
        for name in ("users", "item_ids", "event_types"):
            old, new = getattr(before, name).tolist(), getattr(after, name).tolist()
            assert new[: len(old)] == old
            assert len(set(new)) == len(new)
        assert after.lineage[before.fingerprint] == len(before.users)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_content_does_not_depend_on_the_cut(
    suffix: str, settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit the same files, and the same rows set aside, from one piece and one shard or from many."""
    import pandas as pd

    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in rng.integers(0, 60, 600)],
            "item_id": rng.integers(0, 40, 600).astype(str),
            "timestamp": rng.integers(10**9, 10**9 + 40, 600),
            "weight": rng.integers(-1, 9, 600),
        }
    )
    frame.loc[::31, "item_id"] = ""
    path = tmp_path / f"events.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, row_group_size=100)
    whole = prepare(settings(str(path), max_rejected=0.5))
    cut_small(monkeypatch, rows=128, block=1 << 11)
    parts = prepare(settings(str(path), max_rejected=0.5, store=str(tmp_path / "parts")))
    names = sorted(file.name for file in whole.path.iterdir() if file.name != "manifest.json")
    assert names == sorted(file.name for file in parts.path.iterdir() if file.name != "manifest.json")
    for name in names:
        assert (whole.path / name).read_bytes() == (parts.path / name).read_bytes(), name
    assert parts.counts == whole.counts
    assert whole.counts.rejected > 40
    assert set(whole.counts.by_reason) == {"missing_item", "negative_weight"}


def test_bad_rows_of_a_new_file_stop_it_and_leave_the_old_store(log: Write, settings: Make) -> None:
    old = prepare(settings(log(ROWS)))
    bad = log(["a,1,never,1", "a,1,1000000000,1"], "bad.csv")
    with pytest.raises(DataError, match="1 of 2"):
        prepare(settings([log(ROWS), bad]))
    assert [p for p in left_behind(old.path.parent) if "/" not in p] == [old.path.name]
    allowed = prepare(settings([log(ROWS), bad], max_rejected=0.5))
    assert (allowed.counts.rows, allowed.counts.rejected, allowed.segments) == (9, 1, 2)
    assert prepare(settings([log(ROWS), log([], "empty.csv")])).counts.events == 7  # a day without events


def test_other_titles_need_no_events_read(log: Write, settings: Make) -> None:
    def names(title: str) -> str:
        return log([f"3,{title}"], f"{title}.csv", "item_id,title")

    first = prepare(settings(log(ROWS), items=names("One")))
    said: list[str] = []
    other = prepare(settings(log(ROWS), items=names("Two")), said.append)
    assert any("Reading nothing new" in line for line in said)
    assert other.path != first.path
    assert other.titles is not None
    assert other.titles[0] == "Two"
    assert events(other) == events(first)


def test_without_append_all_is_packed_anew(log: Write, settings: Make) -> None:
    prepare(settings(log(ROWS)))
    both = [log(ROWS), log(LATER, "later.csv")]
    anew = prepare(settings(both, append=False))
    assert (anew.segments, anew.users[0]) == (1, "d")
    assert prepare(settings(both, append=False)).reused


def test_a_store_stands_alone_once_it_was_read(log: Write, settings: Make) -> None:
    old = prepare(settings(log(ROWS)))
    both = settings([log(ROWS), log(LATER, "later.csv")])
    new = prepare(both)
    shutil.rmtree(old.path)
    with pytest.raises(DataError, match=r"is missing beside it. Run `lethe prepare`"):
        open_store(new.path)
    anew = prepare(both)  # from the files
    assert (anew.segments, anew.counts.events) == (1, 12)
    shutil.rmtree(anew.path)
    shutil.rmtree(new.path)
    assert prepare(settings(log(ROWS))).path == old.path
    read = prepare(both)
    expected = events(read)
    shutil.rmtree(old.path)
    assert events(open_store(read.path, verify=True)) == expected
    third = prepare(settings([log(ROWS), log(LATER, "later.csv"), log(ROWS[:1], "third.csv")]))
    assert (third.segments, third.counts.events) == (3, 13)
    assert events(third) == expected + Counter(
        [next(e for e in expected if e[2] == 1000000100 and e[0] == "b")]
    )


def test_a_full_disk_while_segments_are_merged(
    log: Write, settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(settings(log(ROWS)))
    store = prepare(settings([log(ROWS), log(LATER, "later.csv")]))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "places", full)
        with pytest.raises(OSError, match=r"is full.*data\.store"):
            _ = store.times
    assert not [p for p in left_behind(store.path.parent) if ".tmp-" in p or "merged" in p]
    assert len(open_store(store.path).times) == 12


def test_damage_to_merged_arrays_is_seen_and_repaired(log: Write, settings: Make) -> None:
    prepare(settings(log(ROWS)))
    both = settings([log(ROWS), log(LATER, "later.csv")])
    store = prepare(both)
    times = store.times.tolist()
    (store.path / "times.bin").write_bytes(b"short")
    with pytest.raises(DataError, match=r"`times.bin`.*Run `lethe prepare`"):
        open_store(store.path)
    repaired = prepare(both)
    assert (repaired.reused, repaired.fingerprint) == (False, store.fingerprint)
    assert repaired.times.tolist() == times


def test_a_file_is_read_through_once_if_its_time_can_tell(
    log: Write, settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read, digest = log(ROWS), [], Source.digest

    def noted(self: Source) -> str:
        read.append(self.name)
        return digest(self)

    monkeypatch.setattr(Source, "digest", noted)
    prepare(settings(path))
    assert prepare(settings(path)).reused
    assert read == [path, path]  # changed too short a time ago to be known by its time
    os.utime(path, (10**9, 10**9))
    shutil.rmtree(settings(path).store)
    prepare(settings(path))
    del read[:]
    assert prepare(settings(path)).reused
    assert read == []
    os.utime(path, (10**9 + 5, 10**9 + 5))
    assert prepare(settings(path)).reused
    assert read == [path]
