"""The page of the table: figures with intervals, and pictures."""

from __future__ import annotations

import math
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

import evaluators
from benchmarks.forgetting_table.plan import NONE, Cell, Plan, curve_name, forgetting

matplotlib.use("Agg")

Values = npt.NDArray[np.float64]
Measured = dict[Cell, tuple[dict[str, Any], Values]]
PACKAGES = ("torch", "ray", "numpy", "scipy", "optuna")
SECOND = 1 / 86_400  # in days: nothing is timed more finely
UNITS = {"time": "d", "moments": "moments"}


def write(out: Path, source: Path, plan: Plan, results: dict[str, Any]) -> None:
    """Write the page and its pictures beside it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Which forgetting curve, in which term, on which data",
        "",
        f"Made by `python -m benchmarks.forgetting_table {source}` on {datetime.now(UTC):%Y-%m-%d}: "
        f"{os.cpu_count()} CPUs ({platform.machine()}), Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in PACKAGES)
        + ".",
        "",
        f"Every curve of a closed-form term had {plan.trials} fits on validation, of a neural term one training in "
        "which the curve is learned by gradient; the chosen one was fitted anew before the test cut and asked all test "
        f"queries once (protocol `successive`, full catalogue, NDCG@10, means over {len(plan.seeds)} seed(s)). "
        "Intervals are 95 % and resample users. A likelihood is of held-out choices, in nats an event: the curve "
        "alone, fitted to training moments and judged on validation queries.",
        "",
    ]
    for name, (curves, users, done) in results.items():
        lines += [f"## {name}", "", *_curves(curves), *_ranking(plan, name, users, done)]
        picture = out.with_name(f"{out.stem}-{name}.png")
        _picture(picture, curves, plan, users, done)
        lines += [f"![Curves by family, and what they gain by term on {name}]({picture.name})", ""]
    missing = [name for name in plan.data if name not in results]
    if missing:
        lines += [f"Not measured yet: {', '.join(missing)}.", ""]
    out.write_text("\n".join(lines))


def _curves(curves: dict[str, Any]) -> list[str]:
    standings = curves["standings"]
    best, *others = standings
    alike = sum(not standings[name]["apart"] for name in others)
    lines = [
        f"The best curve by likelihood is **{best}**; the data cannot tell {alike} other(s) from it, and of all these "
        f"**{curves['chosen']}** is the simplest. "
        + (
            "Forgetting pays."
            if curves["pays"]
            else "Forgetting does not pay: no curve is better than `none` beyond chance."
        ),
        "",
        "| curve | log-likelihood | behind the best | over `none` | half-life | told apart |",
        "|---|---|---|---|---|---|",
    ]
    for name, each in standings.items():
        lines.append(
            f"| {name} | {each['log_likelihood']:.4f} | {_span(each['behind'])} | "
            f"{_span(each['gain'])} | {_lives(each['half_life'])} | {'yes' if each['apart'] else 'no'} |"
        )
    return [*lines, ""]


def _lives(lives: dict[str, list[float]]) -> str:
    return " · ".join(_life(clock, *values) for clock, values in lives.items())


def _life(clock: str, value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return "never"
    ends = "" if not math.isfinite(high) else f" [{low:.3g}, {high:.3g}]"
    return f"{value:.3g} {UNITS[clock]}{ends or ' (not determined)'}"


def _span(values: list[float]) -> str:
    return f"{values[0]:+.4f} [{values[1]:+.4f}, {values[2]:+.4f}]"


def _means(done: Measured, term: str) -> dict[tuple[str, str], Values]:
    """By curve, every query's figure, the mean over seeds."""
    found: dict[tuple[str, str], list[Values]] = {}
    for cell, (_, values) in done.items():
        if cell.term == term:
            found.setdefault((cell.family, cell.clock), []).append(values)
    return {curve: np.mean(values, 0) for curve, values in found.items()}


def _validation(done: Measured, term: str) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], list[float]] = {}
    for cell, (about, _) in done.items():
        if cell.term == term:
            found.setdefault((cell.family, cell.clock), []).append(about["validation"])
    return {curve: float(np.mean(values)) for curve, values in found.items()}


