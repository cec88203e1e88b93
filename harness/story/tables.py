"""A search as tables in the terminal."""

from __future__ import annotations

from typing import Any

from harness.report.parts import half_life_in
from harness.report.words import compact
from harness.tables import out, rounded, table

HALF_LIVES_SHOWN = 4  # of a schedule; JSON and the report have them all


def show_search(result: dict[str, Any]) -> None:
    rows = table("family", "clock", "half-life", "trials", "validation", "to the best", "low", "high")
    for entry in result["families"]:
        differences = [f"{entry[key]:+.4f}" for key in ("difference", "low", "high")]
        rows.add_row(
            entry["family"],
            entry["clock"],
            half_life_in(entry),
            str(entry["trials"]),
            f"{entry['value']:.4f}",
            *differences,
        )
    out.print(rows)
    if result["schedule"]:
        _show_schedule(result["schedule"])
    counts = f"{result['trials']} trials, {result['failed']} failed, {result['stopped']} stopped early"
    trained = f"; {result['epochs']:g} epochs with those under `none`" if result["epochs"] else ""
    out.print(f"{counts}{trained}; best {result['best']['trial']}")


def _show_schedule(schedule: dict[str, Any]) -> None:
    """The settings of the best member, round by round, and the half-lives that its curves had."""
    steps = schedule["steps"]
    names = list(steps[0]["params"])
    half_lives = list(dict.fromkeys(name for step in steps for name in step["told"]))[:HALF_LIVES_SHOWN]
    rows = table("epochs", "by", *names, *(f"half-life of {name}" for name in half_lives), "validation")
    for step in steps:
        settings = [compact(step["params"][name]) for name in names]
        told = [compact(step["told"][name]) if name in step["told"] else "–" for name in half_lives]
        epochs = f"{step['begin'] + 1} to {step['until']}"
        rows.add_row(epochs, step["member"], *settings, *told, rounded(step["value"]))
    out.print(rows)
    again = schedule["replayed"]
    same = "the very same figures" if again["same"] else f"{again['difference']:+.4f} to the search"
    kept = ", ".join(
        f"{label} at its best after epoch {epoch}" for label, epoch in schedule["best_epoch"].items()
    )
    out.print(f"trained from the start by this schedule: {again['value']:.4f}, {same}; {kept}")
