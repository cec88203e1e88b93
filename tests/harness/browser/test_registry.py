"""MLflow's own pages after a main job: the registry, a version, a run with its figures and its report."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.registry.registry import Registry
from tests.harness.browser.conftest import Opened
from tests.harness.conftest import Finished

pytestmark = pytest.mark.slow
PATIENCE = 240.0  # seconds for the server, and for each of its pages: both are slow on a busy machine


@pytest.fixture(scope="module")
def server(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`mlflow server` over the database of a main job that is done, on a port of this machine alone."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("mlflow") / "server.log"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", finished.uri]
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with log.open("w") as said:
        process = subprocess.Popen([*command, *where], cwd=finished.folder, stdout=said, stderr=said)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(f"{address}/health", process, log)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise RuntimeError(f"`mlflow server` did not come up: {log.read_text()[-2000:]}")


def ours(found: Opened) -> list[str]:
    """All complaints but that MLflow's pages ask for something that a local server has not."""
    return [text for text in found.complaints if not text.startswith("Failed to load resource")]


def seen(found: Opened, text: str) -> None:
    found.page.get_by_text(text).first.wait_for(timeout=1000 * PATIENCE)


def test_the_registry_lists_the_model_with_its_aliases(opened: Any, server: str) -> None:
    found = opened(f"{server}/#/models")
    seen(found, "tiny")
    seen(found, "candidate")
    assert ours(found) == []


def test_a_version_says_its_verdict_and_has_tables(
    opened: Any, server: str, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished.there(monkeypatch)
    found = opened(f"{server}/#/models/tiny/versions/1")
    seen(found, "What it forgets")
    verdict = Registry("tiny").find("1").tags["verdict"]
    assert verdict[:40] in found.page.content()
    assert found.page.locator("table").count() >= 2
    for text in ("On the test queries", "How it was chosen", "What it cost", "Limits of use"):
        seen(found, text)
    assert ours(found) == []


def test_a_run_shows_its_figures_and_its_report(opened: Any, server: str, finished: Finished) -> None:
    run = finished.result["run_id"]
    experiment = _experiment(finished, run)
    found = opened(f"{server}/#/experiments/{experiment}/runs/{run}/artifacts/figures/models.png")
    picture = found.page.locator("img[src*='models.png'], img[src^='blob:']").first
    picture.wait_for(timeout=1000 * PATIENCE)
    assert picture.bounding_box()["width"] > 100
    found = opened(f"{server}/#/experiments/{experiment}/runs/{run}/artifacts/report.html")
    frame = found.page.frame_locator("iframe").first
    frame.get_by_text("Lethe run report").first.wait_for(timeout=1000 * PATIENCE)
    assert frame.locator("svg[role=img]").count() > 10
    assert ours(found) == []


def _experiment(finished: Finished, run: str) -> str:
    from mlflow.tracking import MlflowClient

    return str(MlflowClient(finished.uri).get_run(run).info.experiment_id)
