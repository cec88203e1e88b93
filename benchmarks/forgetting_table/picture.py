"""The picture of a data set: its curves, and what each of them gains in each term."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from benchmarks.forgetting_table.plan import NONE, Plan, curve_name, forgetting
from benchmarks.forgetting_table.results import Results

matplotlib.use("Agg")

SECOND = 1 / 86_400  # in days: nothing is timed more finely
SHOWN = 8  # curves of the left side


def draw(file: Path, plan: Plan, found: Results) -> None:
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    standings = found.curves["standings"]
    ranked = [name for name in standings if name == NONE or name.endswith("/time")][:SHOWN]
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
    terms = [term.label for term in plan.terms if term.label in found.terms]
    asked = [curve for term in plan.terms for curve in plan.curves_of(term).pairs() if curve[0] != NONE]
    rows = list(dict.fromkeys(curve_name(*curve) for curve in asked))
    grid = np.full((len(rows), max(len(terms), 1)), np.nan)
    for column, term in enumerate(terms):
        curves = found.terms[term]["curves"]
        for row, curve_row in enumerate(rows):
            if curve_row in curves:
                grid[row, column] = curves[curve_row]["over_none"][0]
    most = np.nanmax(np.abs(grid), initial=1e-6) if np.isfinite(grid).any() else 1.0
    shown = right.imshow(grid, cmap="PuOr", vmin=-most, vmax=most, aspect="auto")
    right.set_xticks(range(len(terms)), terms, rotation=30, fontsize=8)
    right.set_yticks(range(len(rows)), rows, fontsize=5)
    right.set_title("NDCG@10 over none, by term", fontsize=10)
    figure.colorbar(shown, ax=right)
    figure.savefig(file, dpi=110)
