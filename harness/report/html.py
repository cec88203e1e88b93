"""Any page of Lethe as one HTML file that needs nothing but itself: one style, one script, one look."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from harness.report.blocks import Card, Section, drawn, shots
from harness.report.drawing import Drawing
from harness.report.opening import Verdict
from harness.report.svg import picture
from trainers.storage.files import whole

SCRIPT = "page.js"


@dataclass(frozen=True)
class Page:
    """What a page says, from its top to its end.

    Attributes:
        eyebrow: what kind of page it is.
        title: of the browser's window.
        meta: when and whence, in a line.
        figures: by the names that its shots have; a shot without a figure is left out.
    """

    eyebrow: str
    name: str
    title: str
    sections: Sequence[Section]
    figures: dict[str, Drawing] = field(default_factory=dict)
    verdict: Verdict | None = None
    cards: Sequence[Card] = ()
    meta: Sequence[str] = ()

    def html(self) -> str:
        """The page as text; the same page gives the same text."""
        sections = [replace(each, blocks=drawn(each.blocks, set(self.figures))) for each in self.sections]
        pictures = {
            shot.name: picture(self.figures[shot.name], shot.name, shot.alt)
            for section in sections
            for shot in shots(section.blocks)
        }
        script = _resource(SCRIPT)
        return (
            _environment()
            .get_template("page.html.j2")
            .render(
                page=replace(self, sections=sections),
                pictures=pictures,
                script=Markup(script),  # a file of this package, into which nothing is put
                digest=_digest(script),
            )
        )

    def write(self, path: str | os.PathLike[str]) -> Path:
        """The page at `path`, whole or not at all: what stood there stays until this one is complete."""
        text, target = self.html(), Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole(target) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")
        return target


def _digest(script: str) -> str:
    """What a browser has to find the script to be, or it does not run: no other script of the page ever runs."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _resource(name: str) -> str:
    return resources.files("harness.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    loader = FunctionLoader(_resource)
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
