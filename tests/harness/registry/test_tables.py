"""What the terminal shows of a version."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.registry import tables


def test_a_description_names_its_links_and_makes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """They lead into MLflow's own pages."""
    shown = io.StringIO()
    monkeypatch.setattr(tables, "out", Console(file=shown, force_terminal=True, width=100))
    tables.show_version(
        {
            "name": "shop",
            "version": "1",
            "aliases": [],
            "tags": {},
            "answers": {},
            "description": "**See:** [the report](#/runs/report.html)",
            "decision": None,
        }
    )
    assert "#/runs/report.html" in shown.getvalue()
    assert "\x1b]8;" not in shown.getvalue()
