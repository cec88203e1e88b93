"""What all tables in the terminal are made of: results are shown so where nobody asked for JSON."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

out = Console(highlight=False, markup=False, emoji=False)
"""Titles, ids and paths are shown as they are: a `[b]` or `:car:` in one is no markup."""


def pairs(result: dict[str, Any]) -> None:
    """Name and value, a line each."""
    rows = Table(show_header=False, box=None, pad_edge=False)
    for name, value in result.items():
        rows.add_row(name, str(value))
    out.print(rows)


def table(*columns: str) -> Table:
    """One without rows yet."""
    empty = Table(box=None, pad_edge=False)
    for column in columns:
        empty.add_column(column)
    return empty


def rounded(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
