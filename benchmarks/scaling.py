"""Communication and memory of larger shapes, derived from what was measured on small ones.

`python -m benchmarks.scaling` writes `docs/scaling.md` from `benchmarks/results/workers.json` and
`large_catalogue.json`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "scaling.md"
CREWS = (8, 64, 1000)
CATALOGUES = (1_000_000, 100_000_000)
DIM = 64
MOMENTS = 8192  # that a GPU computes a step
NEGATIVES = 8192
CARD = 80e9  # bytes of memory
NODE = 8  # GPUs of a machine
FLOAT = 4  # bytes

# Not measured here: what a GPU and its network are taken to be.
SPEED = 2000.0  # a GPU computes as fast as so many of the cores measured
LAUNCH = 5e-3  # seconds below which no step is, however little it computes: its kernels have to be started
WITHIN, BETWEEN = 200e9, 25e9  # bytes a second and GPU, in a machine and between machines
HOP = 20e-6  # seconds of a message from one worker to the next


class Cost(NamedTuple):
    """Of a step on one worker: bytes that it sends and that it keeps in memory."""

    sent: float
    kept: float


def touched(items: int, draws: float, exponent: float = 1.0) -> float:
    """How many different items so many draws by Zipf's law are expected to be: Σᵢ 1 − (1 − pᵢ)ⁿ.

    Exact for the first 100,000 items; those after them are summed in blocks of like popularity.

    >>> round(touched(2, 1), 6)
    1.0
    """
    head = np.arange(1, min(items, 100_000) + 1, dtype=np.float64)
    edges = (
        np.unique(np.geomspace(len(head) + 1, items + 1, 2000).round()) if items > len(head) else np.zeros(1)
    )
    middle, count = np.sqrt(edges[:-1] * (edges[1:] - 1)), np.diff(edges)
    weight, number = np.concatenate((head, middle)) ** -exponent, np.concatenate((np.ones(len(head)), count))
    share = weight / (weight * number).sum()
    return float((number * -np.expm1(draws * np.log1p(-share.clip(max=1 - 1e-12)))).sum())


def all_rows(items: int, workers: int) -> Cost:
    """`sharding: none`: a ring all-reduce of the gradient; parameters, gradients and Adam's two moments on each."""
    table = items * (DIM + 1) * FLOAT
    return Cost(2 * (workers - 1) / workers * table, 4 * table)


def optimiser(items: int, workers: int) -> Cost:
    """`sharding: optimiser`: the moments are dealt out, and the new parameters sent round beside the gradient."""
    table = items * (DIM + 1) * FLOAT
    return Cost(3 * (workers - 1) / workers * table, (2 + 2 / workers) * table)


def model(items: int, workers: int) -> Cost:
    """`sharding: model`: everything dealt out; a step gathers the parameters and scatters the gradient."""
    table = items * (DIM + 1) * FLOAT
    return Cost(2 * (workers - 1) / workers * table, (2 + 4 / workers) * table)


def rows(items: int, workers: int) -> Cost:
    """`loss.sparse`: the gradient of the rows that the crew touches, after their numbers; parameters and moments on
    each."""
    mine = touched(items, MOMENTS) + touched(items, NEGATIVES)
    ours = touched(items, workers * MOMENTS + NEGATIVES)
    row = (DIM + 1) * FLOAT
    return Cost(
        2 * (workers - 1) / workers * ours * row + 8 * mine * (workers - 1),
        3 * items * row + 3 * ours * row,
    )


WAYS: dict[str, Callable[[int, int], Cost]] = {
    "all rows (DDP)": all_rows,
    "`sharding: optimiser`": optimiser,
    "`sharding: model`": model,
    "`loss.sparse`": rows,
}


def computing(seconds_a_moment: float) -> float:
    """Seconds that a GPU computes a step."""
    return max(LAUNCH, MOMENTS * seconds_a_moment / SPEED)


def telling(cost: Cost, workers: int) -> float:
    """Seconds that a step's messages take, none of them hidden behind computing."""
    speed = WITHIN if workers <= NODE else BETWEEN
    return cost.sent / speed + 2 * math.log2(max(workers, 1)) * HOP


def efficiency(way: str, items: int, workers: int, seconds_a_moment: float) -> float:
    """The share of its time that a worker computes."""
    busy = computing(seconds_a_moment)
    return busy / (busy + telling(WAYS[way](items, workers), workers))


def stops(way: str, items: int, seconds_a_moment: float) -> str:
    """The largest crew, of powers of two up to 4096, that computes at least half of its time."""
    crews = [2**power for power in range(1, 13)]
    paying = [n for n in crews if efficiency(way, items, n, seconds_a_moment) >= 0.5]
    return f"{max(paying):,}" if paying else "1"


