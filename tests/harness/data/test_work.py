"""Work that is stopped anywhere goes on where it was; what is half done is never believed."""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.data import DataError, DataSettings, Store, pieces, prepare, work
from harness.data.work import each
from tests.harness.data.conftest import cut_small, left_behind, same
from trainers.storage.exchange import unit

Make = Callable[..., DataSettings]
Write = Callable[..., str]

MANY = [f"u{n * 7 % 23},{n * 5 % 17},{10**9 + n * 37 % 101},{n % 3}" for n in range(300)]
BAD = [f"u,{n},never,1" for n in range(3)]


def content(store: Store) -> dict[str, bytes]:
    """Every file of a store but the manifest, which knows when it was written."""
    return {file.name: file.read_bytes() for file in store.path.iterdir() if file.name != "manifest.json"}


def stop_after(monkeypatch: pytest.MonkeyPatch, units: int) -> Counter[str]:
    """Let so many units be finished and stop at the end of the next one; returns what was finished."""
    done: Counter[str] = Counter()
    rename = Path.rename

    def limited(self: Path, target: Path) -> Path:
        if "/.work-" in str(target) and self.name.startswith(".tmp-"):
            if done.total() == units:
                raise KeyboardInterrupt
            done["/".join(Path(target).parts[-2:])] += 1
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", limited)
    return done


def test_stopped_at_every_unit_it_does_each_once(
    log: Write, settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_small(monkeypatch, rows=100, block=800)
    path = log([*MANY[:150], *BAD, *MANY[150:]])
    whole = prepare(settings(path, store=str(tmp_path / "whole"), max_rejected=0.1))
    made, done, attempts = settings(path, max_rejected=0.1), Counter[str](), 0
    said: list[str] = []
    while True:
        with pytest.MonkeyPatch.context() as patch:
            now = stop_after(patch, 1)
            attempts += 1
            try:
                store = prepare(made, said.append)
            except KeyboardInterrupt:
                assert now.total() == 1
                done += now
                continue
            done += now
            break
    assert set(done.values()) == {1}
    assert attempts >= 8  # the plan, pieces, numbers, as many encoded pieces, shards
    assert any("going on after" in line for line in said)
    assert content(store) == content(whole)
    assert (store.counts, store.fingerprint) == (whole.counts, whole.fingerprint)
    assert [p for p in left_behind(tmp_path / "store") if "/" not in p] == [store.path.name]


def left_in_the_middle(made: DataSettings) -> None:
    """A preparation that was stopped after three of its units."""
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            prepare(made)


@pytest.mark.parametrize("change", ["code", "boot"])
def test_units_of_other_code_or_before_a_power_cut_are_not_believed(
    change: str, log: Write, settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_small(monkeypatch, rows=100, block=800)
    made = settings(log(MANY))
    left_in_the_middle(made)
    (folder,) = Path(made.store).glob(".work-*")
    assert list((folder / "read").glob("0*"))
    plan = json.loads((folder / "plan.json").read_text())
    plan["maker"][change] = "another"
    (folder / "plan.json").write_text(json.dumps(plan))
    said: list[str] = []
    assert prepare(made, said.append).counts.events == 300
    assert not any("going on" in line for line in said)


def test_what_goes_on_is_cut_as_it_was(log: Write, settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another limit of memory would cut other pieces: those that are there would be counted beside them."""
    cut_small(monkeypatch, rows=100, block=800)
    made = settings(log(MANY))
    left_in_the_middle(made)
    cut_small(monkeypatch, rows=37, block=800)
    assert prepare(made).counts.events == 300


def test_a_full_disk_amid_the_units_leaves_nothing(
    log: Write, settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_small(monkeypatch, rows=100, block=800)
    written: list[Path] = []
    write = pieces.write_arrow

    def filling(path: Path, table: Any) -> None:
        if len(written) == 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        write(path, table)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "write_arrow", filling)
        with pytest.raises(OSError, match=r"is full.*data\.store"):
            prepare(settings(log(MANY)))
    assert left_behind(tmp_path / "store") == []
    assert prepare(settings(log(MANY))).counts.events == 300


def test_a_unit_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), unit(tmp_path / "a") as made:
        (made / "file").write_text(str(1 / 0))
    assert left_behind(tmp_path) == []
    for text in ("first", "second"):  # one that Ray does twice
        with unit(tmp_path / "a") as made:
            (made / "file").write_text(text)
    assert left_behind(tmp_path) == ["a", "a/file"]
    assert (tmp_path / "a" / "file").read_text() == "first"


@pytest.mark.parametrize("at_once", [1, 3])
def test_the_first_error_ends_all(at_once: int) -> None:
    done: list[int] = []

    def run(n: int) -> int:
        if n == 2:
            raise DataError("no")
        return n

    with pytest.raises(DataError, match="no"):
        each(run, [(n,) for n in range(50)], at_once, 0, done.append)
    assert 2 not in done
    assert len(done) < 50


@pytest.mark.slow
def test_over_ray_it_is_the_same(
    ray_session: str, log: Write, settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [log([*MANY[n::3], BAD[n]], f"{n}.csv") for n in range(3)]
    here = prepare(settings(paths, max_rejected=0.1))
    monkeypatch.setattr(work, "ThreadPoolExecutor", None)
    over = prepare(settings(paths, max_rejected=0.1, workers=2, store=str(tmp_path / "over")))
    assert same(here, over)
    assert (over.counts, over.fingerprint) == (here.counts, here.fingerprint)
    wrong = log([f"u,{n},1291191960000,1" for n in range(9)], "wrong.csv")
    with pytest.raises(DataError, match=r"data\.time_unit: ms") as error:
        prepare(settings([*paths, wrong], workers=2, store=str(tmp_path / "wrong")))
    assert "\n" not in str(error.value)
    assert left_behind(tmp_path / "wrong") == []
