"""Commands in processes of their own, with what they took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREPARE = """
import json, os, signal, sys
from harness.data import DataSettings, prepare
settings = DataSettings.model_validate_json(open(sys.argv[1]).read())
def say(line):
    print(line, file=sys.stderr, flush=True)
    if sys.argv[2] and line.startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
store = prepare(settings, say)
print(json.dumps({"store": str(store.path), "segments": store.segments, "appended": store.appended}))
"""
READ = "import sys; from harness.data import open_store; open_store(sys.argv[1]).log"
EVERY = 0.05  # seconds between two looks at memory


@dataclass(frozen=True)
class Took:
    """What a process took.

    Attributes:
        memory: bytes resident at most, of the process and all below it.
        answer: the JSON that it printed, if any.
        said: what it said on stderr.
    """

    seconds: float
    cpu: float
    memory: int
    code: int
    answer: dict[str, Any]
    said: str


def measured(command: list[str], folder: Path) -> Took:
    """Run a command to its end."""
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        begin = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=err)
        resident = 0
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            resident = max(resident, sum(_resident(each) for each in _tree(process.pid)))
            time.sleep(EVERY)
        seconds = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        text, said = out.read(), err.read()
    return Took(
        seconds,
        usage.ru_utime + usage.ru_stime,
        max(resident, usage.ru_maxrss * 1024),  # the system misses no peak of one process
        process.returncode,
        json.loads(text) if text else {},
        said,
    )


def prepare(settings: Path, folder: Path, kill_at: str = "") -> Took:
    """What `lethe prepare` does once it has loaded what later steps need, which costs the same for any log.

    With `kill_at` it is killed (SIGKILL) when it says a line that begins so.
    """
    took = measured([sys.executable, "-c", PREPARE, str(settings), kill_at], folder)
    if took.code and not kill_at:
        raise RuntimeError(took.said)
    return took


def read(store: str, folder: Path) -> Took:
    """Open a store and make its arrays, if nobody has."""
    took = measured([sys.executable, "-c", READ, store], folder)
    if took.code:
        raise RuntimeError(took.said)
    return took


def _tree(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return [pid]
    return [pid, *(each for child in text.split() for each in _tree(int(child)))]


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
