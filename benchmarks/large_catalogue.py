"""What a step of training over a large catalogue costs, by all rows and by those that it touches.

`python -m benchmarks.large_catalogue [--items 1000000] [--steps 8]` writes `benchmarks/large_catalogue.md`.

Events are made up: users who take items by Zipf's law from a catalogue of so many. One thread; CPU seconds of a step
are the median over steps after the first two, which allocate.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.rivals.measure import say
from benchmarks.workers import steps_timed
from trainers.encoders import ENCODERS, Neural
from trainers.log import DAY, PackedLog, TrainingData
from trainers.model import ModelSettings
from trainers.training.loop import optimise
from trainers.training.touched import Touched

ROOT = Path(__file__).parent.parent
NEGATIVES, BATCH, EVENTS, USERS = 512, 256, 40, 25_000
WAYS: dict[str, dict[str, Any]] = {
    "sampled softmax, all rows": {"kind": "sampled", "negatives": NEGATIVES},
    "sampled softmax, touched rows (`sparse: true`)": {
        "kind": "sampled",
        "negatives": NEGATIVES,
        "sparse": True,
    },
}


def made_up(items: int, users: int, seed: int = 0) -> TrainingData:
    """Users with `EVENTS` events each, items by Zipf's law."""
    rng = np.random.default_rng(seed)
    weight = np.cumsum(1 / np.arange(1, items + 1))
    taken = np.searchsorted(weight, rng.random(users * EVENTS) * weight[-1]).astype(np.int32)
    times = np.sort(rng.uniform(0, 300 * DAY, (users, EVENTS)), axis=1).ravel()
    offsets = np.arange(0, users * EVENTS + 1, EVENTS)
    log = PackedLog(offsets, taken, times, np.ones(len(taken), np.float32), items)
    numbers = np.arange(items)
    return TrainingData(log, offsets[1:], numbers, numbers.astype(np.int32), float(times.max()))


def measure(name: str, items: int, steps: int) -> dict[str, Any]:
    """One way, in this process."""
    torch.set_num_threads(1)
    data = made_up(items, USERS)
    moments = data.moments(slice(0, steps * BATCH // (EVENTS - 1)))
    settings = {
        "kind": "recurrent", "dim": 64, "hidden": 64,
        "training": {"batch": BATCH, "epochs": 1, "loss": WAYS[name]},
    }  # fmt: skip
    [term] = ModelSettings.model_validate({"terms": [settings]}).terms
    torch.manual_seed(0)
    encoder = ENCODERS[term.kind](term, items)
    assert isinstance(encoder, Neural)
    spent: list[float] = []
    rows: list[int] = []
    clip = Touched.clip

    def counted(self: Touched) -> float:
        rows.append(len(self.rows))
        return clip(self)

    Touched.clip = counted  # type: ignore[method-assign]
    with steps_timed(spent):
        optimise(encoder, data, moments, encoder.settings.training, repeats=True, epochs=1)
    return {
        "name": name,
        "seconds": statistics.median(spent[2:]),
        "rows": int(statistics.median(rows)) if rows else items,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "steps": len(spent),
    }


def page(found: list[dict[str, Any]], items: int, steps: int) -> str:
    dense, sparse = found
    lines: list[str] = [
        "# Training over a large catalogue",
        "",
        f"`python -m benchmarks.large_catalogue --items {items} --steps {steps}`: `recurrent`, d = 64, {items:,} "
        "items, "
        f"{USERS * EVENTS:,} events, "
        f"batches of {BATCH} moments, {NEGATIVES} sampled items a batch, one thread; each way in a process of its own.",
        "",
        "| loss | CPU seconds a step | rows that a step moves | bytes of gradient to share | peak memory, GB |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {each['name']} | {each['seconds']:.3f} | {each['rows']:,} | {each['rows'] * 65 * 4:,} | "
        f"{each['memory']:.2f} |"
        for each in found
    ]
    lines += [
        "",
        f"By touched rows a step takes {dense['seconds'] / sparse['seconds']:.0f} times less CPU time.",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}, "
        f"torch {version('torch')}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only:
        print(json.dumps(measure(asked.only, asked.items, asked.steps)))
        return
    found = []
    for name in WAYS:
        command = [sys.executable, "-m", "benchmarks.large_catalogue", "--only", name]
        sizes = ["--items", str(asked.items), "--steps", str(asked.steps)]
        told = subprocess.run([*command, *sizes], check=True, stdout=subprocess.PIPE, text=True).stdout
        found.append(json.loads(told.splitlines()[-1]))
        say(f"  {name}: {found[-1]['seconds']:.3f} CPU seconds a step")
    text = page(found, asked.items, asked.steps)
    (ROOT / "benchmarks" / "large_catalogue.md").write_text(text)
    results = ROOT / "benchmarks" / "results" / "large_catalogue.json"
    told_of = {"items": asked.items, "batch": BATCH, "negatives": NEGATIVES, "ways": found}
    results.write_text(json.dumps(told_of, indent=2) + "\n")
    print(text)


if __name__ == "__main__":
    main()
