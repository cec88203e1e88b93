"""Small logs, written in whatever shape a test wants."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data import ColumnSettings, DataSettings, Store, engine, read

HEADER = "user_id,item_id,timestamp,weight"
ROWS = [
    "b,20,1000000100,1",
    "a,10,1000000100,2",
    "a,3,1000000100,1.5",
    "c,3,1000000050,1",
    "b,20,1000000300,1",
    "b,20,1000000300,1",  # an exact duplicate
    "a,20,1000000200,4",
]
WEIGHTED = ColumnSettings(weight="weight")


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., str]:
    """Write rows below the usual header (or another) and return the path; a name in `.gz` is compressed."""

    def write(rows: list[str], name: str = "events.csv", header: str = HEADER) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = "".join(line + "\n" for line in [header, *rows]).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return str(path)

    return write


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., DataSettings]:
    """Settings with a store of the test's own and the weights of the usual header."""

    def make(events: str | list[str], **changes: Any) -> DataSettings:
        return DataSettings(
            **{"events": events, "columns": WEIGHTED, "store": str(tmp_path / "store")} | changes
        )

    return make


def cut_small(monkeypatch: pytest.MonkeyPatch, rows: int = 512, block: int = 1 << 10) -> None:
    """Cut what is read and sorted from now on into pieces and shards of so many rows, whatever memory there is."""
    monkeypatch.setattr(engine, "PIECE_ROWS", rows)
    monkeypatch.setattr(engine, "SHARD_ROWS", rows)
    monkeypatch.setattr(read, "BLOCK_BYTES", block)
    monkeypatch.setattr(read, "BATCH_ROWS", rows)


def same(a: Store, b: Store) -> bool:
    """Whether two stores hold the same events, users and items, wherever they came from."""
    arrays = ("offsets", "items", "times", "weights", "types", "category")
    names = ("users", "item_ids", "event_types", "category_names")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in arrays + names)


def left_behind(store: Path) -> list[str]:
    """Everything under a store directory."""
    return sorted(str(p.relative_to(store)) for p in store.rglob("*")) if store.exists() else []
