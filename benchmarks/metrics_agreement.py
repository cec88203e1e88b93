"""The largest difference per query between Lethe's metrics and those of the referee and of RecTools 0.19.

`python -m benchmarks.metrics_agreement [CONFIG …]` needs the environment of RecTools (`make
.venv-rivals/rectools/.made`) and writes `benchmarks/metrics_agreement.md`; it ends with exit code 1 where a
difference exceeds 1e-9.
`python -m benchmarks.metrics_agreement --store` asks RecTools about a small made-up run instead and writes
`tests/evaluators/metrics/rectools.json`, which the tests compare with.

All test queries of each data set are ranked over the full catalogue. Against the referee
(`tests/reference/protocol.py`) scores tie as they come. RecTools ranks nothing by itself: it is given lists of 100, and
whole ones for the AUC of some 30 queries; for it ties are broken by column order on both sides.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import evaluators
from benchmarks.metrics.given import LONG, ROOT, Distinct, Given, K, ask
from evaluators import Evaluation
from tests.reference import protocol as referee

SETS = ("online-retail", "foursquare-nyc", "movielens-100k", "movielens-small", "movietweetings")
MOST = 1e-9
REFEREE = ("precision", "recall", "ndcg", "mrr", "coverage")
RECTOOLS = (
    "precision", "recall", "capped_recall", "hit_rate", "ndcg", "map", "mrr", "auc",
    "novelty", "popularity", "serendipity", "user_coverage", "coverage",
)  # fmt: skip
STORED = ROOT / "tests" / "evaluators" / "metrics" / "rectools.json"

Differences = dict[str, float]


def evaluated(given: Given, scorer: evaluators.Scorer, names: tuple[str, ...]) -> Evaluation:
    stage = given.stage
    metrics = evaluators.resolve(names, (K,))
    return evaluators.evaluate(scorer, stage.split.queries, metrics, seen=stage.seen, facts=given.facts)


def from_the_referee(given: Given) -> Differences:
    mine = evaluated(given, given, REFEREE)
    seen, worst = given.stage.seen, dict.fromkeys(mine.values, 0.0)
    shown: set[int] = set()
    for start in range(0, given.count, 256):
        index = slice(start, min(start + 256, given.count))
        block = given.relevant.block(index)
        hidden = None if seen is None else seen(index)
        frame, some = referee.rank_metrics(
            given.score(index),
            np.split(block.columns, block.offsets[1:-1]),
            None if hidden is None else np.split(hidden.columns, hidden.offsets[1:-1]),
            K,
        )
        shown |= some
        for name in worst:
            apart = np.abs(mine.values[name][index] - frame[name].to_numpy()).max()
            worst[name] = max(worst[name], float(apart))
    worst[f"coverage@{K}"] = abs(mine.means()[f"coverage@{K}"] - len(shown) / given.items)
    return worst


def from_rectools(given: Given) -> Differences:
    names = RECTOOLS + (("diversity",) if "categories" in given.facts.known else ())
    mine = evaluated(given, Distinct(given), names)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "given.npz"
        given.hand_over(file)
        theirs = ask("values", file)
    return {metric.name: apart(mine, metric.name, theirs[metric.name]) for metric in mine.metrics}


def apart(mine: Evaluation, name: str, theirs: npt.NDArray[np.float64]) -> float:
    """The largest difference over the queries that RecTools was asked about."""
    if name not in mine.values:
        return abs(mine.means()[name] - float(theirs[0]))
    values = mine.values[name]
    if name == "mrr":  # their lists end
        values = np.where(values >= 1 / LONG, values, 0.0)
    asked = ~np.isnan(theirs)
    return float(np.abs(values - theirs)[asked].max())


def page(found: dict[str, dict[str, Differences]], counts: dict[str, tuple[int, int]]) -> str:
    lines = ["# Lethe's metrics beside the referee and RecTools", ""]
    lines += ["`python -m benchmarks.metrics_agreement`: the largest difference of a query's value.", ""]
    for peer, by_set in found.items():
        names = list(dict.fromkeys(name for each in by_set.values() for name in each))
        lines += [f"| {peer} | {' | '.join(by_set)} |", "| --- |" + " --- |" * len(by_set)]
        lines.append("| queries × items | " + " | ".join(f"{q:,} × {i:,}" for q, i in counts.values()) + " |")
        for name in names:
            cells = [f"{each[name]:.1e}" if name in each else "–" for each in by_set.values()]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append("")
    lines += [
        "NDCG over the best attainable, MAP over all relevant items, their R-precision is `capped_recall`, diversity",
        "with the Jaccard distance of categories on both sides; AUC from whole lists of some 30 queries a data set.",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, numpy {np.__version__}; RecTools 0.19.0.",
        "",
    ]
    return "\n".join(lines)


def store() -> None:
    """Ask RecTools about a small made-up run, and keep its answers."""
    random = np.random.default_rng(0)
    queries, items, k = 16, 24, 5
    lists = np.stack([random.permutation(items) for _ in range(queries)])
    counts = random.integers(1, 8, queries)
    relevant = [np.sort(random.choice(items, n, replace=False)) for n in counts]
    sets = [np.flatnonzero(random.random(5) < 0.4) for _ in range(items)]
    item = np.concatenate([np.arange(items), (items * random.random(60) ** 2).astype(int)])
    given: dict[str, Any] = {
        "k": np.array(k),
        "items": np.array(items),
        "lists": lists,
        "offsets": np.concatenate(([0], np.cumsum(counts))),
        "relevant": np.concatenate(relevant),
        "user": random.integers(0, 9, len(item)),
        "item": item,
        "category_offsets": np.concatenate(([0], np.cumsum([len(each) for each in sets]))),
        "category_numbers": np.concatenate(sets),
        "whole_query": np.arange(queries),
        "whole": lists,
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "given.npz"
        np.savez(file, **given)
        theirs = ask("values", file)
    kept = {
        "made_by": "python -m benchmarks.metrics_agreement --store (RecTools 0.19.0)",
        "given": {name: array.tolist() for name, array in given.items() if name[:5] != "whole"},
        "values": {name: array.tolist() for name, array in theirs.items()},
    }
    STORED.write_text(json.dumps(kept) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("configs", type=Path, nargs="*")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--store", action="store_true")
    wanted = parser.parse_args()
    if wanted.store:
        return store()
    configs = wanted.configs or [ROOT / "configs" / f"{name}.yaml" for name in SETS]
    found: dict[str, dict[str, Differences]] = {"referee": {}, "RecTools": {}}
    counts = {}
    for config in configs:
        given = Given.of(config, wanted.set)
        counts[given.name] = given.count, given.items
        found["referee"][given.name] = from_the_referee(given)
        found["RecTools"][given.name] = from_rectools(given)
        print(
            f"{given.name}: {found['referee'][given.name]} {found['RecTools'][given.name]}", file=sys.stderr
        )
        (ROOT / "benchmarks" / "metrics_agreement.md").write_text(page(found, counts))
    print(page(found, counts))
    if not max(d for by_set in found.values() for each in by_set.values() for d in each.values()) <= MOST:
        raise SystemExit(1)
    return None


if __name__ == "__main__":
    main()
