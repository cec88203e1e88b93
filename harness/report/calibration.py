"""The section on calibration: what the model expects of the items that it shows, beside what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.report import plots, words
from harness.report.blocks import Block, Gallery, Section, Shot, Table, Text
from harness.report.drawing import Drawing
from harness.report.parts import Summary, dig, maps, text_of
from harness.report.words import finite

NAME = "calibration"
APART = 20.0  # shares that span more than such a factor stand on logarithmic axes


def section(summary: Summary) -> Section | None:
    """None where calibration was not looked at."""
    held = summary.get("calibration")
    if not isinstance(held, Mapping) or not held:
        return None
    blocks: list[Block] = [Text(text_of(held.get("sentence")))]
    if bins := maps(held.get("bins")):
        blocks.append(Text(_method(held), "note"))
        shot = Shot(
            NAME,
            "Share that the model expected of the items it shows, and the share that they were, in groups of one size.",
            "What was expected of shown items, beside what they were, with intervals: on the line the two agree",
        )
        blocks.append(Gallery([shot, _table(bins)]))
    return Section(NAME, "What its scores mean", blocks)


def _method(held: Summary) -> str:
    expects = {name: words.compact(dig(held, "expects", name)) for name in ("temperature", "slope", "shift")}
    return (
        f"A softmax at the temperature {expects['temperature']} turns the scores of a list into shares of what the "
        f"user takes next; their log-odds are corrected: times {expects['slope']}, plus {expects['shift']}. All three "
        "fit the validation queries best, and no order depends on them; hollow points are of the softmax alone. "
        f"Looked at are the {words.count(held.get('k'))} items of each list of "
        f"{words.counted(held.get('queries'), 'test query', 'test queries')}."
    )


def _table(bins: list[Summary]) -> Table:
    rows = [
        [
            _percent(each.get("predicted")),
            _percent(each.get("observed")),
            f"{_percent(each.get('low'))} to {_percent(each.get('high'))}",
            words.count(each.get("count")),
        ]
        for each in bins
    ]
    return Table("Expected and found", ["Expected", "Found", "Interval", "Items shown"], rows, (0, 1, 2, 3))


def _percent(value: object) -> str:
    """With two decimals: most shares of a catalogue are small."""
    known = finite(value)
    return words.NOTHING if known is None else f"{words.number(100 * known, 2)}{words.SPACE}%"


def figures(summary: Summary) -> dict[str, Drawing]:
    """The reliability diagram, before the correction (hollow) and after it."""
    after, before = (_points(summary, *where) for where in (("bins",), ("before", "bins")))
    return {NAME: _diagram(after, before)} if len(after) > 1 else {}


def _points(summary: Summary, *where: str) -> list[tuple[Any, ...]]:
    """(expected, found, low, high) of each group."""
    return [
        (predicted, observed, finite(each.get("low")), finite(each.get("high")))
        for each in maps(dig(summary, "calibration", *where))
        if (predicted := finite(each.get("predicted"))) is not None
        and (observed := finite(each.get("observed"))) is not None
    ]


def _diagram(after: list[tuple[Any, ...]], before: list[tuple[Any, ...]]) -> Drawing:
    figure, (ax,) = plots.canvas(3.4)
    found = [value for each in (*after, *before) for value in each[:2] if value > 0]
    low, high = min(found) / 1.5, max(found) * 1.5
    log = high / low > APART
    if log:
        ax.set_xscale("log")
        ax.set_yscale("log")
    start = low if log else 0.0
    ax.plot([start, high], [start, high], color=plots.MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
    for predicted, observed, *_ in before:
        at = max(observed, start)
        ax.plot([predicted], [at], "o", color=plots.MUTED, markersize=6, fillstyle="none")
        figure.tell(
            ax, predicted, at, f"softmax alone: expected {_percent(predicted)}, found {_percent(observed)}"
        )
    for predicted, observed, least, most in after:
        at = max(observed, start)
        if least is not None and most is not None:
            ax.vlines(predicted, max(least, start), max(most, start), color=plots.BLUE, linewidth=2)
        ax.plot([predicted], [at], "o", color=plots.BLUE, markersize=6)
        spread = "" if least is None else f" [{_percent(least)}, {_percent(most)}]"
        said = f"expected {_percent(predicted)}, found {_percent(observed)}{spread}"
        figure.tell(ax, predicted, at, said)
    ax.set_xlim(start, high)
    ax.set_ylim(start, high)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _: words.share(value).replace(".0", ""))
        axis.set_minor_formatter(lambda value, _: "")
    plots.label(ax, "expected share of what comes next", "share found")
    return figure
