"""The report of a run as a page: the verdict first, then how it came about."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.report import (
    account,
    calibration,
    choice,
    experiment,
    fading,
    opening,
    people,
    results,
    rolling,
    words,
)
from harness.report.figures import figures
from harness.report.html import Page
from harness.report.parts import text_of


def page(summary: Mapping[str, Any], config_text: str) -> Page:
    """A part that the summary lacks is left out or named as missing; the package lists the keys."""
    name, verdict = text_of(summary.get("name"), "A run"), opening.verdict(summary)
    sections = [
        account.asked(summary, config_text),
        account.data(summary),
        choice.curve(summary),
        fading.section(summary),
        choice.search(summary),
        account.training(summary),
        results.evaluation(summary),
        results.segments(summary),
        *(found for part in (calibration, people, rolling) if (found := part.section(summary))),
        experiment.ab(summary),
        results.audit(summary),
        results.reproduce(summary),
    ]
    meta = [
        words.stamp(summary.get("created")),
        f"took {words.elapsed(summary.get('seconds'))}",
        text_of(summary.get("config_path"), ""),
        f"brackets are {words.intervals(summary.get('intervals'))}",
    ]
    return Page(
        "Lethe run report",
        name,
        f"{name}: {verdict.badge} – Lethe",
        sections,
        figures(summary),
        verdict,
        opening.cards(summary),
        [said for said in meta if said],
    )


def render(summary: Mapping[str, Any], *, config_text: str) -> str:
    """One self-contained page. The same summary gives the same page."""
    return page(summary, config_text).html()


def write(summary: Mapping[str, Any], config_text: str, path: str | os.PathLike[str]) -> Path:
    """The page at `path`, whole or not at all: a report that stood there stays until this one is complete."""
    return page(summary, config_text).write(path)
