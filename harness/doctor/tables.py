"""What a machine lacks, as a table in the terminal."""

from __future__ import annotations

from typing import Any

from harness.tables import out, table


def show_checks(result: dict[str, Any]) -> None:
    rows = table("check", "", "found")
    for entry in result["checks"]:
        rows.add_row(entry["check"], "well" if entry["well"] else "mend", entry["found"])
        if not entry["well"]:
            rows.add_row("", "→", entry["mend"])
    out.print(rows)
