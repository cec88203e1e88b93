"""An evaluation as tables in the terminal."""

from __future__ import annotations

from typing import Any

from harness.off_policy.tables import show_off_policy
from harness.report.words import intervals_of_their_own, stamp
from harness.tables import out, rounded, table


def show_evaluation(result: dict[str, Any]) -> None:
    out.print(
        f"{result['protocol']}, {result['stage']}: {result['queries']:,} queries of {result['users']:,} users, "
        f"catalogue of {result['catalogue']:,}"
    )
    rows = table("metric", "mean", "low", "high")
    for name, figure in result["metrics"].items():
        rows.add_row(name, *(rounded(figure[key]) for key in ("mean", "low", "high")))
    out.print(rows)
    for note in intervals_of_their_own(result["metrics"]):
        out.print(note)
    if "seeds" in result:
        seeds = result["seeds"]["seeds"]
        rows = table("over seeds", "mean", "low", "high", *map(str, seeds))
        for name, figure in result["seeds"]["metrics"].items():
            cells = [*(figure[key] for key in ("mean", "low", "high")), *figure["by_seed"]]
            rows.add_row(name, *(f"{cell:.4f}" for cell in cells))
        out.print(rows)
    if "rolling" in result:
        _show_rolling(result["rolling"])
    out.print(result["audit"]["verdict"])
    for notice in result["audit"]["notices"]:
        out.print(f"- {notice['sentence']}")
    if "off_policy" in result:
        show_off_policy(result["off_policy"])


def _show_rolling(rolling: dict[str, Any]) -> None:
    metric = rolling["metric"]
    rows = table("period from", "queries", "age of the model", metric, "low", "high")
    for cut in rolling["cuts"]:
        figures = [f"{cut['metrics'][metric][key]:.4f}" for key in ("mean", "low", "high")]
        rows.add_row(stamp(cut["start"]), f"{cut['queries']:,}", f"{cut['age_days']:.1f} days", *figures)
    out.print(rows)
    if rolling["trend"]["by_age"]:
        rows = table("older by", "queries", f"{metric} over the freshest", "low", "high", "p")
        for each in rolling["trend"]["by_age"]:
            figures = [f"{each[key]:+.4f}" for key in ("difference", "low", "high")]
            rows.add_row(f"{each['days']:.1f} days", f"{each['queries']:,}", *figures, f"{each['p']:.4f}")
        out.print(rows)
    out.print(rolling["trend"]["sentence"])
