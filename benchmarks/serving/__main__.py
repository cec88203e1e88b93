"""What a live state saves over replaying histories: time for an event and a list, memory, and how near the lists are.

`python -m benchmarks.serving [CONFIG] [--set a.b=c …] [--moments 1000]` writes `benchmarks/serving.md`.

The model that CONFIG describes (closed-form terms, fitted before the test cut) becomes a live state with all events
before the cut. The events after it then come one at a time, each followed by a question for a list, as in a shop. The
same list is asked of the same states made anew from the user's events, and of the exact model from its history. Users
with simulated histories of growing length, of 300 items, show what does not grow.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before any library reads it

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.serving.measure import fed, packaged, simulated, sizes
from benchmarks.serving.page import page
from harness.settings import load

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "online-retail.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config", type=Path, nargs="?", default=CONFIG)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--moments", type=int, default=1000)
    asked = parser.parse_args()
    package, cut = packaged(load(asked.config, asked.set))
    assert package.known is not None
    with tempfile.TemporaryDirectory() as folder:
        live, found, spent = fed(package, cut, asked.moments, Path(folder) / "real")
        users, then = simulated(package)
        _, long, _ = fed(replace(package, known=users), then, 10**9, Path(folder) / "long")
        made = (
            f"`python -m benchmarks.serving configs/{asked.config.name} --moments {asked.moments}`, one thread. "
            f"The events of {len(package.known.ids):,} users before the test cut became states in {spent:.0f} s."
        )
        size = sizes(live, package.known)
    text = page(live, [each for of_user in found.values() for each in of_user], long, size, made)
    (ROOT / "benchmarks" / "serving.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
