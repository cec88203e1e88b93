"""Two nodes that share no disk, with the store in object storage, prepare and train together."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.storage import ENVIRONMENT, Storage
from trainers.storage.place import CACHE

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("nodes")]

TOKEN = "0123456789abcdef" * 4
CONFIG = """
data: {{events: ["{a}", "{b}", "{c}"], repeats: true, store: {store}, workers: {workers}}}
train: {{workers: {workers}, checkpoint: {{minutes: 0.0001}}}}
model:
  terms:
    - {{kind: own, forgetting: {{family: exponential, half_life: 5}}}}
    - {{kind: linear, l2: 20}}
    - {{kind: mlp, dim: 4, hidden: 8, dropout: 0.0, training: {{epochs: 2}}}}
finetune: {{window_days: 10, epochs: 1}}
"""
DRIVER = """
import json, sys
import numpy as np
from harness.settings import load
from harness.steps.workshop import Workshop

workshop = Workshop.open(load(sys.argv[1]))
model = workshop.settings.model
fits = workshop.pretrain([model], tune=True)
tuned = workshop.tuned(fits, model)
terms = {term.label: fits.statistics(term) if term.kind == "linear" else fits.state(term) for term in model.terms}
print(json.dumps({
    "fingerprint": workshop.store.fingerprint,
    "times": workshop.store.times.tolist(),
    "loss": fits.curve(model.terms[2]).loss,
    "tuned": tuned.curve(model.terms[2]).loss,
    "sums": {name: float(np.abs(array).sum()) for name, array in terms["linear"].items()},
}))
"""


class Node:
    """A process group with a folder, a cache and a key of its own."""

    def __init__(self, name: str, folder: Path, **more: str) -> None:
        self.name, self.folder = name, folder / name
        self.folder.mkdir(parents=True)
        own = {
            "AWS_ACCESS_KEY_ID": name,
            CACHE: str(self.folder / "cache"),
            "PYTHONPATH": os.environ["PYTHONPATH"],
        }
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
        self.environment = {**os.environ, **ENVIRONMENT, **token, **more, **own}
        self.processes: list[subprocess.Popen[bytes]] = []

    def started(self, *arguments: str) -> None:
        """`ray start`, up; Ray gives up where a node of a busy machine takes half a minute."""
        command = [str(Path(sys.executable).parent / "ray"), "start", "--block", *arguments]
        until = time.monotonic() + 400
        while time.monotonic() < until:
            if not self.processes or self.processes[-1].poll() is not None:
                with (self.folder / "log").open("wb") as log:
                    self.processes.append(
                        subprocess.Popen(
                            command,
                            env=self.environment,
                            cwd=self.folder,
                            stdout=log,
                            stderr=subprocess.STDOUT,
                            start_new_session=True,
                        )
                    )
            if "This command will now block" in (self.folder / "log").read_text():
                return
            time.sleep(0.3)
        raise AssertionError((self.folder / "log").read_text()[-3000:])

    def run(self, script: str, *arguments: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.splitlines()[-1])

    def stop(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A head without CPUs and two nodes of one each; none of them sees what another keeps."""
    with tempfile.TemporaryDirectory(prefix="ln", ignore_cleanup_errors=True) as sockets:
        quiet = {"RAY_TMPDIR": sockets, "RAY_USAGE_STATS_ENABLED": "0"}
        quiet |= {"RAY_agent_register_timeout_ms": "180000", "RAY_ADDRESS": ""}
        nodes = [Node(name, tmp_path, **quiet) for name in ("head", "east", "west")]
        memory = "--object-store-memory=100000000"
        try:
            head, *others = nodes
            head.started("--head", "--port=0", "--num-cpus=0", memory)
            (there,) = re.findall(r"--address='([\d.:]+)'", (head.folder / "log").read_text())
            for node in others:
                node.started(f"--address={there}", "--num-cpus=1", memory)
            yield there
        finally:
            for node in reversed(nodes):
                node.stop()


ROOM = """
import json, time, ray
from trainers import cluster
cluster.connect()
while cluster.processors() < 2:
    time.sleep(0.5)
print(json.dumps(cluster.processors()))
"""


def test_they_prepare_and_train_what_one_does_alone(
    address: str, storage: Storage, small_log: Path, tmp_path: Path
) -> None:
    lines = small_log.read_text().splitlines(keepends=True)
    uris = []
    for n in range(3):
        path = f"{tmp_path.name}/events/{n}.csv"
        storage.write(path, (lines[0] + "".join(lines[1 + n :: 3])).encode())
        uris.append(storage.uri(path))
    a, b, c = uris
    alone = Node("alone", tmp_path, RAY_ADDRESS="")
    (alone.folder / "c.yaml").write_text(CONFIG.format(a=a, b=b, c=c, store="store", workers=0))
    expected = alone.run(DRIVER, "c.yaml")
    driver = Node("driver", tmp_path, RAY_ADDRESS=address)
    assert driver.run(ROOM) == 2
    storage.asked.clear()
    there = f'"{storage.uri(f"{tmp_path.name}/stores")}"'
    (driver.folder / "c.yaml").write_text(CONFIG.format(a=a, b=b, c=c, store=there, workers=2))
    found = driver.run(DRIVER, "c.yaml")
    assert found["fingerprint"] == expected["fingerprint"]
    assert found["times"] == expected["times"]
    assert found["sums"] == pytest.approx(expected["sums"], rel=1e-4)
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-3)
    assert found["tuned"] == pytest.approx(expected["tuned"], rel=1e-3)
    # Both nodes read the log, both sent units, each fetched arrays of the store for its own users.
    for name in ("east", "west"):
        asked = [each for each in storage.asked if each.who == name]
        assert any("/events/" in each.path for each in asked), name
        assert any("/.work-" in each.path and each.method == "PUT" for each in asked), name
        assert any(each.path.endswith("/times.bin") and "/stores/" in each.path for each in asked), name
        assert not list((tmp_path / name / "cache").glob("stores/[!.]*/manifest.json"))
    assert [name for name in storage.names(f"{tmp_path.name}/stores") if name.startswith(".")] == []
    assert sorted(path.name for path in ROOT.glob("store*")) == []
