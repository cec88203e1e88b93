"""The page that the measurements become."""

from __future__ import annotations

from typing import Any

from benchmarks.off_policy.coverage import WORLDS

PUBLISHED = {"dm": 0.157, "ips": 0.311, "snips": 0.312, "dr": 0.292, "sndr": 0.302}
PUBLISHED |= {"switch-dr, obp's grid": 0.258, "dr-os, obp's grid": 0.160}


def text(told: dict[str, Any], runs: int, samples: int) -> str:
    """Markdown of what was measured."""
    return "\n".join(
        [
            "# Off-policy estimators: beside a peer, beside the other policy's log, beside known truths",
            "",
            f"`make off-policy` writes this page (`--runs {runs} --samples {samples}`).",
            "",
            "## The same figures as Open Bandit Pipeline 0.5.7",
            "",
            "Both campaigns of the small Open Bandit sample, both logs; three policies each (the other one, a softmax "
            "that differs in every round, one item a slot), the same arrays and reward model for both. Replay is "
            "compared on the policy that does not draw; of tuned estimators the limit that SLOPE chooses is compared "
            "with the figure. MIPS groups items by a feature; lists are made of the sample's rounds.",
            "",
            _table(
                ["estimator", "figures compared", "largest figure", "largest difference"],
                [
                    [name, str(e["figures"]), f"{e['largest']:.4f}", f"{e['difference']:.1e}"]
                    for name, e in told["agreement"].items()
                ],
            ),
            "",
            "## Relative error against the on-policy value",
            "",
            f"|V̂ − V| / V over {samples} bootstrap samples, V the mean reward of the other policy's own log: mean ± "
            "standard deviation, and the share of samples that the diagnostics let pass. V itself rests on few "
            "clicks (10,000 rounds of some 0.5 %). The last column is what obp publishes for its campaign `all` of "
            "the small sample (bts from the random log, 30 samples, examples/obd), with a reward model of its own; "
            "that campaign is no part of the data here, so it is beside ours, not against it. With the same reward "
            "model both have the same figures, as above.",
            "",
            _errors(told["errors"]),
            "",
            "## How often 95 % intervals hold the truth",
            "",
            f"Simulated logs, {runs} of each of the first three worlds and a quarter of that of the others, 8 actions, "
            "reward model additive and so a little wrong; bootstrap over users with 300 replicates. A cell is the "
            "share of logs whose figure the diagnostics let pass: the share of these whose interval holds the truth, "
            "and in brackets the same of logs that they do not let pass.",
            "",
            _coverage(told["worlds"]),
            "",
            "The confidence sequence held the truth after every round in "
            + ", ".join(f"{world['sequence']:.1%} ({name})" for name, world in told["worlds"].items())
            + " of the logs; it is told nothing of wrong propensities or missing support.",
            "",
        ]
    )


def _errors(told: dict[str, Any]) -> str:
    names = list(next(iter(told.values())))
    rows = []
    for name in names:
        cells = [
            f"{e[name]['mean']:.3f} ± {e[name]['std']:.3f} ({e[name]['supported']:.0%})"
            for e in told.values()
        ]
        rows.append([name, *cells, f"{PUBLISHED[name]:.3f}" if name in PUBLISHED else ""])
    return _table(["estimator", *told, "obp, `all`"], rows)


def _coverage(worlds: dict[str, Any]) -> str:
    names = list(next(iter(worlds.values()))["figures"])
    rows = []
    for world, found in worlds.items():
        cells = []
        for name in names:
            figure = found["figures"][name]
            held, other = (
                "–" if share is None else f"{share:.1%}"
                for share in (figure["held"], figure["held_otherwise"])
            )
            cells.append(f"{figure['supported'] / figure['runs']:.0%}: {held} ({other})")
        rows.append([f"{world} (N = {WORLDS[world].rounds:,})", *cells])
    return _table(["world, let pass: held (held otherwise)", *names], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
