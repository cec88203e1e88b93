"""What Ray itself costs: a search of 64 closed-form trials beside WarpRec training EASE and ItemKNN on the same data.

Run: make warprec (or python -m benchmarks.search_warprec [--rounds 2], with WarpRec 2.2.8 in `.venv-rivals/warprec`).
Both sides start with an empty folder and without Ray, and take turns: the search first, then WarpRec, then the search …
The section of `benchmarks/search_cost.md` that it writes says when, on what, and under which load.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import Watch

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "configs" / "movielens-100k-closed.yaml"
EVENTS = ROOT / "data" / "movielens-100k" / "events.csv.gz"
PEER = ROOT / ".venv-rivals" / "warprec" / "bin"
PAGE = ROOT / "benchmarks" / "search_cost.md"
HEAD = "\n## Beside WarpRec\n"
LETHE = "from harness.cli import main; main()"
SHORT = {"OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled"}
"""For both sides: a thread a process, or they stall each other; and no token, which a second Ray of a user mixes up."""


class Side(NamedTuple):
    """What one side took, and what it found."""

    watch: Watch
    found: str


def lethe(folder: Path) -> Side:
    """`lethe search`, from the log to the table: 64 trials and as many under `none`."""
    changes = [f"--set=work={folder}/runs", f"--set=data.store={folder}/store"]
    command = [sys.executable, "-c", LETHE, "search", str(CONFIG), "--json", *changes]
    environment = {**os.environ, **SHORT, "PYTHONPATH": str(ROOT)}
    environment.pop("RAY_ADDRESS", None)
    with Watch() as watch, (folder / "lethe.log").open("w") as log:
        out = subprocess.run(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, check=True
        )
    result = json.loads(out.stdout)
    if (result["trials"], result["control_trials"], result["failed"]) != (64, 64, 0):
        sys.exit(f"the search must end with 64 and 64 trials, but {folder}/lethe.log tells otherwise")
    return Side(watch, f"{result['trials']} + {result['control_trials']} trials")


def warprec(folder: Path) -> Side:
    """`ray start` and `warprec --pipeline train`, until that ends; Ray's own end is not counted."""
    (folder / "events.csv").write_bytes(gzip.decompress(EVENTS.read_bytes()))
    shutil.copy(ROOT / "benchmarks" / "warprec.yml", folder / "train.yml")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, **SHORT, "RAY_TMPDIR": str(folder)}
    environment.pop("PYTHONPATH", None)
    environment.pop("RAY_ADDRESS", None)
    start = [str(PEER / "ray"), "start", "--head", "--block", f"--port={port}", "--include-dashboard=false"]
    train = [str(PEER / "warprec"), "--config", "train.yml", "--pipeline", "train"]
    with (folder / "ray.log").open("w") as log, (folder / "warprec.log").open("w") as said:
        with Watch() as watch:
            head = subprocess.Popen(start, cwd=folder, env=environment, stdout=log, stderr=log)
            wait_for(port)
            environment["RAY_ADDRESS"] = f"127.0.0.1:{port}"
            ended = subprocess.run(train, cwd=folder, env=environment, stdout=said, stderr=said)
        head.terminate()
        head.wait()
    models = [
        name
        for name in ("EASE", "ItemKNN")
        if f"HPO for {name} ended" in (folder / "warprec.log").read_text()
    ]
    if ended.returncode or len(models) != 2:
        sys.exit(f"WarpRec must train EASE and ItemKNN, but did not; see {folder}/warprec.log")
    return Side(watch, " and ".join(models))


def wait_for(port: int) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit("Ray did not start in two minutes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="how often both sides run")
    rounds = parser.parse_args().rounds
    rows, clock, processor = [], [], []
    for number in range(1, rounds + 1):
        # Short, or the sockets of Ray below it have names that are too long.
        with tempfile.TemporaryDirectory(prefix="b", dir="/tmp", ignore_cleanup_errors=True) as folder:
            (Path(folder) / "l").mkdir()
            (Path(folder) / "w").mkdir()
            mine, theirs = lethe(Path(folder) / "l").watch, warprec(Path(folder) / "w").watch
        clock.append(mine.wall / theirs.wall)
        processor.append(mine.cpu / theirs.cpu)
        cells = [mine.wall, theirs.wall, mine.cpu, theirs.cpu]
        figures = [f"{cell:.0f}" for cell in cells] + [f"{clock[-1]:.2f}", f"{processor[-1]:.2f}"]
        rows.append(f"| {number} | {' | '.join(figures)} | {mine.load:.1f}, {theirs.load:.1f} |")
        print(rows[-1], flush=True)
    peer = subprocess.run(
        [PEER / "python", "-c", "import importlib.metadata as m; print(m.version('warprec'), m.version('ray'))"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    section = f"""{HEAD}
`python -m benchmarks.search_warprec --rounds {rounds}`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} CPUs
({platform.machine()}), Lethe's Python {platform.python_version()} with ray {version("ray")}; WarpRec {peer[0]} with ray
{peer[1]}.

Lethe: `lethe search configs/{CONFIG.name}` in an empty folder, from the command to its result, the start of Ray
included: reading and packing the log, 64 trials, and 64 more under `none`. WarpRec: `ray start --head` and `warprec
--pipeline train` (`benchmarks/warprec.yml`), which trains and evaluates EASE and ItemKNN once each. Both on
MovieLens-100K, without a dashboard, a thread a process, in turn. Processor seconds are those of all processes.

| round | Lethe, s | WarpRec, s | Lethe, CPU s | WarpRec, CPU s | ratio, s | ratio, CPU s | load at the ends |
|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

Median ratios: **{statistics.median(clock):.2f}** on the clock, **{statistics.median(processor):.2f}** in processor
time.
"""
    above = PAGE.read_text().split(HEAD)[0] if PAGE.exists() else "# What a search costs\n"
    PAGE.write_text(above + section)


if __name__ == "__main__":
    main()
