"""Models side by side, and what a change of versions would change, as tables in the terminal."""

from __future__ import annotations

from typing import Any

from harness.tables import out, rounded, table


def show_comparison(result: dict[str, Any]) -> None:
    for entry in result["comparisons"]:
        shown = {"p": "p", "p (Wilcoxon)": "wilcoxon", "p (Holm)": "holm", "detectable": "detectable"}
        rows = table("metric", f"over {entry['against']}", "low", "high", *shown)
        for name, found in entry.items():
            if name != "against":
                figures = [f"{found[key]:+.4f}" for key in ("difference", "low", "high")]
                others = [rounded(found.get(key)) for key in shown.values()]
                rows.add_row(name, *figures, *others)
        out.print(rows)
    if result["audit"]["leaks"]:
        out.print(result["audit"]["verdict"])
    if "report" in result:
        out.print(f"report: {result['report']}")


def show_change(result: dict[str, Any]) -> None:
    found = result["agreement"]
    out.print(
        f"{result['before']} to {result['after']}, {result['sampled']:,} users at {result['at']}: "
        f"{found['overlap']['mean']:.1%} of a list stays, rank-biased overlap {found['rbo']['mean']:.2f}, "
        f"{found['same']:.1%} have the very same list\nreport: {result['report']}"
    )
