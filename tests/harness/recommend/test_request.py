"""Options that do not go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.conftest import Command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "needs either `--user ID`, or `--all --out FILE`"),
        (["--user", "u1", "--all", "--out", "f"], "needs either `--user ID`"),
        (["--all"], "`--all` and `--out FILE` go together"),
        (["--user", "u1", "--out", "f"], "`--all` and `--out FILE` go together"),
        (["--user", "u1", "--events", "f"], "`--events` needs `--state DIR`"),
        (["--events", "f"], "`--events` needs `--state DIR`"),
        (["--state", "d"], "needs either `--user ID`"),
        (["--user", "u1", "--state", "d", "--explain"], "`--explain` is for one user of the log"),
        (["--all", "--out", "f", "--explain"], "`--explain` is for one user of the log"),
        (["--all", "--out", "f", "--state", "d"], "leave out `--state`"),
    ],
)
def test_are_refused(lethe: Command, config: Path, arguments: list[str], message: str) -> None:
    said = lethe("recommend", str(config), *arguments, "--json")
    assert (said.code, said.out) == (2, "")
    assert message in said.last
