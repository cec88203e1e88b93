"""How fast Lethe ranks and measures, beside the referee and RecTools 0.19, on the same queries and scores in one run.

`python -m benchmarks.metrics_speed [CONFIG]` needs the environment of RecTools (`make .venv-rivals/rectools/.made`) and
writes `benchmarks/metrics_speed.md`.

All test queries of CONFIG (Foursquare NYC by default) over the full catalogue; the scores are given, and one thread
works. The referee is `tests/reference/protocol.py`. RecTools makes its lists with `recommend_from_scores`, as its own
models do, and measures them with `calc_metrics`; its rank of the first hit ends at 10, Lethe's and the referee's is of
the whole catalogue. CPU seconds, of Lethe and RecTools the least of three rounds.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # of all sides, before any library reads it

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import evaluators
from benchmarks.metrics.given import ROOT, Given, K, ask
from evaluators.scorer import Block
from tests.reference import protocol as referee

BLOCK, ROUNDS = 256, 3
SHARED = ("precision", "recall", "ndcg", "mrr", "hit_rate", "coverage")


def cpu(work: Callable[[], Any]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def blocks(scores: npt.NDArray[Any]) -> Iterator[Block]:
    for start in range(0, len(scores), BLOCK):
        index = slice(start, min(start + BLOCK, len(scores)))
        yield index, scores[index]


def timed(given: Given, scores: npt.NDArray[Any]) -> dict[str, float]:
    """CPU seconds by what was done."""
    queries, seen = given.stage.split.queries, given.stage.seen
    hidden = None if seen is None else seen(slice(0, given.count))
    names = [n for n, kind in evaluators.METRICS.items() if kind.needs <= given.facts.known]
    shared, every = evaluators.resolve(SHARED, (K,)), evaluators.resolve(names, (5, K, 20))

    def ours(metrics: list[evaluators.Metric]) -> evaluators.Evaluation:
        return evaluators.evaluate(blocks(scores), queries, metrics, seen=seen, facts=given.facts)

    answers = ours(shared).answers
    relevant = np.split(given.relevant.columns, given.relevant.offsets[1:-1])
    masked = None if hidden is None else np.split(hidden.columns, hidden.offsets[1:-1])
    found = {
        "ours": min(cpu(lambda: ours(shared).means()) for _ in range(ROUNDS)),
        "ours, measuring": min(
            cpu(lambda: [(each.values(answers), each.mean(answers)) for each in shared])
            for _ in range(ROUNDS)
        ),
        "every": min(cpu(lambda: ours(every).means()) for _ in range(ROUNDS)),
        "referee": cpu(lambda: referee.rank_metrics(scores, relevant, masked, K)),
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "given.npz"
        np.savez(
            file, k=K, items=given.items, offsets=given.relevant.offsets, relevant=given.relevant.columns
        )
        np.save(file.with_suffix(".npy"), scores)
        theirs = ask("speed", file)
    return {**found, **{name: float(seconds) for name, seconds in theirs.items()}, "metrics": len(every)}


def page(given: Given, found: dict[str, float], kind: str) -> str:
    ours, measuring = found["ours"], found["ours, measuring"]
    whole = found["ranking"] + found["measuring"]
    rows = [
        ("referee", "scores", found["referee"], found["referee"] / ours),
        ("RecTools: lists and metrics", "scores", whole, whole / ours),
        ("**Lethe**", "scores", ours, 1.0),
        ("RecTools: metrics alone", "lists", found["measuring"], found["measuring"] / measuring),
        ("**Lethe**: metrics alone", "ranks and lists", measuring, 1.0),
    ]
    lines = [
        "# Ranking and measuring, beside the referee and RecTools",
        "",
        f"`python -m benchmarks.metrics_speed configs/{given.name}.yaml`: {given.count:,} queries over"
        f" {given.items:,} items, scores in {kind}, one thread, in one run.",
        f"Precision, recall, NDCG and hit rate at {K}, MRR, coverage.",
        "",
        "| | from | CPU seconds | µs a query | Lethe needs less by |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {name} | {source} | {seconds:.3f} | {1e6 * seconds / given.count:,.1f} | {ratio:.1f} |"
        for name, source, seconds, ratio in rows
    ]
    lines += [
        "",
        f"All {found['metrics']:.0f} metrics that this log can tell, at 5, {K} and 20, in one pass from the scores:"
        f" {found['every']:.3f} CPU seconds.",
        "",
        "RecTools' MRR ends at the tenth place, the others' is of the whole catalogue; RecTools returns means, the",
        "others a value for every query.",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()},"
        f" numpy {np.__version__}; RecTools 0.19.0 with numpy 1.26 and pandas 2.3.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config", type=Path, nargs="?", default=ROOT / "configs" / "foursquare-nyc.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    wanted = parser.parse_args()
    given = Given.of(wanted.config, wanted.set)
    scores = np.concatenate(
        [given.score(slice(b, min(b + BLOCK, given.count))) for b in range(0, given.count, BLOCK)]
    ).astype(np.float64)  # as Lethe's models give them
    text = page(given, timed(given, scores), str(scores.dtype))
    (ROOT / "benchmarks" / "metrics_speed.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
