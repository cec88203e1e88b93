"""What a run costs: work of a known amount is found, also that of children."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness import cost
from harness.cost import Cost, Meter, forgotten, tree
from trainers.processes import PROC, Process
from trainers.spent import Spent

MEGABYTE = 1 << 20
linux = pytest.mark.skipif(not PROC.exists(), reason="only Linux has /proc")


def burn(seconds: float) -> None:
    """Use so much processor time."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def cpu(meter: Meter) -> float:
    found = meter.read().cpu
    assert found is not None
    return found


def memory(meter: Meter) -> int:
    found = meter.read().memory
    assert found is not None
    return found


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
    found = meter.read().to_dict()
    assert 0.45 <= found["cpu_seconds"] < 5
    assert found["energy_wh"] == pytest.approx(found["cpu_seconds"] * 10 / 3600)
    assert (found["watts_per_core"], found["starts"], found["gpu_seconds"]) == (10, 1, 0)


UNCOUNTED = """
import os, signal, sys, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # as Ray's own daemon: children that end are forgotten
if not os.fork():
    until = time.process_time() + 0.4
    while time.process_time() < until: pass
    print("burnt", flush=True)
    time.sleep(60)
print(sys.stdin.readline(), flush=True)
"""


@linux
def test_processor_time_of_a_child_that_nobody_waits_for() -> None:
    meter = Meter()
    with subprocess.Popen(
        [sys.executable, "-S", "-c", UNCOUNTED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "burnt\n"
        meter.look()
        (child,) = [process for process in tree() if process.parent == parent.pid]
        os.kill(child.pid, signal.SIGKILL)
        while child.pid in {process.pid for process in tree()}:
            time.sleep(0.01)
        found = cpu(meter)
        assert 0.4 <= found < 5
        assert cpu(meter) == pytest.approx(found, abs=0.3)  # once, however often one looks
        parent.communicate("\n")


def test_of_processes_that_ended_together() -> None:
    """A daemon with a worker below; whoever is above both took over one, the other, or neither."""
    top, daemon, worker = Process(1, 0, 1.0, 0.0), Process(2, 1, 2.0, 0.0), Process(3, 2, 5.0, 0.0)
    for waited, missing in ((0.0, 7.0), (2.0, 5.0), (7.0, 0.0), (9.0, 0.0)):
        assert forgotten([top, daemon, worker], [top._replace(waited=waited)]) == missing
    again = worker._replace(begun=9)  # another process of the same number
    assert forgotten([top, daemon, worker], [top, daemon, again]) == 5.0
    assert forgotten([top, daemon], [top, daemon, worker]) == 0.0


@linux
def test_processor_time_of_a_worker_of_ray(ray_session: str) -> None:
    """Where the run itself started Ray, its daemons and workers are below it."""
    import ray

    meter = Meter()
    ray.get(ray.remote(burn).remote(0.5))
    assert 0.5 <= cpu(meter) < 30


@linux
def test_memory_of_this_process_and_of_a_living_child() -> None:
    hold = f"kept = bytearray(b'1') * {150 * MEGABYTE}; print('ready', flush=True); input()"
    meter = Meter()
    before = memory(meter)
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
    grown = (memory(meter) - before) / MEGABYTE
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
    peak = memory(meter)
    assert peak - memory(Meter()) > 80 * MEGABYTE


def test_where_nothing_is_counted_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cost, "PROC", tmp_path / "none")
    meter = Meter()
    meter.add(Spent(3.0, 2.0))
    found = meter.read().to_dict()
    assert found["seconds"] >= 0
    assert found["gpu_seconds"] == 2.0
    assert (found["cpu_seconds"], found["peak_memory"], found["energy_wh"]) == (None, None, None)
    assert os.getpid() not in {process.pid for process in tree()}


@linux
def test_what_workers_elsewhere_say_is_added() -> None:
    meter = Meter()
    meter.add(Spent(100.0, 7.0))
    meter.add(Spent(50.0, 0.0))
    assert 150 <= cpu(meter) < 160
    assert meter.read().gpu == 7.0


@linux
def test_all_starts_of_a_run_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "told" / "cost.json"
    with Meter(file) as first:
        burn(0.2)
        first.add(Spent(100.0, 7.0))
    with Meter(file) as second:
        second.add(Spent(1.0, 2.0))
    third = Meter(file)
    found = third.read()
    assert (found.starts, found.gpu) == (3, 9.0)
    assert 101.2 <= cpu(third) < 106
    assert found.seconds >= 0.2
    assert memory(third) >= max(memory(first), memory(second))


@linux
@pytest.mark.parametrize("left", ["", "{", '{"seconds": 3}'])
def test_what_a_kill_leaves_of_the_file_stops_nothing(tmp_path: Path, left: str) -> None:
    file = tmp_path / "cost.json"
    file.write_text(left)
    assert Meter(file).read().starts == 1


@linux
def test_a_process_that_is_killed_has_written_down_what_it_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "PERIOD", 0.01)
    monkeypatch.setattr(cost, "KEPT", 0.05)
    file = tmp_path / "cost.json"
    with Meter(file) as meter:
        meter.add(Spent(100.0, 0.0))
        until = time.monotonic() + 30
        while cpu(Meter(file)) < 100:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert Meter(file).read().starts == 2


def test_costs_add_up_and_are_told_in_words() -> None:
    before, this = Cost(2, 60.0, 100.0, 30.0, 2**30), Cost(1, 3.0, 20.0, 0.0, 2**29)
    both = this.after(before)
    assert both == Cost(3, 63.0, 120.0, 30.0, 2**30)
    assert both.words() == "1 min 3 s by the clock, 2 min 0 s of processors, 30 s of GPUs, 1.00 GiB at most"
    assert Cost.of(both.to_dict()) == both
    assert this.after(Cost(1, 1.0, None, 0.0, None)) == Cost(2, 4.0, None, 0.0, None)
    assert Cost(1, 3.0, None, 0.0, None).words() == "3.0 s by the clock"
    old = {"seconds": 1.0, "cpu_seconds": 2.0, "peak_memory": None, "energy_wh": 1.0, "watts_per_core": 10.0}
    assert Cost.of(old) == Cost(1, 1.0, 2.0, 0.0, None)
