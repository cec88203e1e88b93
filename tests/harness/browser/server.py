"""`mlflow server` over a database, on a port of this machine alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 120.0  # seconds for the server to come up: it imports for long on a busy machine


@contextmanager
def serving(uri: str, log: Path) -> Iterator[str]:
    """The address of a server that ends with the block; what it says goes into `log`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    # Its queue of jobs is eight more processes that nobody here gives anything to do.
    quiet = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with log.open("w") as said:
        process = subprocess.Popen([*command, *where], env=quiet, stdout=said, stderr=said)
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
