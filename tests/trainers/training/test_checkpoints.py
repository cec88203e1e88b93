"""Checkpoints on disk: whole or not there, broken ones passed over, those of other trainings refused."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers.fitting.test_pretrain import MLP, data, network, requests, stored
from trainers.fitting.fits import Fits
from trainers.fitting.pretrain import CHECKPOINTS, Resources, fit
from trainers.fitting.request import Fit
from trainers.model import ModelSettings
from trainers.training.checkpoints import Checkpoints
from trainers.training.computing import ComputeSettings
from trainers.training.curve import Curve
from trainers.training.loop import Training
from trainers.training.spread import Spread

__all__ = ["data", "stored"]  # fixtures

TERM = ModelSettings.model_validate({"terms": [MLP]}).terms[0]
EVERY_BATCH = Resources(compute=ComputeSettings.model_validate({"checkpoint": {"minutes": 1e-9, "keep": 3}}))


def training(epochs: int = 1, batch: int = 0, size: int = 4) -> Training:
    state = {"weight": torch.arange(float(size))}
    optimiser = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    curve = Curve([1.0] * epochs, [0.9] * epochs, 2.0, epochs)
    random = [[torch.get_rng_state()]]
    return Training(curve, state, state, optimiser, None, batch, [[1.5, 2.0]], random)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "mlp", 2, {"seed": 3, "terms": [{"kind": "mlp"}]})


@pytest.fixture
def small_files() -> Iterator[None]:
    """As on a disk that is full: the system itself refuses to write more than 30 KB to a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_was_written_is_read(checkpoints: Checkpoints) -> None:
    written = training(3, 7)
    checkpoints.write(written)
    assert checkpoints.sound() == ("00003-00000007.pt", [])
    read = checkpoints.read("00003-00000007.pt")
    assert read.curve == written.curve
    assert (read.batch, read.sums) == (7, [[1.5, 2.0]])
    assert torch.equal(read.module["weight"], written.module["weight"])
    assert torch.equal(read.random[0][0], written.random[0][0])
    assert read.optimiser["param_groups"] == written.optimiser["param_groups"]


def test_the_last_few_stay(checkpoints: Checkpoints) -> None:
    for epochs, batch in ((1, 0), (1, 20), (1, 100), (2, 0)):
        checkpoints.write(training(epochs, batch))
    assert checkpoints.names() == ["00001-00000100.pt", "00002-00000000.pt"]
    assert [file.name for file in checkpoints.folder.iterdir() if file.name.startswith(".")] == []


@pytest.mark.parametrize("harm", ["cut", "flipped", "emptied"])
def test_a_broken_one_is_passed_over(checkpoints: Checkpoints, harm: str) -> None:
    for epochs in (1, 2):
        checkpoints.write(training(epochs, size=1000))
    file = checkpoints.folder / "00002-00000000.pt"
    content, before = bytearray(file.read_bytes()), file.read_bytes()
    at = content.find(torch.arange(1000.0).numpy().tobytes()) + 2000  # within a tensor
    content[at] ^= 1
    file.write_bytes({"cut": before[:-100], "flipped": bytes(content), "emptied": b""}[harm])
    assert checkpoints.sound() == ("00001-00000000.pt", ["00002-00000000.pt"])
    checkpoints.folder.joinpath("00001-00000000.pt").write_bytes(b"no archive")
    assert checkpoints.sound() == (None, ["00002-00000000.pt", "00001-00000000.pt"])


def test_a_disk_that_is_full_leaves_the_old_one(checkpoints: Checkpoints, small_files: None) -> None:
    checkpoints = replace(checkpoints, keep=1)
    with pytest.raises(
        OSError, match=r"could not be written \(File too large\); there is none yet: make room"
    ):
        checkpoints.write(training(1, size=10_000))
    checkpoints.write(training(1))
    with pytest.raises(
        OSError, match=r"the last one, 00001-00000000\.pt, stays: make room, and the same command"
    ):
        checkpoints.write(training(2, size=10_000))
    assert [file.name for file in checkpoints.folder.iterdir()] == ["00001-00000000.pt"]
    assert checkpoints.sound() == ("00001-00000000.pt", [])


def test_one_of_another_training_is_refused(checkpoints: Checkpoints) -> None:
    checkpoints.write(training())
    other = replace(checkpoints, of={"seed": 4, "terms": [{"kind": "mlp"}]})
    with pytest.raises(
        ValueError,
        match=r"checkpoint of another training: its `seed` is 3, and 4 is asked for; remove .*mlp to begin",
    ):
        other.read("00001-00000000.pt")


# In a fit of this process


class Crash(BaseException):
    """As when the process is killed: nothing may catch it."""


