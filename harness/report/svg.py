"""A matplotlib figure as SVG that stands in the text of a page: deterministic, small, searchable."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from harness.report.plots import INK, MUTED, RULE

# Text stays text (it can be searched and takes the page's font); a fixed salt makes the ids the same.
_SETTINGS: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "lethe"}
_INKS = {INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)", "#ffffff": "var(--paper)"}


def inline(figure: Figure, name: str, alt: str) -> Markup:
    """The figure's ``<svg>`` with `alt` as its label; every id starts with `name`, so none is there twice."""
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