def _ranking(plan: Plan, name: str, users: Values, done: Measured) -> list[str]:
    trends = _validation(done, "trend")
    control = _means(done, "trend")[max(trends, key=lambda curve: trends[curve])] if trends else None
    lines = [
        "NDCG@10 on test. By term, the curve that validation chose, beside `none` and the best `trend`:",
        "",
        "| term | chosen on validation | NDCG@10 | over `none` | over `trend` |",
        "|---|---|---|---|---|",
    ]
    tables = []
    measured = {cell.term for cell in done}
    missing = [f"`{term}`" for term in plan.terms_of(name) if term not in measured]
    for term in [term for term in plan.terms_of(name) if term in measured]:
        means, validation = _means(done, term), _validation(done, term)
        if (NONE, "time") not in means:  # the control comes first: this term is under way
            continue
        chosen = max(validation, key=lambda curve: validation[curve])
        gains = {
            curve: evaluators.paired(values, means[NONE, "time"], users) for curve, values in means.items()
        }
        figure = evaluators.paired(means[chosen], np.zeros(len(users)), users)
        over = evaluators.paired(means[chosen], control, users) if control is not None else None
        lines.append(
            f"| `{term}` | {curve_name(*chosen)} | {figure.difference:.4f} "
            f"[{figure.low:.4f}, {figure.high:.4f}] | {_gap(gains[chosen])} | {_gap(over) if over else ''} |"
        )
        tables += [
            f"<details><summary><code>{term}</code>: all {len(means)} curves</summary>",
            "",
            "| curve | validation | test | over `none` |",
            "|---|---|---|---|",
            *(
                f"| {curve_name(*curve)} | {validation[curve]:.4f} | "
                f"{float(means[curve].mean()):.4f} | {_gap(gains[curve])} |"
                for curve in sorted(means, key=lambda curve: -validation[curve])
            ),
            "",
            "</details>",
            "",
        ]
    if missing:
        lines += ["", f"Not measured yet: {', '.join(missing)}."]
    return [*lines, "", *tables]


def _gap(found: evaluators.Difference) -> str:
    return f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def _picture(file: Path, curves: dict[str, Any], plan: Plan, users: Values, done: Measured) -> None:
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    standings = curves["standings"]
    ranked = [name for name in standings if name == NONE or name.endswith("/time")][:8]
    fitted = [forgetting(standings[name]["curve"]) for name in ranked]
    # From well before the shortest half-life: films are half gone within minutes.
    halves = [curve.half_life for curve in fitted if 0 < curve.half_life < math.inf]
    shortest = max(min([1 / 24, *(half / 20 for half in halves)]), SECOND)
    ages = np.geomspace(shortest, 365, 300)
    for number, (name, curve) in enumerate(zip(ranked, fitted, strict=True)):
        left.plot(
            ages,
            curve.at(ages) / curve.starts_at,
            label=name.removesuffix("/time"),
            lw=2.5 if not number else 1.2,
        )
    left.set(xscale="log", xlabel="age in days", ylabel="what is left", ylim=(0, 1.05))
    left.set_title("curves by likelihood, the best first", fontsize=10)
    left.legend(fontsize=8)
    terms = [term.label for term in plan.terms if (NONE, "time") in _means(done, term.label)]
    asked = [curve for term in plan.terms for curve in plan.curves_of(term).pairs() if curve[0] != NONE]
    rows = list(dict.fromkeys(asked))
    grid = np.full((len(rows), max(len(terms), 1)), np.nan)
    for column, term in enumerate(terms):
        means = _means(done, term)
        for row, curve in enumerate(rows):
            if curve in means:
                grid[row, column] = float((means[curve] - means[NONE, "time"]).mean())
    most = np.nanmax(np.abs(grid), initial=1e-6) if np.isfinite(grid).any() else 1.0
    shown = right.imshow(grid, cmap="PuOr", vmin=-most, vmax=most, aspect="auto")
    right.set_xticks(range(len(terms)), terms, rotation=30, fontsize=8)
    right.set_yticks(range(len(rows)), [curve_name(*curve) for curve in rows], fontsize=5)
    right.set_title("NDCG@10 over none, by term", fontsize=10)
    figure.colorbar(shown, ax=right)
    figure.savefig(file, dpi=110)
