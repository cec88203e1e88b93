"""What a section is made of; the template knows how each block looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Text:
    """A paragraph; `tone` is `plain`, `note` or `warn`."""

    kind: ClassVar[str] = "text"
    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Facts:
    """Names and their values, one a line."""

    kind: ClassVar[str] = "facts"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """The first cell of a row is its header; `numeric` names the columns that hold figures."""

    kind: ClassVar[str] = "table"
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[int] = ()


@dataclass(frozen=True)
class Shot:
    """A figure by its name, what it says to who cannot see it, and a caption."""

    kind: ClassVar[str] = "shot"
    name: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Figures and small tables, side by side where there is room."""

    kind: ClassVar[str] = "gallery"
    cells: Sequence[Shot | Table]


@dataclass(frozen=True)
class Code:
    """Text to be read or copied as it is; folded away under `title` where `folded`."""

    kind: ClassVar[str] = "code"
    title: str
    text: str
    folded: bool = False


Block = Text | Facts | Table | Gallery | Code


@dataclass(frozen=True)
class Section:
    id: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Card:
    """A key figure: what it is, the figure, its interval or remark, and what it was taken on."""

    title: str
    figure: str
    remark: str = ""
    basis: str = ""
