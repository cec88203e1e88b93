"""What preparing a large log takes: memory, events a second, going on after a kill, appending.

`python -m benchmarks.preparation [--events 50_000_000] [--users 1_000_000] [--append 5_000_000]` writes
`benchmarks/preparation.md`.

A log is generated as Parquet and prepared in a process of its own; then into another store by one that is killed
halfway and one that goes on; then new files are added and appended. The data are deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.preparation.generate import SPAN, World
from benchmarks.preparation.measure import Took, prepare, read
from benchmarks.preparation.page import Measured, page
from harness.data import DataSettings

ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--append", type=int, default=5_000_000)
    parser.add_argument("--memory", default="3GB", help="`data.memory`")
    parser.add_argument("--folder", type=Path, help="where to put some gigabytes")
    asked = parser.parse_args()
    if asked.folder:
        asked.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=asked.folder, prefix="preparation-") as folder:
        found = measure(asked, Path(folder))
    text = page(found, asked)
    (ROOT / "benchmarks" / "preparation.md").write_text(text)
    print(text)


def measure(asked: argparse.Namespace, folder: Path) -> Measured:
    """All of it, in one run."""
    old = World(asked.users, asked.items)
    new = World(asked.users * 101 // 100, asked.items * 101 // 100, old.begin + SPAN, SPAN // 10, late=0.01)
    files = old.write(folder / "old", asked.events)
    more = new.write(folder / "new", asked.append, seed=1)
    loads = [os.getloadavg()[1]]

    def told(step: str, took: Took) -> Took:
        loads.append(os.getloadavg()[1])
        print(
            f"{step}: {took.seconds:.1f} s, {took.cpu:.1f} CPU s, {took.memory / 2**30:.2f} GiB",
            file=sys.stderr,
        )
        return took

    whole = told("packed", prepare(_settings(folder, "whole", files, asked), folder))
    appended = told("appended", prepare(_settings(folder, "whole", files + more, asked), folder))
    first_read = told("read", read(appended.answer["store"], folder))
    alone = told("alone", prepare(_settings(folder, "alone", more, asked), folder))
    again = _settings(folder, "again", files, asked)
    killed = told("killed", prepare(again, folder, kill_at="Numbering"))
    went_on = told("went on", prepare(again, folder))
    kept = re.search(r"going on after ([\d,]+) rows", went_on.said)
    return Measured(
        whole,
        killed,
        went_on,
        _contents(whole) == _contents(went_on),
        int(kept[1].replace(",", "")) if kept else 0,
        appended,
        first_read,
        alone,
        sum(file.stat().st_size for file in files),
        float(np.mean(loads)),
    )


def _settings(folder: Path, store: str, files: list[Path], asked: argparse.Namespace) -> Path:
    settings = DataSettings(events=list(map(str, files)), store=str(folder / store), memory=asked.memory)
    file = folder / f"{store}.json"
    file.write_text(settings.model_dump_json())
    return file


def _contents(took: Took) -> dict[str, Any]:
    files: dict[str, Any] = json.loads((Path(took.answer["store"]) / "manifest.json").read_text())["files"]
    return files


if __name__ == "__main__":
    main()
