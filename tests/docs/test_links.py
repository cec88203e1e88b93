"""The look at built pages finds what leads nowhere and what is loaded from elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

GOOD = {
    "index.html": '<h1 id="top-of-all">x</h1><a href="b/other.html#there">1</a><a href="#top-of-all">2</a>'
    '<a href="https://example.org/x">3</a><img src="data:image/png;base64,AA"><a href="b/file%20one.csv">4</a>',
    "b/other.html": '<p><a name="there"></a><a href="../index.html">up</a></p>',
    "b/file one.csv": "a,b",
    "_static/template.html": '<script src="{{ path }}"></script>',
}


def look(folder: Path, pages: dict[str, str]) -> tuple[int, str]:
    for name, text in pages.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    command = [sys.executable, str(ROOT / "docs" / "links.py"), str(folder)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return said.returncode, said.stdout


def test_whole_pages(tmp_path: Path) -> None:
    code, said = look(tmp_path, GOOD)
    assert (code, said.strip()) == (0, "2 pages, 1 links to elsewhere, 0 broken")
    assert (tmp_path / "external-links.txt").read_text() == "https://example.org/x\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('<a href="gone.html">1</a>', "gone.html leads to no file"),
        ('<a href="b/other.html#gone">1</a>', "b/other.html#gone leads to no anchor"),
        ('<a href="#gone">1</a>', "#gone leads to no anchor"),
        ('<img src="gone.png">', "gone.png leads to no file"),
        ('<script src="https://cdn.example.org/x.js"></script>', "x.js is loaded from elsewhere"),
        ('<link rel="stylesheet" href="//cdn.example.org/x.css">', "x.css is loaded from elsewhere"),
    ],
)
def test_what_is_broken(tmp_path: Path, text: str, problem: str) -> None:
    code, said = look(tmp_path, {**GOOD, "index.html": text})
    assert code == 1
    assert problem in said


def test_no_page_at_all(tmp_path: Path) -> None:
    assert look(tmp_path, {})[0] == 1
