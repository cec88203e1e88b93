"""Faults of a fit on Ray Train workers: it goes on from its last checkpoint, or says why it does not."""

from __future__ import annotations

import itertools
import os
import re
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.trainers.fitting.test_pretrain import data, network, requests, stored
from tests.trainers.training.test_checkpoints import curve_of
from trainers.fitting.pretrain import CHECKPOINTS, Resources, fit, fit_all
from trainers.fitting.request import Fit
from trainers.training.computing import ComputeSettings
from trainers.training.spread import Spread

__all__ = ["data", "stored"]  # fixtures

pytestmark = pytest.mark.slow

LONG = network(training={"epochs": 25, "patience": 25, "rate": 0.001})
OFTEN: dict[str, Any] = {"checkpoint": {"minutes": 1e-9}}


def crew() -> list[int]:
    """The Ray Train workers below this process, by id; not those of anybody else's cluster."""
    parents, titles = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            titles[int(folder.name)] = (folder / "cmdline").read_text()
        except OSError:  # it has ended since
            continue

    def ours(process: int) -> bool:
        return process == os.getpid() or (process in parents and ours(parents[process]))

    return sorted(each for each, title in titles.items() if "RayTrainWorker" in title and ours(each))


def kill(worker: int) -> None:
    os.kill(worker, signal.SIGKILL)


def suspend(worker: int) -> None:
    """It neither answers nor dies for longer than the others wait."""
    os.kill(worker, signal.SIGSTOP)
    threading.Timer(35, os.kill, (worker, signal.SIGCONT)).start()


def deadlocking(config: dict[str, Any]) -> list[float]:
    """A crew whose first worker, in the middle of its third epoch, takes a lock that it holds; but once."""
    once = Path(config["requests"][0]["out"]).with_name("deadlocked")
    gradient, calls = Spread.gradient, itertools.count(1)

    def stuck(self: Spread, parts: Any) -> tuple[float, float]:
        if self.workers.rank == 0 and next(calls) > 6 and not once.exists():
            once.touch()
            lock = threading.Lock()
            with lock, lock:
                pass
        return gradient(self, parts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Spread, "gradient", stuck)
        return fit_all(config)


class Once:
    """Does something to the first worker of a fit, once its checkpoints have reached an epoch."""

    def __init__(self, request: Fit, epoch: int, act: Callable[[int], None]) -> None:
        self.folder, self.epoch, self.act = Path(f"{request.out}.partial") / CHECKPOINTS / "mlp", epoch, act
        self.thread = threading.Thread(target=self.run)
        self.victim: int | None = None
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.005):
            names = sorted(file.name for file in self.folder.glob("[0-9]*.pt"))
            workers = crew()
            if names and int(names[-1][:5]) >= self.epoch and workers:
                self.victim = workers[-1]
                self.act(self.victim)
                return

    def __enter__(self) -> Once:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.thread.join()


@pytest.fixture
def request_of(stored: Path, tmp_path: Path, ray_session: str) -> Fit:
    return requests(stored, tmp_path, LONG)[0]


def compare(request: Fit, resources: Resources, tmp_path: Path) -> None:
    """The fit, with what was done to it, against the one that nothing happened to."""
    [fits] = fit([request], resources)
    [whole] = fit([replace(request, out=str(tmp_path / "whole"))])
    assert curve_of(fits).loss == pytest.approx(curve_of(whole).loss, rel=1e-4)
    assert curve_of(fits).validation == pytest.approx(curve_of(whole).validation, rel=1e-4)
    assert curve_of(fits).best_epoch == curve_of(whole).best_epoch
    # Of a crew that hung, those that ended themselves may have said where they were.
    [note] = [note for note in fits.notes if "when nothing went on" not in note]
    assert note.startswith("`mlp`: went on after ")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_is_killed_is_replaced(workers: int, request_of: Fit, tmp_path: Path) -> None:
    resources = Resources(workers, max_failures=1, compute=ComputeSettings.model_validate(OFTEN))
    with Once(request_of, 3, kill) as once:
        compare(request_of, resources, tmp_path)
    assert once.victim is not None


def test_a_worker_that_hangs_is_replaced(request_of: Fit, tmp_path: Path) -> None:
    """The other one waits no longer than `timeout`."""
    compute = ComputeSettings.model_validate({**OFTEN, "timeout": 10})
    with Once(request_of, 3, suspend) as once:
        compare(request_of, Resources(2, max_failures=1, compute=compute), tmp_path)
    assert once.victim is not None
    assert once.victim not in crew()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_is_deadlocked_is_replaced(
    workers: int, request_of: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process answers Ray, but its training does not go on; nobody waits for it where it is alone."""
    compute = ComputeSettings.model_validate({**OFTEN, "timeout": 30})
    monkeypatch.setattr("trainers.fitting.pretrain.fit_all", deadlocking)
    [fits] = fit([request_of], Resources(workers, max_failures=1, compute=compute))
    assert (tmp_path / "deadlocked").exists()
    monkeypatch.undo()
    [whole] = fit([replace(request_of, out=str(tmp_path / "whole"))])
    assert curve_of(fits).loss == pytest.approx(curve_of(whole).loss, rel=1e-4)
    assert any(note.startswith("`mlp`: went on after ") for note in fits.notes)
    if workers == 1:  # of a crew, one that waits for it may be the first to give up
        assert any(re.search(r"worker 0 was at .*test_faults\.py:\d+, in stuck", note) for note in fits.notes)


def test_without_another_try_a_deadlocked_worker_ends_the_fit(
    request_of: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = ComputeSettings.model_validate({**OFTEN, "timeout": 30})
    monkeypatch.setattr("trainers.fitting.pretrain.fit_all", deadlocking)
    with pytest.raises(
        RuntimeError,
        match=r"a worker gave no answer for 30 s \(`train\.timeout`\): worker 0 was at .*in stuck",
    ):
        fit([request_of], Resources(1, compute=compute))


def test_without_another_try_a_hung_worker_ends_the_fit(request_of: Fit) -> None:
    compute = ComputeSettings.model_validate({**OFTEN, "timeout": 10})
    with (
        Once(request_of, 1, suspend),
        pytest.raises(RuntimeError, match=r"the fit on 2 workers failed: .*a worker gave no answer for 10 s"),
    ):
        fit([request_of], Resources(2, compute=compute))
    assert not Path(request_of.out).exists()
    assert list((Path(f"{request_of.out}.partial") / CHECKPOINTS / "mlp").glob("[0-9]*.pt"))


def test_without_another_try_a_killed_worker_ends_the_fit(request_of: Fit, tmp_path: Path) -> None:
    """And the same call goes on where it was."""
    resources = Resources(1, compute=ComputeSettings.model_validate(OFTEN))
    with (
        Once(request_of, 2, kill),
        pytest.raises(RuntimeError, match="the fit on 1 workers failed: "),
    ):
        fit([request_of], resources)
    assert not Path(request_of.out).exists()
    compare(request_of, resources, tmp_path)


def test_workers_do_not_try_the_same_impossible_step_for_ever(request_of: Fit) -> None:
    """A loss that is no number is none after each start; the fit ends with what was wrong."""
    broken = network(training={"optimiser": "sgd", "rate": 1e30})
    request = replace(request_of, terms=[{**request_of.terms[0], "training": broken["training"]}])
    with pytest.raises(
        RuntimeError, match=r"the training loss is .* in epoch 1, batch \d of \d, .*lower `rate`"
    ):
        fit([request], Resources(1, max_failures=1))
    assert not Path(request.out).exists()
