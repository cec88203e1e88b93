"""The report as one HTML page that needs nothing but itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from harness.files import whole
from harness.report import account, choice, experiment, fading, opening, results, rolling, words
from harness.report.blocks import Block, Gallery, Section, Shot
from harness.report.figures import figures
from harness.report.parts import text_of
from harness.report.svg import inline


def render(summary: Mapping[str, Any], *, config_text: str) -> str:
    """One self-contained page: the verdict first, then how it came about; the package lists the keys.

    The same summary gives the same page. A part that the summary lacks is left out or named as missing.
    """
    sections = [
        account.asked(summary, config_text),
        account.data(summary),
        choice.curve(summary),
        fading.section(summary),
        choice.search(summary),
        account.training(summary),
        results.evaluation(summary),
        results.segments(summary),
        *([aging] if (aging := rolling.section(summary)) else []),
        experiment.ab(summary),
        results.audit(summary),
        results.reproduce(summary),
    ]
    drawn = figures(summary)
    sections = [replace(section, blocks=_with_figures(section, set(drawn))) for section in sections]
    cells = [
        cell for section in sections for b in section.blocks if isinstance(b, Gallery) for cell in b.cells
    ]
    return (
        _environment()
        .get_template("template.html.j2")
        .render(
            name=text_of(summary.get("name"), "A run"),
            created=words.stamp(summary.get("created")),
            config_path=text_of(summary.get("config_path"), ""),
            took=words.elapsed(summary.get("seconds")),
            verdict=opening.verdict(summary),
            cards=opening.cards(summary),
            sections=sections,
            svg={c.name: inline(drawn[c.name], c.name, c.alt) for c in cells if isinstance(c, Shot)},
        )
    )


def write(summary: Mapping[str, Any], config_text: str, path: str | os.PathLike[str]) -> Path:
    """The page at `path`, whole or not at all: a report that stood there stays until this one is complete."""
    page, target = render(summary, config_text=config_text), Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole(target) as partial:
        partial.write_text(page, encoding="utf-8", newline="\n")
    return target


def _with_figures(section: Section, drawn: set[str]) -> list[Block]:
    """The section's blocks, without figures that there were no numbers for."""
    kept: list[Block] = []
    for block in section.blocks:
        if isinstance(block, Gallery):
            block = Gallery(
                [cell for cell in block.cells if not isinstance(cell, Shot) or cell.name in drawn]
            )
            if not block.cells:
                continue
        kept.append(block)
    return kept


def _resource(name: str) -> str:
    return resources.files("harness.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    loader = FunctionLoader(_resource)
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
