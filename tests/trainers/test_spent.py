"""What workers say that they spent: of work of a known amount, and never what their starter sees itself."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT
from trainers.processes import PROC
from trainers.spent import Spent, Starter, Watch

linux = pytest.mark.skipif(not PROC.exists(), reason="only Linux has /proc")
ELSEWHERE = Starter("another machine", 1)


def burn(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_a_worker_elsewhere_says_what_it_used_and_once() -> None:
    watch = Watch(ELSEWHERE)
    first = watch.read()
    # From the first instruction on: its imports too.
    assert first.cpu == pytest.approx(time.process_time(), abs=0.5)
    burn(0.2)
    assert watch.read().cpu == pytest.approx(0.2, abs=0.1)
    assert watch.read().cpu == pytest.approx(0.0, abs=0.05)


def test_a_gpu_counts_while_it_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch = Watch(Starter.here(), torch.device("cuda"))
    now[0] = 130.0
    assert watch.read() == Spent(0.0, 30.0)
    now[0] = 135.0
    assert watch.read() == Spent(0.0, 5.0)
    assert Watch(Starter.here()).read() == Spent(0.0, 0.0)


@linux
def test_the_starter_sees_itself_and_what_is_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    me = Starter.here()
    assert me.sees()
    assert Starter(me.machine, os.getppid()).sees()
    assert not Starter("another machine", me.pid).sees()
    pool = multiprocessing.get_context("fork").Pool(1)
    try:
        assert pool.apply(me.sees)
    finally:
        pool.terminate()
        pool.join()


@linux
def test_it_does_not_see_its_siblings(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as sibling:
        assert not Starter(Starter.here().machine, sibling.pid).sees()
        sibling.communicate(b"\n")


CLUSTER = """
import ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
print(ray.get_runtime_context().gcs_address, flush=True)
input()
"""


@pytest.mark.slow
@linux
def test_workers_of_a_cluster_that_was_joined_are_counted(tmp_path: Path) -> None:
    """A search of five trials and a fit, on a Ray that another process started."""
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    here.pop("RAY_ADDRESS", None)
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=here
    ) as cluster:
        try:
            assert cluster.stdout is not None
            joined = {**here, "RAY_ADDRESS": cluster.stdout.readline().strip()}
            command = [sys.executable, "-m", "tests.trainers.spending", str(tmp_path)]
            ran = subprocess.run(command, env=joined, cwd=ROOT, capture_output=True, text=True, timeout=300)
        finally:
            cluster.communicate("\n")
    assert ran.returncode == 0, ran.stderr[-2000:]
    used, searched, fitted, gpu = map(float, ran.stdout.split()[-4:])
    assert used > 5 * 0.2
    assert searched == pytest.approx(used, rel=0.05, abs=0.5)
    assert 0.5 < fitted < 60
    assert gpu == 0.0
