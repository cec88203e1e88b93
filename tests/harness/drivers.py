"""The main job as a process of its own, to be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import ROOT

PATIENCE = 400.0  # seconds that a run may take to come so far, on a busy machine


def driver(folder: Path) -> subprocess.Popen[bytes]:
    code = "from harness.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "run", "tiny.yaml", "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_at(folder: Path, files: str, count: int) -> None:
    """Run the main job until there are so many of these files, then kill it (SIGKILL)."""
    process = driver(folder)
    try:
        until = time.monotonic() + PATIENCE
        while len(list(folder.glob(files))) < count:
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < until, f"no {files} came"
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
