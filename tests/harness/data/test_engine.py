"""The limit of memory: from the settings or the machine to pieces, shards and the engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.data import DataSettings, engine, numbering, prepare
from harness.data.engine import Budget, connect, machine_memory
from tests.harness.data.conftest import ROWS

Make = Callable[..., DataSettings]
Write = Callable[..., str]


def test_a_quarter_of_the_memory_by_default_and_less_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Budget.of(DataSettings(events="x")).memory == machine_memory() // 4
    monkeypatch.setattr(engine, "cores", lambda: 4)
    small = Budget.of(DataSettings(events="x", memory="512 MiB"))
    assert (small.memory, small.at_once, small.each) == (512 << 20, 4, 128 << 20)
    large = Budget.of(DataSettings(events="x", memory="1TB"))
    assert (large.piece_rows, large.shard_rows) == (engine.PIECE_ROWS, engine.SHARD_ROWS)
    assert small.piece_rows < large.piece_rows
    assert small.shard_rows < large.shard_rows


def test_a_container_has_what_its_group_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = machine_memory()
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "limit").write_text(f"{1 << 30}\n")
    monkeypatch.setattr(engine, "_LIMITS", (str(tmp_path / "max"), str(tmp_path / "none")))
    assert machine_memory() >= whole
    monkeypatch.setattr(engine, "_LIMITS", (str(tmp_path / "max"), str(tmp_path / "limit")))
    assert machine_memory() == min(1 << 30, whole)


def test_the_engine_keeps_to_the_limit_and_goes_to_its_folder(tmp_path: Path) -> None:
    with connect(tmp_path / "spill", 64 << 20, 1) as db:
        db.execute(
            "CREATE TABLE big AS SELECT hash(range)::VARCHAR || repeat('x', 60) AS t FROM range(1000000)"
        )
        assert (tmp_path / "spill").exists()
        assert db.execute("SELECT count(DISTINCT t) FROM big").fetchone() == (1_000_000,)
    assert not any((tmp_path / "spill").glob("*"))


def test_the_engine_prints_nothing(tmp_path: Path) -> None:
    """Its bar of a query that takes long would stand amid the JSON on stdout."""
    with connect(tmp_path / "spill", 64 << 20, 1) as db:
        bar = "SELECT current_setting('enable_progress_bar')"
        assert db.execute(bar).fetchone() == (False,)


def test_the_setting_reaches_the_engine(log: Write, settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def noted(temp: Path, memory: int, threads: int) -> Any:
        asked.append(memory)
        return connect(temp, memory, threads)

    monkeypatch.setattr(numbering, "connect", noted)
    prepare(settings(log(ROWS), memory="300MB"))
    assert asked == [300 * 10**6]


@pytest.mark.parametrize("wrong", ["64MB", "much", "2", "-2GB"])
def test_a_limit_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"`memory` must be at least 256MB, as in `2GB`, but got"):
        DataSettings(events="x", memory=wrong)
