"""What a run costs: work of a known amount is found, also that of children."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness import cost
from harness.cost import Meter, tree

MEGABYTE = 1 << 20
linux = pytest.mark.skipif(not cost.PROC.exists(), reason="only Linux has /proc")


def burn(seconds: float) -> None:
    """Use so much processor time."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def held(megabytes: int) -> bytearray:
    """Memory that was written, so that it is really there."""
    return bytearray(b"1") * (megabytes * MEGABYTE)


@linux
def test_processor_time_of_this_process_and_of_a_child_that_ended() -> None:
    meter = Meter()
    burn(0.2)
    child = multiprocessing.get_context("fork").Process(target=burn, args=(0.3,))
    child.start()
    child.join()
    found = meter.read()
    assert 0.45 <= found["cpu_seconds"] < 5
    assert found["energy_wh"] == pytest.approx(found["cpu_seconds"] * 10 / 3600)
    assert found["watts_per_core"] == 10


@linux
def test_memory_of_this_process_and_of_a_living_child() -> None:
    hold = f"kept = bytearray(b'1') * {150 * MEGABYTE}; print('ready', flush=True); input()"
    meter = Meter()
    before = meter.read()["peak_memory"]
    with subprocess.Popen(
        [sys.executable, "-S", "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        assert child.pid in {process.pid for process in tree()}
        mine = held(100)
        meter.look()
        child.communicate("\n")
    del mine
    grown = (meter.read()["peak_memory"] - before) / MEGABYTE
    assert 240 < grown < 300


@linux
def test_it_looks_on_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    looked, genuine = threading.Event(), Meter.look

    def look(meter: Meter) -> None:
        genuine(meter)
        looked.set()

    monkeypatch.setattr(cost, "PERIOD", 0.01)
    monkeypatch.setattr(Meter, "look", look)
    with Meter() as meter:
        kept = held(100)
        for _ in range(2):  # the first may have begun before
            looked.clear()
            assert looked.wait(60)
        del kept
    peak = meter.read()["peak_memory"]
    assert peak - Meter().read()["peak_memory"] > 80 * MEGABYTE


def test_where_nothing_is_counted_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cost, "PROC", tmp_path / "none")
    found = Meter().read()
    assert found["seconds"] >= 0
    assert (found["cpu_seconds"], found["peak_memory"], found["energy_wh"]) == (None, None, None)
    assert os.getpid() not in {process.pid for process in tree()}
