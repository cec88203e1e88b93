"""A matplotlib figure as SVG that stands in the text of a page: deterministic, small, searchable."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape

from harness.report.drawing import Drawing
from harness.report.plots import INK, MUTED, RULE

# Text stays text (it can be searched and takes the page's font); a fixed salt makes the ids the same.
_SETTINGS: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "lethe"}
_INKS = {INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)", "#ffffff": "var(--paper)"}


@dataclass(frozen=True)
class Spot:
    """A mark of a figure where it stands in the picture: `line` is the id of what lights up with it."""

    x: float
    y: float
    text: str
    line: str


@dataclass(frozen=True)
class Picture:
    """A figure in a page: the ``<svg>`` that is seen, its size in points, and the spots that lie over it."""

    svg: Markup
    width: float
    height: float
    spots: list[Spot]


def picture(figure: Drawing, name: str, alt: str) -> Picture:
    """The figure with `alt` as its label; every id starts with `name`, so none is there twice."""
    svg = inline(figure, name, alt)
    width, height = (72 * float(side) for side in figure.get_size_inches())
    spots = [
        Spot(round(x, 1), round(y, 1), mark.text, f"{name}-{mark.line}" if mark.line else "")
        for mark, (x, y) in zip(figure.marks, figure.places(), strict=True)
    ]
    return Picture(svg, width, height, spots)


def inline(figure: Drawing, name: str, alt: str) -> Markup:
    """The figure's ``<svg>`` alone."""
    out = io.StringIO()
    with mpl.rc_context(_SETTINGS):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    body = text[text.index(">") + 1 :]
    for colour, variable in _INKS.items():
        body = re.sub(rf"((?:fill|stroke): ?){colour}", rf"\1{variable}", body)
    body = body.replace("xlink:href", "href")
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(href="#|url\(#)', rf"\1{name}-", body)
    body = re.sub(r"\n\s*", "\n", body)
    width, height = (72 * float(side) for side in figure.get_size_inches())
    opening = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(alt)}">'
    # The text inside is matplotlib's own, which escapes every label: nothing from the summary is markup here.
    return Markup(opening + body)
