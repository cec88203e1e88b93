"""A user's list, and what holds its items up, as a table in the terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from harness.report.words import share
from harness.tables import out, table

EVENTS_SHOWN = 5  # behind an item; JSON has them all


def show_recommendation(result: dict[str, Any]) -> None:
    model = result["model"]
    out.print(f"{model['name']} v{model['version']} for user {result['user']} at {result['at']}")
    rows = table("item", "title", "score")
    for entry in result["items"]:
        rows.add_row(entry["item"], entry["title"], f"{entry['score']:.4f}")
        if "terms" in entry:
            _explain(rows, entry)
    out.print(rows)


def _explain(rows: Table, entry: dict[str, Any]) -> None:
    """What holds an item up: its terms, the events that add most, and what all other lines leave of the score."""
    rows.add_row("", " + ".join(f"{name} {value:.4f}" for name, value in entry["terms"].items()), "")
    if "expected" in entry:
        rows.add_row("", f"expected to be {share(entry['expected'])} of what is taken next", "")
    events = entry["events"]
    for event in events[:EVENTS_SHOWN]:
        left = ", ".join(f"{name} {amount:.3g}" for name, amount in event["left"].items())
        told = f"  {event['title'] or event['item']}, {event['age_days']:.1f} days ago ({left} left)"
        rows.add_row("", told, f"{sum(event['adds'].values()):+.4f}")
    if others := events[EVENTS_SHOWN:]:
        adds = sum(sum(event["adds"].values()) for event in others)
        rows.add_row("", f"  {len(others)} more events", f"{adds:+.4f}")
    for name, rest in entry["rest"].items():
        rows.add_row("", f"  {name}, not by single events", f"{rest:+.4f}")
