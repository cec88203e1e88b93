"""What a section is made of; the template knows how each block looks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar


class _Block:
    """What every block can be asked about the figures in it; most have none."""

    def shots(self) -> Iterator[Shot]:
        """The figures that it shows."""
        return iter(())

    def drawn(self, figures: set[str]) -> Iterator[Block]:
        """Itself, without shots that are none of the `figures` that there are; nothing where nothing else is left."""
        yield self  # type: ignore[misc]  # every subclass is one of the blocks


@dataclass(frozen=True)
class Text(_Block):
    """A paragraph; `tone` is `plain`, `note` or `warn`."""

    kind: ClassVar[str] = "text"
    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Facts(_Block):
    """Names and their values, one a line."""

    kind: ClassVar[str] = "facts"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table(_Block):
    """The first cell of a row is its header; `numeric` names the columns that hold figures.

    A long table is `folded` away under its caption until it is asked for; a click on a head sorts a `sortable` one.
    """

    kind: ClassVar[str] = "table"
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[int] = ()
    folded: bool = False
    sortable: bool = False


@dataclass(frozen=True)
class Shot(_Block):
    """A figure by its name, what it says to who cannot see it, and a caption; a `wide` one has the room of two."""

    kind: ClassVar[str] = "shot"
    name: str
    alt: str
    caption: str
    wide: bool = False

    def shots(self) -> Iterator[Shot]:
        yield self

    def drawn(self, figures: set[str]) -> Iterator[Block]:
        if self.name in figures:
            yield self


@dataclass(frozen=True)
class Gallery(_Block):
    """Figures and small tables, side by side where there is room."""

    kind: ClassVar[str] = "gallery"
    cells: Sequence[Block]

    def shots(self) -> Iterator[Shot]:
        return shots(self.cells)

    def drawn(self, figures: set[str]) -> Iterator[Block]:
        if cells := drawn(self.cells, figures):
            yield replace(self, cells=cells)


@dataclass(frozen=True)
class Code(_Block):
    """Text to be read or copied as it is; folded away under `title` where `folded`."""

    kind: ClassVar[str] = "code"
    title: str
    text: str
    folded: bool = False


@dataclass(frozen=True)
class Heading(_Block):
    """The title of a part of a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Part:
    """What is shown together where its name is chosen."""

    name: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Filter(_Block):
    """Parts of which a reader chooses one, from a list that `label` stands before; `all` names the choice of all of
    them, which is the first where there is one. On paper and without scripts all parts are shown."""

    kind: ClassVar[str] = "filter"
    label: str
    parts: Sequence[Part]
    all: str = ""

    def shots(self) -> Iterator[Shot]:
        for part in self.parts:
            yield from shots(part.blocks)

    def drawn(self, figures: set[str]) -> Iterator[Block]:
        yield replace(self, parts=[replace(part, blocks=drawn(part.blocks, figures)) for part in self.parts])


Block = Text | Facts | Table | Shot | Gallery | Code | Heading | Filter


def shots(blocks: Iterable[Block]) -> Iterator[Shot]:
    """All figures that blocks show, in order."""
    for block in blocks:
        yield from block.shots()


def drawn(blocks: Iterable[Block], figures: set[str]) -> list[Block]:
    """Blocks without shots that there is no figure for."""
    return [kept for block in blocks for kept in block.drawn(figures)]


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
