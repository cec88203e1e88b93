"""The page and its picture."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.ab.trial import BEFORE, LOOKS, SHOWN, WINDOW, WORLD, Pool
from evaluators.ab import power_curve
from harness.report.plots import INK, LETTERS, MUTED, SERIES, label, styled

PICTURE = "ab.png"


def write(path: Path, results: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    _draw(results, path.parent / PICTURE)
    path.write_text(_text(results, asked))


def _draw(results: Mapping[str, Any], path: Path) -> None:
    figure = Figure(figsize=(10.4, 3.4), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2)
    styled(left)
    styled(right)
    rules = results["alarms"]["rules"]
    for colour, (name, rates) in zip(SERIES, rules.items(), strict=False):
        left.plot(np.arange(1, LOOKS + 1), 100 * np.array(rates), color=colour, linewidth=2, label=name)
    left.axhline(5, color=INK, linewidth=1, linestyle="--")
    left.set_ylim(bottom=0)
    label(left, "day of the test", "A/A tests called different so far, %")
    left.legend(frameon=False, fontsize=LETTERS - 1, labelcolor=INK)
    sizes = np.array([row["users"] for row in results["power"]])
    smooth = np.geomspace(sizes.min(), sizes.max(), 60)
    promised = 100 * power_curve(results["lift"], results["spread"], smooth / 2)
    right.plot(smooth, promised, color=MUTED, label="fixed, promised by the curve")
    for colour, (name, key) in zip(
        SERIES,
        {"fixed": "fixed", "fixed, CUPED": "fixed with CUPED", "always-valid": "always"}.items(),
        strict=False,
    ):
        right.plot(sizes, [100 * row[key] for row in results["power"]], "o", color=colour, label=name)
    right.axhline(80, color=INK, linewidth=1, linestyle="--")
    label(right, "users in both arms", "tests that find the planted lift, %")
    right.set_ylim(0, 100)
    right.legend(
        loc="upper left", bbox_to_anchor=(0, 0.8), frameon=False, fontsize=LETTERS - 1, labelcolor=INK
    )
    figure.savefig(path, dpi=110)


def _text(results: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    base: Pool = results["base"]
    alarms, found = results["alarms"], results["sensitivity"]
    always = alarms["rules"]["always-valid, read every day"][-1]
    peeked = alarms["rules"]["fixed, read every day"][-1]
    users, experiments = len(base.outcome), asked["experiments"]
    error = 50 / experiments**0.5
    pairs, apart, alike = results["pairs"]
    lift, explained = 100 * results["relative"], 100 * results["reduction"]
    return f"""# Simulated A/B tests

{_asked(asked)}

{_world(base)}

![Left: false alarms of each rule by day. Right: power, promised and found.]({PICTURE})

## Nothing differs: why not to read a fixed test every day

{experiments:,} A/A tests of {asked["size"]:,} users, dealt by hash with a salt each; looked at after every one of
{LOOKS} days.

| rule | called different by the last day |
|---|---|
{chr(10).join(f"| {name} | {100 * rates[-1]:.2f} % |" for name, rates in alarms["rules"].items())}

The promise is 5 %. Read every day, the fixed test breaks it ({100 * peeked:.1f} %); the always-valid one keeps it
({100 * always:.2f} %).

| sample ratio (nothing is wrong), alarm at 5 % | false alarms |
|---|---|
{chr(10).join(f"| {name} | {100 * rate:.2f} % |" for name, rate in alarms["srm"].items())}

## A planted lift

The same model, whose choices satisfy a little more often: the outcome rises by {lift:.2f} % over all users (5 % was
asked for). Shares of {experiments:,} tests that find it; one standard error of simulation is at most
{error:.1f} points. CUPED takes out the satisfied choices of the {BEFORE} days before, which explain {explained:.0f} %
of the variance. The last columns: the mean day on which the always-valid test ends, alone and with a futility rule.

| users | promised | found | promised, CUPED | found, CUPED | always-valid | with CUPED | ends on day | with futility |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(_power_row(row) for row in results["power"])}

## Five models: on-line and off-line

The outcome of five arms of {users:,} users each, the lift over popularity with CUPED, and NDCG@{SHOWN} of the same
models fitted to the log that this world's users left, on the queries of the `successive` protocol. Kendall's rank
correlation of the two: **{results["tau"]:.2f}**. Of {pairs} pairs of models {apart} are told apart on-line (Welch, Holm
over all pairs, 5 %), and the protocol orders {alike} of these {apart} as the users do.

| model | satisfied choices a user | lift over the first | p against the row above | NDCG@{SHOWN} |
|---|---|---|---|---|
{chr(10).join(_model_row(row) for row in results["ranking"])}

## Interleaving

`{found["models"][0]}` against `{found["models"][1]}`, whose lift in all these users is {100 * found["lift"]:.1f} %
(standard error {100 * found["error"]:.1f}). Users needed to find which is better with a power of 80 % at 5 %:

| design | users |
|---|---|
| two arms | {found["ab"]:,} |
| two arms, CUPED | {found["ab with CUPED"]:,} |
| interleaving (team-draft, sign test over users) | {found["interleaving"]:,} |

Of the users who preferred one, {100 * found["preferred"]:.1f} % chose more often from the second. Interleaving says
which list is preferred, not what the lift is, and sees nothing that acts on whether users return.
"""


def _asked(asked: Mapping[str, Any]) -> str:
    given = " ".join(f"--{name} {asked[name]}" for name in ("users", "experiments", "size", "seed"))
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy"))
    python = f"{platform.machine()}, Python {platform.python_version()}"
    return f"`python -m benchmarks.ab {given}`,\n{datetime.now(UTC):%Y-%m-%d}, {python}, {versions}."


def _world(base: Pool) -> str:
    mean, spread = base.outcome.mean(), base.outcome.std(ddof=1)
    return f"""A world of {WORLD.items} items (`evaluators.simulator`): {100 * WORLD.repeat:.0f} % of what a user
wants is their own past, which fades by {WORLD.retention}; an item loses half of its appeal in
{WORLD.fade:g} days. Lists have {SHOWN} places; place k (from 0) is examined (1 + k)^-{WORLD.bias:g} as often as the
first; users may choose nothing, and stay away {WORLD.later:g} times as long where they were not satisfied. The
outcome is the number of satisfied choices in a user's first {WINDOW} days. A user is counted once these are over, so
that no outcome changes after it was read. Position bias, outside option and length of the lists
were set after a first look, in which the three models of a user's own past were nearly tied.
{len(base.outcome):,} users; mean {mean:.3f}, standard deviation
{spread:.3f}."""


def _power_row(row: Mapping[str, Any]) -> str:
    shares = ("promised", "fixed", "promised with CUPED", "fixed with CUPED", "always", "always with CUPED")
    days = " | ".join(f"{row[key]:.1f}" for key in ("day", "day with futility"))
    return f"| {row['users']:,} | " + " | ".join(f"{100 * row[key]:.1f} %" for key in shares) + f" | {days} |"


def _model_row(row: Mapping[str, Any]) -> str:
    def around(values: Sequence[float] | None) -> str:
        return "" if not values else f"{values[0]:.4f} [{values[1]:.4f}, {values[2]:.4f}]"

    apart = f"{row['p to the one above']:.2g}" if row["lift"] else ""
    return (
        f"| {row['model']} | {row['online']:.4f} | {around(row['lift'])} | {apart} | {around(row['ndcg'])} |"
    )