@pytest.fixture
def request_of(stored: Path, tmp_path: Path) -> Fit:
    return requests(stored, tmp_path, network(dropout=0.3))[0]


@pytest.fixture
def whole(request_of: Fit, tmp_path: Path) -> Curve:
    """The training that nothing happened to."""
    [fits] = fit([replace(request_of, out=str(tmp_path / "whole"))], EVERY_BATCH)
    return curve_of(fits)


def curve_of(fits: Fits) -> Curve:
    [(_, curve)] = fits.entries()
    assert curve is not None
    return curve


def crash(request: Fit, monkeypatch: pytest.MonkeyPatch, epochs: int, batch: int) -> Path:
    """Run until just after this checkpoint was written; returns the folder of checkpoints."""
    write = Checkpoints.write

    def written(self: Checkpoints, training: Training) -> None:
        write(self, training)
        if (len(training.curve.loss), training.batch) == (epochs, batch):
            raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "write", written)
        with pytest.raises(Crash):
            fit([request], EVERY_BATCH)
    assert not Path(request.out).exists()
    return Path(f"{request.out}.partial") / CHECKPOINTS / "mlp"


def test_a_process_that_died_in_the_middle_of_an_epoch(
    request_of: Fit, whole: Curve, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = crash(request_of, monkeypatch, 1, 4)
    names = sorted(file.name for file in folder.iterdir())
    assert names == [f"00001-{batch:08d}.pt" for batch in (2, 3, 4)]
    done: list[int] = []
    gradient = Spread.gradient

    def counted(self: Any, parts: Any) -> Any:
        done.append(len(parts))
        return gradient(self, parts)

    monkeypatch.setattr(Spread, "gradient", counted)
    [fits] = fit([request_of], EVERY_BATCH)
    assert curve_of(fits) == whole  # to the last bit
    assert fits.notes == ["`mlp`: went on after 1 epochs and 4 batches"]
    steps = -(-175 // 29)
    assert abs(len(done) - (3 * steps - steps - 4)) <= 2  # no batch was computed again
    assert not (fits.folder / CHECKPOINTS).exists()


def test_a_broken_checkpoint_costs_what_came_after_the_one_before(
    request_of: Fit, whole: Curve, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = crash(request_of, monkeypatch, 1, 4)
    last = folder / "00001-00000004.pt"
    last.write_bytes(last.read_bytes()[:-500])
    [fits] = fit([request_of], EVERY_BATCH)
    assert curve_of(fits) == whole
    assert fits.notes == [
        "`mlp`: the checkpoint 00001-00000004.pt is broken and was passed over",
        "`mlp`: went on after 1 epochs and 3 batches",
    ]


def test_a_fit_with_other_settings_does_not_go_on(request_of: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    crash(request_of, monkeypatch, 1, 0)
    with pytest.raises(
        RuntimeError, match="checkpoint of another training: its `seed` is 4, and 5 is asked for"
    ):
        fit([replace(request_of, seed=5)], EVERY_BATCH)
    assert not Path(request_of.out).exists()


def test_a_disk_that_fills_up_in_training(
    request_of: Fit, whole: Curve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fit ends with one line; with room again it goes on from the checkpoint that stayed."""
    save, saved = torch.save, []

    def full(content: Any, file: Any) -> None:
        saved.append(content)
        if len(saved) == 9:
            file.write(b"some of it")
            raise OSError(28, "No space left on device")
        save(content, file)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(
            OSError, match=r"could not be written \(No space left on device\); the last one, 0000"
        ):
            fit([request_of], EVERY_BATCH)
    assert not Path(request_of.out).exists()
    [fits] = fit([request_of], EVERY_BATCH)
    assert curve_of(fits) == whole
    assert len(fits.notes) == 1


def test_a_term_that_was_trained_is_not_trained_again(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two networks the second was under way."""
    request = requests(stored, tmp_path, network(), network(name="other", dim=5))[0]
    write = Checkpoints.write
    trained: list[str] = []

    def written(self: Checkpoints, training: Training) -> None:
        trained.append(self.folder.name)
        write(self, training)
        if trained.count("other") == 2:
            trained.append("dead")
            raise Crash

    monkeypatch.setattr(Checkpoints, "write", written)
    with pytest.raises(Crash):
        fit([request])
    [fits] = fit([request])
    assert trained == ["mlp"] * 3 + ["other"] * 2 + ["dead"] + ["other"]
    assert fits.notes == [
        "`mlp`: went on after 3 epochs and 0 batches",
        "`other`: went on after 2 epochs and 0 batches",
    ]
    assert all(
        np.isfinite(array).all() for term, _ in fits.entries() for array in (fits.state(term) or {}).values()
    )
