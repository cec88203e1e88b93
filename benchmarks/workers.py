"""Two single-threaded workers beside one: how much faster the same training is, and what the workers tell each other.

`python -m benchmarks.workers [CONFIG] [--rounds 3] [--moments 12288]` writes `benchmarks/workers.md` and
`benchmarks/results/workers.json`, from which `python -m benchmarks.scaling` derives larger shapes.

Workers are processes with a thread and a CPU of their own that speak Gloo, as Ray Train starts them; each trains the
same network for an epoch, with the same batches. One worker and two take turns, the median of the rounds counts. Where
other work shares the machine, clocks say more about that than about the workers; so beside the clock stands the CPU
time on the critical path, Σ over steps of the most that any worker computed: what a machine of their own would take.
The first step, which allocates and meets the others, is left out of it.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from benchmarks.rivals.measure import say
from harness.settings import load
from harness.steps.workshop import Workshop
from trainers.encoders import ENCODERS, Neural
from trainers.log import PackedLog, TrainingData
from trainers.model import ModelSettings
from trainers.training.loop import optimise
from trainers.training.spread import Spread
from trainers.training.workers import Workers

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "configs" / "online-retail.yaml"
TERM = {
    "kind": "transformer",
    "dim": 64,
    "blocks": 2,
    "heads": 2,
    "max_history": 100,
    "forgetting": {"family": "none"},
    "training": {"rate": 0.004, "batch": 1024, "epochs": 1},
}


@contextmanager
def steps_timed(spent: list[float]) -> Iterator[None]:
    """Notes the CPU time of this process from step to step."""
    move, last = Spread.move, time.process_time()

    def timed(self: Spread, rate: float) -> None:
        nonlocal last
        move(self, rate)
        now = time.process_time()
        spent.append(now - last)
        last = now

    Spread.move = timed  # type: ignore[method-assign]  # watched
    try:
        yield
    finally:
        Spread.move = move  # type: ignore[method-assign]  # watched


def train(rank: int, size: int, folder: Path, vocabulary: int, most: int) -> None:
    """What each worker does: an epoch of the training, from the same store."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank % len(os.sched_getaffinity(0))]})
    torch.set_num_threads(1)
    meet = f"file://{folder}/meet-{size}"
    dist.init_process_group(
        "gloo", init_method=meet, rank=rank, world_size=size, timeout=timedelta(minutes=10)
    )
    log = (folder / "log").read_text()
    data = TrainingData.open(PackedLog.open(log, vocabulary), folder / "data")
    [term] = ModelSettings.model_validate({"terms": [TERM]}).terms
    torch.manual_seed(0)
    encoder = ENCODERS[term.kind](term, len(data.catalogue))
    assert isinstance(encoder, Neural)
    encoder.begin(data)
    moments = data.moments().take(slice(0, most))
    spent: list[float] = []
    dist.barrier()
    begun = time.monotonic()
    with steps_timed(spent):
        curve = optimise(
            encoder, data, moments, encoder.settings.training, repeats=True, epochs=1,
            workers=Workers(rank, size),
        )  # fmt: skip
    told = {
        "clock": time.monotonic() - begun,
        "cpu": spent[1:],
        "loss": curve.loss[0],
        "moments": len(moments),
        "parameters": sum(parameter.numel() for parameter in encoder.module.parameters()),
        "items": encoder.items,
    }
    (folder / f"told-{rank}.json").write_text(json.dumps(told))
    dist.destroy_process_group()


def crew(size: int, folder: Path, vocabulary: int, most: int) -> dict[str, Any]:
    """One training by so many workers."""
    (folder / f"meet-{size}").unlink(missing_ok=True)
    load_before = os.getloadavg()[0]
    spawn(train, (size, folder, vocabulary, most), nprocs=size)  # type: ignore[no-untyped-call]  # torch's
    told = [json.loads((folder / f"told-{rank}.json").read_text()) for rank in range(size)]
    path = sum(max(step) for step in zip(*(each["cpu"] for each in told), strict=True))
    return {
        **told[0],
        "clock": max(each["clock"] for each in told),
        "path": path,
        "steps": len(told[0]["cpu"]),
        "cpu": sum(sum(each["cpu"]) for each in told),
        "load": load_before,
    }


def message() -> tuple[float, float]:
    """Seconds that an all-reduce among two processes here takes, and seconds a byte of it."""
    with tempfile.TemporaryDirectory() as folder:
        spawn(_reduce, (Path(folder),), nprocs=2)  # type: ignore[no-untyped-call]  # torch's
        small, large = json.loads((Path(folder) / "told.json").read_text())
    return small, (large - small) / (64 * 2**20)


