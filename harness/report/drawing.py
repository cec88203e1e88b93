"""A figure whose points say what they stand for: matplotlib draws it, a page lets people ask it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Mark:
    """What one point of a figure says in words: the text of a tooltip, and of the figure read aloud.

    Attributes:
        x, y: where it is, in the data of `ax`.
        line: the gid of the artist that lights up with it, where there is one.
    """

    ax: Axes
    x: float
    y: float
    text: str
    line: str = ""


class Drawing(Figure):
    """A matplotlib figure with marks.

    >>> figure = Drawing(figsize=(4, 2))
    >>> ax = figure.add_subplot()
    >>> figure.tell(ax, 0.5, 0.25, "a quarter is left after half a day")
    >>> [mark.text for mark in figure.marks]
    ['a quarter is left after half a day']
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.marks: list[Mark] = []

    def tell(self, ax: Axes, x: float, y: float, text: str, line: str = "") -> None:
        """Let the point (x, y) of `ax` say `text`."""
        self.marks.append(Mark(ax, x, y, text, line))

    def places(self) -> list[tuple[float, float]]:
        """Of each mark, how many points (1/72 inch) it is from the left and from the top of the figure as it was last
        drawn."""
        height = 72 * float(self.get_size_inches()[1])
        found = []
        for mark in self.marks:
            x, y = mark.ax.transData.transform((mark.x, mark.y)) * 72 / self.dpi
            found.append((float(x), height - float(y)))
        return found
