"""Registered models, a version, two versions side by side and what the gate said, as tables in the terminal."""

from __future__ import annotations

from typing import Any

from rich.markdown import Markdown
from rich.table import Table

from harness.report.words import NOTHING, compact, of
from harness.tables import out, table


def show_models(result: dict[str, Any]) -> None:
    rows = table("model", "version", "aliases", "metrics", "family")
    for model in result["models"]:
        for version in model["versions"]:
            tags = version["tags"]
            rows.add_row(
                model["name"],
                str(version["version"]),
                ", ".join(version["aliases"]),
                tags.get("metrics", ""),
                tags.get("family", ""),
            )
    out.print(rows)
    for model in result["models"]:
        for version in model["versions"]:
            if version["live_since"]:
                out.print(f"live: {model['name']} v{version['version']}, since {version['live_since']}")
        if refused := model["last_refused"]:
            out.print(f"last refused: {model['name']} v{refused['version']}, {refused['decided']}")
            for rule in refused["lacked"]:
                out.print(f"- {rule}")


def show_version(result: dict[str, Any]) -> None:
    out.print(_named(result["name"], result["version"], result["aliases"]))
    _print_sides(
        ("tag", "value"),
        [(name, [tag]) for name, tag in sorted(result["tags"].items()) if not name.startswith("lethe.")],
    )
    _print_sides(("question", "answer"), [(name, [said]) for name, said in result["answers"].items()])
    if result["description"]:
        # A link into MLflow's pages leads nowhere from a terminal.
        out.print(Markdown(result["description"], hyperlinks=False))
    elif result["decision"]:
        out.print(_decided(result["decision"]))


def show_difference(result: dict[str, Any]) -> None:
    sides = [f"v{number}" for number in result["versions"]]
    out.print(" and ".join(map(_named, [result["name"]] * 2, result["versions"], result["aliases"])))
    curves = {
        name: [NOTHING if curve is None else f"{curve['family']}, {curve['words']}" for curve in pair]
        for name, pair in result["curves"].items()
    }
    for title, pairs in (("setting", result["settings"]), ("curve", curves), ("data", result["data"])):
        rows = [(name, [_shown(value) for value in pair]) for name, pair in pairs.items()]
        _print_sides((title, *sides), rows or [("the same", ["", ""])])
    metrics = [(name, [_figure(figure) for figure in pair]) for name, pair in result["metrics"].items()]
    _print_sides(("metric", *sides), metrics)
    if not result["same_queries"]:
        out.print(
            "They were not asked the same test queries: `lethe compare` asks a model and a version the same."
        )
    for side, decision in zip(sides, result["decisions"], strict=True):
        out.print(f"{side}: {_decided(decision) if decision else 'no decision'}")


def show_decision(result: dict[str, Any]) -> None:
    out.print(
        f"{result['name']} v{result['version']}: {'promoted' if result['promoted'] else 'not promoted'}"
    )
    for reason in result["reasons"]:
        out.print(f"- {reason}")


def _named(name: str, version: int, aliases: list[str]) -> str:
    return f"{name} v{version}" + (f" ({', '.join(aliases)})" if aliases else "")


def _decided(decision: dict[str, Any]) -> str:
    """Whether the gate opened, and why; a decision that was taken elsewhere may lack its reasons."""
    said = "the gate opened" if decision["promoted"] else "the gate stayed shut"
    return "\n- ".join([said, *decision.get("reasons", [])])


def _figure(figure: dict[str, Any] | None) -> str:
    return NOTHING if figure is None else of(figure)


def _shown(value: Any) -> str:
    return NOTHING if value is None else compact(value)


def _print_sides(heads: tuple[str, ...], rows: list[tuple[str, list[str]]]) -> None:
    sides = Table(box=None, pad_edge=False)
    for head in heads:
        sides.add_column(head, overflow="fold")
    for name, cells in rows:
        sides.add_row(name, *cells)
    out.print(sides)
