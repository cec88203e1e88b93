"""What the pages show: their commands, their configurations, their links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
STANDS_FOR = {
    "CONFIG": "configs/online-retail.yaml",
    "my.yaml": "configs/online-retail.yaml",
    "SHAPE": "configs/cluster/spot.yaml",
    "FILE": "configs/cluster/spot.yaml",
}
"""What a reader puts there."""

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
_INLINE = re.compile(r"(?<!`)`(lethe [a-z][^`]*)`(?!`)")


@dataclass(frozen=True)
class Shown:
    """Something that a page shows."""

    page: Path
    text: str

    @property
    def words(self) -> list[str]:
        """A command's, with files of the repository for what stands for them."""
        return [STANDS_FOR.get(word, word) for word in shlex.split(self.text, comments=True)]

    def __str__(self) -> str:
        return f"{self.page.name}: {self.text.splitlines()[0][:60]}"


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in _FENCE.findall(page.read_text()) if found == language]


def commands() -> list[Shown]:
    """All commands of all pages: lines of console blocks, and what stands in the text."""
    return [Shown(page, text) for page in PAGES for text in _commands(page)]


def _commands(page: Path) -> Iterator[str]:
    for block in blocks(page, "console"):
        for line in block.replace("\\\n", " ").splitlines():
            assert line.startswith("$ "), f"{page.name}: a line of a console block is a command: {line}"
            yield line.removeprefix("$ ")
    for text in _INLINE.findall(_FENCE.sub("", page.read_text())):
        words = " ".join(text.split())
        if "…" not in words and "COMMAND" not in words and len(words.split()) > 2:  # else it is a name alone
            yield words


def configurations() -> list[Shown]:
    return [Shown(page, text) for page in PAGES for text in blocks(page, "yaml")]
