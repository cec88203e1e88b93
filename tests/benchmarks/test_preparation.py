"""The preparation benchmark generates what it says and measures a whole run, on a small log."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.preparation import generate
from benchmarks.preparation.__main__ import measure
from benchmarks.preparation.generate import World
from benchmarks.preparation.page import page


def test_items_are_wanted_by_zipfs_law_and_some_events_are_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "FILE_EVENTS", 60_000)
    world = World(users=50, items=20, begin=10**9, span=10**6, late=0.1)
    files = world.write(tmp_path / "log", 150_000)
    assert len(files) == 3
    log = pd.concat([pd.read_parquet(file) for file in files])
    assert len(log) == 150_000
    counts = log.item_id.value_counts().to_numpy()
    expected = 150_000 / np.arange(1, 21) / (1 / np.arange(1, 21)).sum()
    assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))
    assert abs((log.timestamp < 10**9).mean() - 0.1) < 0.01
    on_time = log.timestamp[log.timestamp >= 10**9]
    assert on_time.is_monotonic_increasing
    assert on_time.max() < 10**9 + 10**6
    assert log.user_id.nunique() == 50


@pytest.mark.slow
def test_a_small_run_from_start_to_end(tmp_path: Path) -> None:
    asked = argparse.Namespace(events=20_000, users=500, items=100, append=2_000, memory="500MB")
    found = measure(asked, tmp_path)
    assert found.same
    assert found.appended.answer["segments"] == 2
    assert found.appended.answer["appended"] == 2_000
    assert found.killed.code == -9
    text = page(found, asked)
    assert "the same, bit for bit" in text
    assert "NOT" not in text
