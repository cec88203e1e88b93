"""The section on the rolling protocol: each period by the freshest model, and what the age of a model costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.report import plots, words
from harness.report.blocks import Block, Gallery, Section, Shot, Table, Text
from harness.report.drawing import Drawing
from harness.report.parts import Summary, dig, maps, text_of
from harness.report.words import finite

NAME = "rolling"


def section(summary: Summary) -> Section | None:
    """None where the protocol is another one."""
    held = dig(summary, "evaluation", "rolling")
    if not held:
        return None
    metric = words.metric(dig(held, "metric"))
    how = (
        "a model fitted before each period"
        if dig(held, "refit")
        else "one model, fitted before the first period"
    )
    pooled = words.of(dig(held, "metrics", text_of(dig(held, "metric"))))
    shot = Shot(
        NAME,
        f"{metric} of an older model minus the freshest on the same queries, by how much older it is.",
        "Older minus freshest model, on the same queries",
    )
    blocks: list[Block] = [
        Text(f"{metric} over all periods, {how}: {pooled}."),
        Text(text_of(dig(held, "trend", "sentence"))),
        Gallery([shot, _ages(held, metric)] if maps(dig(held, "trend", "by_age")) else []),
        _cuts(held, metric),
    ]
    return Section(NAME, "As the model ages", [b for b in blocks if not isinstance(b, Gallery) or b.cells])


def _cuts(held: Mapping[str, Any], metric: str) -> Table:
    rows = [
        [
            words.stamp(cut.get("start")),
            words.count(cut.get("queries")),
            words.count(cut.get("catalogue")),
            words.duration(cut.get("age_days")),
            words.of(dig(cut, "metrics", text_of(dig(held, "metric")))),
        ]
        for cut in maps(dig(held, "cuts"))
    ]
    head = ["Period from", "Queries", "Catalogue", "Mean age of the model", metric]
    return Table("Each period", head, rows, (1, 2, 3, 4))


def _ages(held: Mapping[str, Any], metric: str) -> Table:
    rows = [
        [
            _older(each),
            words.duration(each.get("days")),
            words.count(each.get("queries")),
            words.of(each, sign=True),
            words.judged(each),
        ]
        for each in maps(dig(held, "trend", "by_age"))
    ]
    return Table(
        "What age costs", ["Older by", "That is", "Queries", f"{metric} lost or won", "Reading"], rows, (2, 3)
    )


def _older(each: Mapping[str, Any]) -> str:
    return words.counted(each.get("periods"), "period")


def figures(summary: Mapping[str, Any]) -> dict[str, Drawing]:
    """Older minus freshest, by how many periods older."""
    held = dig(summary, "evaluation", "rolling")
    marks = {"better": "good", "worse": "bad"}
    rows = [
        plots.Dot(
            f"{_older(each)} older",
            difference,
            finite(each.get("low")),
            finite(each.get("high")),
            marks.get(words.judged(each), "open"),
        )
        for each in maps(dig(held, "trend", "by_age"))
        if (difference := finite(each.get("difference"))) is not None
    ]
    title = f"{words.metric(dig(held, 'metric'))}, older minus freshest"
    return {NAME: plots.dots(rows, title, zero=True)} if rows else {}