def table(items: int, seconds_a_moment: float) -> list[str]:
    lines = [
        f"### {items:,} items",
        "",
        "| way | GPUs | GB a GPU keeps | fits 80 GB | MB a GPU sends a step | ms a step | of which computing |"
        " times one GPU |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for way, of in WAYS.items():
        for workers in CREWS:
            cost, share = of(items, workers), efficiency(way, items, workers, seconds_a_moment)
            whole = computing(seconds_a_moment) / share
            lines.append(
                f"| {way} | {workers:,} | {cost.kept / 1e9:.1f} | {'yes' if cost.kept < CARD else 'no'} | "
                f"{cost.sent / 1e6:,.0f} | {1e3 * whole:,.1f} | {share:.0%} | {workers * share:,.1f} |"
            )
    lines += ["", "| way | most GPUs that compute half of their time |", "| --- | --- |"]
    lines += [f"| {way} | {stops(way, items, seconds_a_moment)} |" for way in WAYS]
    return [*lines, ""]


def predicted(workers: dict[str, Any]) -> float:
    """How much faster two workers should be than one, from what a step computes and a message takes."""
    step = workers["one"]["path"] / workers["steps"]
    told = workers["latency"] + FLOAT * workers["parameters"] * workers["seconds_a_byte"]
    return float(step / (step / 2 + told))


def page(workers: dict[str, Any], catalogue: dict[str, Any]) -> str:
    dense, sparse = catalogue["ways"]
    batch, sampled = catalogue["batch"], catalogue["negatives"]
    moment = sparse["seconds"] / batch
    foretold = touched(catalogue["items"], batch + sampled)
    lines = [
        "# How far it scales",
        "",
        "Written by `python -m benchmarks.scaling` from what [two workers](benchmarks/workers.md) and "
        "[a large catalogue](benchmarks/large_catalogue.md) were measured to cost; no figure here is typed in.",
        "",
        "## Measured",
        "",
        "| constant | value |",
        "| --- | --- |",
        f"| CPU seconds a moment, sampled softmax, touched rows, d = {DIM} | {moment:.2e} |",
        f"| the same with all rows of {catalogue['items']:,} items moved | {dense['seconds'] / batch:.2e} |",
        f"| rows that a step touches: {batch} moments, {sampled} sampled items | {sparse['rows']:,} "
        f"(Zipf's law: {foretold:,.0f} at most) |",
        f"| parameters of the transformer of two workers, {workers['items']:,} items | {workers['parameters']:,} |",
        f"| seconds of an all-reduce between two processes here | {workers['latency']:.1e} + "
        f"{workers['seconds_a_byte']:.1e} a byte |",
        f"| two workers beside one: foretold by these, measured | {predicted(workers):.2f}, "
        f"{workers['by_path']:.2f} |",
        "",
        "## Assumed of GPUs, which were not there",
        "",
        f"A GPU computes as fast as {SPEED:,.0f} of these cores, no step takes less than {1e3 * LAUNCH:.0f} ms, and "
        f"computes {MOMENTS:,} moments with {NEGATIVES:,} sampled items. {WITHIN / 1e9:.0f} GB/s between the {NODE} "
        f"GPUs of a machine, {BETWEEN / 1e9:.0f} GB/s a GPU between machines, {1e6 * HOP:.0f} µs a hop. Nothing is "
        "told while something is computed, which DDP and FSDP do in part, and what an optimiser reads and writes of "
        "all rows is left out.",
        "",
        "## Derived",
        "",
        f"A table has {DIM} + 1 floats an item. With I items, N workers and T = {(DIM + 1) * FLOAT}·I bytes:",
        "",
        "| way | sent a step | kept |",
        "| --- | --- | --- |",
        "| all rows (DDP) | 2·(N−1)/N·T | 4·T: parameters, gradient, two moments |",
        "| `sharding: optimiser` | 3·(N−1)/N·T | (2 + 2/N)·T |",
        "| `sharding: model` | 2·(N−1)/N·T | (2 + 4/N)·T at its highest: a step gathers the table |",
        "| `loss.sparse` | 2·(N−1)/N·(rows touched) + their numbers | 3·T + what was touched |",
        "",
        *(line for items in CATALOGUES for line in table(items, moment)),
        "## What follows",
        "",
        *_advice(moment),
    ]
    return "\n".join(lines) + "\n"


def _advice(moment: float) -> list[str]:
    small, large = CATALOGUES
    most = CREWS[-1]
    fitting = [way for way, of in WAYS.items() if of(large, 8).kept < CARD]
    less = all_rows(small, 8).sent / rows(small, 8).sent
    numbers = 8 * (touched(small, MOMENTS) + touched(small, NEGATIVES)) * (most - 1)
    part = numbers / rows(small, most).sent
    limit = CARD / (3 * (DIM + 1) * FLOAT)
    return [
        f"- At {small:,} items every way fits. On 8 GPUs all rows tell {less:,.0f} times what touched rows tell; all "
        f"rows pay to {stops('all rows (DDP)', small, moment)} GPUs, touched rows to "
        f"{stops('`loss.sparse`', small, moment)}.",
        f"- At {large:,} items these fit 80 GB on 8 GPUs: {', '.join(fitting) or 'none'}. All rows pay to "
        f"{stops('all rows (DDP)', large, moment)} GPUs, touched rows to {stops('`loss.sparse`', large, moment)}.",
        "- `sharding: optimiser` and `sharding: model` buy memory, never time: a step of either reads the whole table, "
        "so that what a worker needs does not fall below 2·T.",
        f"- Touched rows need 3·T on each GPU: {limit:,.0f} items of d = {DIM} at most. Beyond that the rows "
        "themselves must be dealt out, each worker asking the others for those that it touches, which Lethe does not "
        "do yet.",
        f"- On {most:,} GPUs {part:.0%} of what touched rows tell at {small:,} items are their numbers, which "
        "everybody gathers. Search trials, which share nothing, are the better use of that many.",
    ]


def main() -> None:
    workers, catalogue = (
        json.loads((RESULTS / f"{name}.json").read_text()) for name in ("workers", "large_catalogue")
    )
    PAGE.write_text(page(workers, catalogue))
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
