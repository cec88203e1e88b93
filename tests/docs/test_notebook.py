"""The notebook: kept without outputs, and its cells run from the first to the last. `make docs` runs it in Jupyter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

NOTEBOOK = ROOT / "docs" / "notebooks" / "first-steps.ipynb"


def cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text())["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


def test_it_is_kept_without_outputs() -> None:
    assert len(cells()) > 5
    assert [cell["outputs"] for cell in cells() if cell["outputs"] or cell["execution_count"]] == []
    for cell in cells():
        compile("".join(cell["source"]), cell["id"], "exec")


@pytest.mark.slow
def test_its_cells_run(tmp_path: Path) -> None:
    """As a script, in the folder where it lies; what is made is gone at its end."""
    script = tmp_path / "cells.py"
    script.write_text("\n\n".join("".join(cell["source"]) for cell in cells()))
    said = subprocess.run(
        [sys.executable, str(script)],
        cwd=NOTEBOOK.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    for part in ("over `none`:", "Promoted to champion", "models:/first@champion", "not by single events"):
        assert part in said.stdout
    assert [
        path.name for path in tmp_path.iterdir() if path != script and (path / "first.yaml").exists()
    ] == []
