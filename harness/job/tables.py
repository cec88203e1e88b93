"""A run as tables in the terminal."""

from __future__ import annotations

from typing import Any

from harness.steps.tables import show_evaluation
from harness.tables import out


def show_run(result: dict[str, Any]) -> None:
    show_evaluation(result["evaluation"])
    out.print()
    out.print(result["verdict"]["sentence"])
    for reason in result["verdict"]["reasons"]:
        out.print(f"- {reason}")
    model = result["model"]
    aliases = ", ".join(model["aliases"])
    out.print(f"{model['name']} v{model['version']} ({aliases})\nreport: {result['report']}")
