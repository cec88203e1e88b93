"""`docs/faults.md` names tests that are there."""

from __future__ import annotations

import re

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "faults.md"


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "fault"]


def test_every_fault_has_a_test_and_it_is_there() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"^ *def (test_\w+)\(", tests, re.MULTILINE))
    named = [re.findall(r"`(test_\w+)`", row[-1]) for row in rows()]
    assert all(named), "a fault without a test"
    assert {name for names in named for name in names} - there == set()
    flat = [name for names in named for name in names]
    assert len(flat) == len(set(flat)), "a test is named twice"


def test_there_are_many_and_each_says_what_happens() -> None:
    assert len(rows()) >= 25
    assert all(len(row) == 3 and row[1] for row in rows())


def test_heavy_tests_are_marked() -> None:
    """● stands in a row if and only if its test is left out of the default run."""
    slow = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text()
        if re.search(r"^pytestmark = pytest\.mark\.slow$", text, re.MULTILINE):
            slow |= set(re.findall(r"^ *def (test_\w+)\(", text, re.MULTILINE))
        slow |= set(re.findall(r"^@pytest\.mark\.slow\n(?:@.*\n)*def (test_\w+)\(", text, re.MULTILINE))
    for _, happens, named in rows():
        names = re.findall(r"`(test_\w+)`", named)
        assert happens.endswith("●") == any(name in slow for name in names), named
