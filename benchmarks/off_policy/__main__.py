"""Off-policy estimators beside Open Bandit Pipeline and beside known truths.

`python -m benchmarks.off_policy [--data data/open-bandit] [--runs 400] [--samples 30]` (or `make off-policy`, which
makes obp's environment first) writes `benchmarks/off_policy.md`. Parts that are measured already are found in
`.lethe/off_policy`; `--fresh` measures them again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.off_policy import agreement, coverage, errors, page, peer
from benchmarks.off_policy.bandit import CAMPAIGNS, POLICIES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/open-bandit"))
    parser.add_argument("--runs", type=int, default=400, help="simulated logs of each world")
    parser.add_argument("--samples", type=int, default=30, help="bootstrap samples of each log")
    parser.add_argument("--fresh", action="store_true", help="measure everything again")
    asked = parser.parse_args()

    def found(name: str, measure: Callable[[], Any]) -> Any:
        file = peer.WORK / f"{name}.json"
        if asked.fresh or not file.exists():
            print(f"{name} …", file=sys.stderr, flush=True)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(measure(), indent=1))
        return json.loads(file.read_text())

    def covered(name: str) -> Any:
        runs = asked.runs if name in coverage.SUFFICIENT else max(1, asked.runs // 4)
        figures, always = coverage.measure(coverage.WORLDS[name], runs)
        return {"sequence": always, "figures": {k: dataclasses.asdict(v) for k, v in figures.items()}}

    told = {
        "agreement": found("agreement", lambda: agreement.measure(asked.data)),
        "errors": {
            f"{campaign}, logged by {policy}": found(
                f"errors-{campaign}-{policy}-{asked.samples}",
                partial(errors.measure, asked.data, campaign, policy, asked.samples),
            )
            for campaign in CAMPAIGNS
            for policy in POLICIES
        },
        "worlds": {
            name: found(
                f"world-{name.replace(' ', '-')}-{asked.runs}",
                partial(covered, name),
            )
            for name in coverage.WORLDS
        },
    }
    out = Path(__file__).parents[1] / "off_policy.md"
    out.write_text(page.text(told, asked.runs, asked.samples))
    print(out)


if __name__ == "__main__":
    main()
