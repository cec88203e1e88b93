"""Results as tables in the terminal, for when nobody asked for JSON."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from harness.report.words import intervals_of_their_own

out = Console(highlight=False)


def pairs(result: dict[str, Any]) -> None:
    """Name and value, a line each."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in result.items():
        table.add_row(name, str(value))
    out.print(table)


def show_evaluation(result: dict[str, Any]) -> None:
    out.print(
        f"{result['protocol']}, {result['stage']}: {result['queries']:,} queries of {result['users']:,} users, "
        f"catalogue of {result['catalogue']:,}"
    )
    table = _table("metric", "mean", "low", "high")
    for name, figure in result["metrics"].items():
        table.add_row(name, *(_shown(figure[key]) for key in ("mean", "low", "high")))
    out.print(table)
    for note in intervals_of_their_own(result["metrics"]):
        out.print(note, markup=False)
    if "seeds" in result:
        seeds = result["seeds"]["seeds"]
        table = _table("over seeds", "mean", "low", "high", *map(str, seeds))
        for name, figure in result["seeds"]["metrics"].items():
            cells = [*(figure[key] for key in ("mean", "low", "high")), *figure["by_seed"]]
            table.add_row(name, *(f"{cell:.4f}" for cell in cells))
        out.print(table)
    out.print(result["audit"]["verdict"], markup=False)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def show_comparison(result: dict[str, Any]) -> None:
    for entry in result["comparisons"]:
        shown = {"p": "p", "p (Wilcoxon)": "wilcoxon", "p (Holm)": "holm", "detectable": "detectable"}
        table = _table("metric", f"over {entry['against']}", "low", "high", *shown)
        for name, found in entry.items():
            if name != "against":
                figures = [f"{found[key]:+.4f}" for key in ("difference", "low", "high")]
                others = [_shown(found.get(key)) for key in shown.values()]
                table.add_row(name, *figures, *others)
        out.print(table)


def show_search(result: dict[str, Any]) -> None:
    table = _table("family", "clock", "half-life", "trials", "validation", "to the best", "low", "high")
    for entry in result["families"]:
        half = f"{entry['half_life']:.3g} {entry['unit']}" if entry["half_life"] else "–"
        differences = [f"{entry[key]:+.4f}" for key in ("difference", "low", "high")]
        table.add_row(
            entry["family"], entry["clock"], half, str(entry["trials"]), f"{entry['value']:.4f}", *differences
        )
    out.print(table)
    out.print(f"{result['trials']} trials, {result['failed']} failed; best {result['best']['trial']}")


def show_decision(result: dict[str, Any]) -> None:
    out.print(
        f"{result['name']} v{result['version']}: {'promoted' if result['promoted'] else 'not promoted'}"
    )
    for reason in result["reasons"]:
        out.print(f"- {reason}", markup=False)


def show_models(result: dict[str, Any]) -> None:
    table = _table("model", "version", "aliases", "metrics", "family")
    for model in result["models"]:
        for version in model["versions"]:
            tags = version["tags"]
            table.add_row(
                model["name"],
                str(version["version"]),
                ", ".join(version["aliases"]),
                tags.get("metrics", "").replace("[", "\\["),
                tags.get("family", ""),
            )
    out.print(table)


def show_recommendation(result: dict[str, Any]) -> None:
    model = result["model"]
    out.print(
        f"{model['name']} v{model['version']} for user {result['user']} at {result['at']}", markup=False
    )
    table = _table("item", "title", "score")
    for entry in result["items"]:
        table.add_row(entry["item"], entry["title"], f"{entry['score']:.4f}")
        if "terms" in entry:
            table.add_row("", " + ".join(f"{name} {value:.4f}" for name, value in entry["terms"].items()), "")
            for event in entry["events"]:
                left = ", ".join(f"{name} {share:.0%}" for name, share in event["left"].items())
                adds = sum(event["adds"].values())
                told = f"  {event['title'] or event['item']}, {event['age_days']:.1f} days ago ({left} left)"
                table.add_row("", told, f"{adds:+.4f}")
    out.print(table)


def show_run(result: dict[str, Any]) -> None:
    show_evaluation(result["evaluation"])
    out.print()
    out.print(result["verdict"]["sentence"], markup=False)
    for reason in result["verdict"]["reasons"]:
        out.print(f"- {reason}", markup=False)
    model = result["model"]
    aliases = ", ".join(model["aliases"])
    out.print(f"{model['name']} v{model['version']} ({aliases})\nreport: {result['report']}", markup=False)


def show_checks(result: dict[str, Any]) -> None:
    table = _table("check", "", "found")
    for entry in result["checks"]:
        table.add_row(entry["check"], "well" if entry["well"] else "mend", entry["found"])
    out.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table
