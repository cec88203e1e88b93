"""A schedule that a population found: the settings of its best member by epoch, and what became of its curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from harness.report import plots, words
from harness.report.blocks import Block, Gallery, Shot, Table, Text
from harness.report.drawing import Drawing
from harness.report.parts import Summary, dig, items_of, maps, metric_of, text_of
from harness.report.words import finite

Series = dict[str, list[tuple[float, float]]]
PANELS = 6  # settings that are drawn
WIDE = 2 * plots.WIDTH
APART = 5.0  # values so many times apart stand on a logarithmic axis


def blocks(held: Summary, metric: str) -> list[Block]:
    """The schedule of the best member as picture and table; nothing where no population trained."""
    told = held.get("schedule")
    steps = maps(dig(told, "steps"))
    if not steps:
        return []
    names = _names(steps)
    curves = list(dict.fromkeys(name for step in steps for name, _ in items_of(step.get("told"))))
    rows = [
        [
            f"{_epoch(step, 'begin') + 1:.0f} to {_epoch(step, 'until'):.0f}",
            text_of(step.get("member")),
            *(words.compact(dig(step, "params", name)) for name in names),
            words.number(step.get("value")),
        ]
        for step in steps
    ]
    picture = Shot(
        "search_schedule",
        f"{', '.join(names)} of the best member by epoch"
        + (f", and half-lives of {', '.join(curves)}." if curves else "."),
        "The settings of the best member by epoch (thick), and of the others (thin)"
        + ("; below, the half-lives that its curves had learned by then" if curves else ""),
        wide=True,
    )
    head = ["Epochs", "By", *names, f"{metric} then"]
    table = Table("The schedule of the best member", head, rows, tuple(range(2, len(head))))
    return [Gallery([picture]), table, _replayed(told, metric)]


def _replayed(told: object, metric: str) -> Text:
    """Whether the schedule earns the same from the start."""
    again = dig(told, "replayed")
    value = words.number(dig(again, "value"))
    if dig(again, "same"):
        return Text(
            f"Trained from the start by this schedule the model has the very same figures: {metric} {value}."
        )
    apart = words.number(dig(again, "difference"), sign=True)
    return Text(
        f"Trained from the start by this schedule the model has {metric} {value}, {apart} to the search.",
        "note",
    )


def figures(summary: Summary) -> dict[str, Drawing]:
    """A panel for each setting, and one for the half-lives."""
    told = dig(summary, "search", "schedule")
    steps = maps(dig(told, "steps"))
    names = _names(steps)[:PANELS]
    if not names:
        return {}
    others = [maps(each.get("steps")) for each in maps(dig(told, "others"))]
    curves = _curves(steps)
    drawn = len(names) + len(curves)
    rows = math.ceil(drawn / 3)
    figure = Drawing(figsize=(WIDE, 0.4 + 1.9 * rows), layout="constrained", facecolor="white")
    panels = list(figure.subplots(rows, 3, squeeze=False).flat)
    end = _epoch(steps[-1], "until")
    for name, ax in zip(names, panels, strict=False):
        _setting(figure, ax, name, [*others, steps], end)
    for (unit, series), ax in zip(curves.items(), panels[len(names) :], strict=False):
        _half_lives(figure, ax, unit, series)
    for ax in panels[:drawn]:
        plots.styled(ax)
        ax.set_xlim(0, end)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for ax in panels[drawn:]:
        ax.set_visible(False)
    metric = words.metric(metric_of(summary))
    figure.supxlabel(f"epochs that are over ({metric} decides)", fontsize=plots.LETTERS, color=plots.INK)
    return {"search_schedule": figure}


def _setting(figure: Drawing, ax: Axes, name: str, courses: Sequence[Sequence[Summary]], end: float) -> None:
    """One setting by epoch, the best member's last and thick."""
    values: list[float] = []
    for number, steps in enumerate(courses, 1):
        points = [
            (_epoch(step, "begin"), at)
            for step in steps
            if (at := finite(dig(step, "params", name))) is not None
        ]
        if not points:
            continue
        best = number == len(courses)
        values += [value for _, value in points]
        ax.step(
            [*(begin for begin, _ in points), end],
            [*(value for _, value in points), points[-1][1]],
            where="post",
            color=plots.VERMILLION if best else plots.MUTED,
            linewidth=2.4 if best else 0.8,
            alpha=1 if best else 0.5,
        )
        for begin, value in points if best else ():
            figure.tell(ax, begin, value, f"{name} from epoch {begin + 1:.0f} on: {words.compact(value)}")
    _scale(ax, values)
    ax.set_title(plots.plain(name, 34), fontsize=plots.LETTERS, color=plots.INK, loc="left")


def _curves(steps: Sequence[Summary]) -> dict[str, Series]:
    """By unit the half-lives of each curve, as (epochs that are over, half-life)."""
    found: dict[str, Series] = {}
    for step in steps:
        for name, raw in items_of(step.get("told")):
            curve, _, unit = name.removesuffix(")").rpartition(" (")
            if (value := finite(raw)) is not None:
                found.setdefault(unit, {}).setdefault(curve, []).append((_epoch(step, "until"), value))
    return found


def _half_lives(figure: Drawing, ax: Axes, unit: str, series: Series) -> None:
    """A line for each curve of the best member."""
    for place, (name, points) in enumerate(series.items()):
        ax.plot(*zip(*points, strict=True), "-o", color=plots.SERIES[place % len(plots.SERIES)], markersize=3)
        for epoch, value in points:
            said = f"half-life of {name} after epoch {epoch:.0f}: {words.duration(value, unit)}"
            figure.tell(ax, epoch, value, said)
    _scale(ax, [value for points in series.values() for _, value in points])
    ax.set_title(f"half-lives learned, in {unit}", fontsize=plots.LETTERS, color=plots.INK, loc="left")


def _scale(ax: Axes, values: Sequence[float]) -> None:
    """A logarithmic axis for values that lie far apart."""
    if values and min(values) > 0 and max(values) > APART * min(values):
        ax.set_yscale("log")
        far = max(values) > 100 * min(values)
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0,) if far else (1.0, 2.0, 5.0), numticks=7))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words.compact(value)))
        ax.yaxis.set_minor_formatter(NullFormatter())


def _names(steps: Sequence[Summary]) -> list[str]:
    return [name for name, _ in items_of(steps[0].get("params"))] if steps else []


def _epoch(step: Any, name: str) -> float:
    return finite(dig(step, name)) or 0.0
