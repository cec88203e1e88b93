"""Simulated A/B tests on one page: false alarms, power, agreement with offline ranking, interleaving.

Run: python -m benchmarks.ab [--users 20000] [--experiments 2000] (minutes on one core; `--ray` spreads the parts over
Ray). It writes `benchmarks/ab.md` and `benchmarks/ab.png`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.ab import page, studies
from benchmarks.ab.trial import CONTROL, WORLD, Bench
from benchmarks.replicates import spread
from evaluators.ab import cuped

PAIR = (CONTROL, "own, the true power law")
SIZES = (2_000, 6_000, 12_000)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=20_000, help="simulated")
    parser.add_argument("--experiments", type=int, default=2_000, help="replicates of each test")
    parser.add_argument("--size", type=int, default=2_000, help="users of an A/A test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ray", action="store_true", help="spread over Ray (RAY_ADDRESS, or this machine)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "ab.md")
    asked = parser.parse_args()
    seed, replicates = asked.seed, asked.experiments
    bench = Bench.build(asked.users, seed)
    names = list(bench.models)
    made = spread(lambda at: bench.serve(names[at], WORLD.satisfied, seed + 1 + at), range(5), ray=asked.ray)
    pools = dict(zip(names, made, strict=True))
    base = pools[CONTROL]
    lifted = studies.planted(bench, base, seed + 20)
    power = spread(
        lambda size: studies.power(base, lifted, size, replicates, seed + 30), SIZES, ray=asked.ray
    )
    rows = studies.ranking(bench, pools)
    page.write(
        asked.out,
        {
            "base": base,
            "alarms": studies.false_alarms(base, replicates, asked.size, seed + 40),
            "power": power,
            "lift": lifted.outcome.mean() - base.outcome.mean(),
            "spread": (base.outcome.std(ddof=1), lifted.outcome.std(ddof=1)),
            "relative": lifted.outcome.mean() / base.outcome.mean() - 1,
            "reduction": cuped(base.outcome, base.before, np.zeros(len(base.before), np.int64)).reduction,
            "ranking": rows,
            "tau": studies.agreement(rows),
            "pairs": studies.told_apart(rows, pools),
            "sensitivity": studies.sensitivity(bench, pools, PAIR, seed + 50, replicates),
        },
        vars(asked),
    )
    print(f"written: {asked.out}")


if __name__ == "__main__":
    main()