def _reduce(rank: int, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found = []
    for numbers in (1, 16 * 2**20):
        tensor, taken = torch.ones(numbers), []
        for _ in range(9):
            dist.barrier()
            begun = time.monotonic()
            dist.all_reduce(tensor)
            taken.append(time.monotonic() - begun)
        found.append(min(taken))
    if rank == 0:
        (folder / "told.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def measure(config: Path, rounds: int, most: int) -> dict[str, Any]:
    """All figures of the page."""
    stage = Workshop.open(load(config)).val
    found: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        stage.save_training(folder / "data", None)
        (folder / "log").write_text(str(stage.store.path))
        for number in range(rounds):
            for size in (1, 2) if number % 2 == 0 else (2, 1):
                told = crew(size, folder, stage.store.counts.items, most)
                found[size].append(told)
                say(
                    f"  {size} workers: {told['clock']:.1f} s, {told['path']:.1f} s of CPU on the critical path"
                )
    latency, byte = message()
    one, two = found[1], found[2]

    def middle(of: list[dict[str, Any]], name: str) -> float:
        return float(statistics.median(each[name] for each in of))

    return {
        "config": config.name,
        "rounds": rounds,
        "one": {name: middle(one, name) for name in ("clock", "path", "cpu", "loss", "load")},
        "two": {name: middle(two, name) for name in ("clock", "path", "cpu", "loss", "load")},
        "by_clock": statistics.median(a["clock"] / b["clock"] for a, b in zip(one, two, strict=True)),
        "by_path": statistics.median(a["path"] / b["path"] for a, b in zip(one, two, strict=True)),
        "steps": one[0]["steps"],
        "moments": one[0]["moments"],
        "items": one[0]["items"],
        "parameters": one[0]["parameters"],
        "seconds_a_moment": middle(one, "path") / one[0]["steps"] * (one[0]["steps"] + 1) / one[0]["moments"],
        "latency": latency,
        "seconds_a_byte": byte,
        "dim": TERM["dim"],
        "made": f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} CPUs, Python "
        f"{platform.python_version()}, torch {version('torch')}",
    }


def page(found: dict[str, Any]) -> str:
    rows = [
        f"| {name} | {of['clock']:.1f} | {of['path']:.1f} | {of['cpu']:.1f} | {of['loss']:.4f} | {of['load']:.1f} |"
        for name, of in (("one", found["one"]), ("two", found["two"]))
    ]
    apart = abs(found["two"]["loss"] / found["one"]["loss"] - 1)
    return "\n".join(
        [
            "# Two workers beside one",
            "",
            f"`python -m benchmarks.workers configs/{found['config']} --rounds {found['rounds']} --moments "
            f"{found['moments']}`: an epoch of a "
            f"transformer (d = {found['dim']}, 2 blocks, full softmax over {found['items']:,} items), "
            f"{found['moments']:,} moments in {found['steps']} steps, the same batches. Each worker is a process with "
            "one thread, on a CPU of its own. Medians of the rounds, in which one and two take turns.",
            "",
            "| workers | seconds by the clock | CPU seconds on the critical path | CPU seconds of all | loss | load |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
            f"Two are **{found['by_path']:.2f}** times as fast as one on the critical path (Σ over steps of the most "
            f"that any worker computes, what they tell each other included), {found['by_clock']:.2f} times by the "
            f"clock of a machine that others used too (`load`: processes that wanted its {os.cpu_count()} CPUs before "
            f"each round). The loss differs by {apart:.2%}.",
            "",
            "| constant | measured |",
            "| --- | --- |",
            f"| parameters, and bytes of their gradient | {found['parameters']:,}, {4 * found['parameters']:,} |",
            f"| bytes that each of two workers sends a step (ring all-reduce: 2·(N − 1)/N of the gradient) | "
            f"{4 * found['parameters']:,} |",
            f"| CPU seconds a moment | {found['seconds_a_moment']:.2e} |",
            f"| seconds an all-reduce takes here, whatever its size | {found['latency']:.2e} |",
            f"| seconds a byte of an all-reduce here | {found['seconds_a_byte']:.2e} |",
            "",
            f"{found['made']}.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config", type=Path, nargs="?", default=CONFIG)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--moments", type=int, default=12_288, help="train on so many moments")
    asked = parser.parse_args()
    found = measure(asked.config, asked.rounds, asked.moments)
    (ROOT / "benchmarks" / "results" / "workers.json").write_text(json.dumps(found, indent=2) + "\n")
    (ROOT / "benchmarks" / "workers.md").write_text(page(found))
    print(page(found))


if __name__ == "__main__":
    main()
