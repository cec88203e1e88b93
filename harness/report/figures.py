"""Every figure of the report, by name; a part that the summary lacks makes no figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from harness.report import (
    calibration,
    fading,
    habit,
    people,
    plots,
    rolling,
    schedule,
    search_figures,
    words,
)
from harness.report.drawing import Drawing
from harness.report.log_figures import data
from harness.report.parts import curves_of, dig, items_of, maps, metric_of, rows_of, slug, text_of
from harness.report.words import finite

Figures = dict[str, Drawing]


def figures(summary: Mapping[str, Any]) -> Figures:
    """The figures that this summary has the numbers for, in the order of the page."""
    made: Figures = {}
    for draw in (
        data,
        curves,
        habit.figures,
        families,
        fading.figures,
        search_figures.figures,
        schedule.figures,
        training,
        evaluation,
        segments,
        calibration.figures,
        people.figures,
        rolling.figures,
        ab,
    ):
        made |= draw(summary)
    return made


def curves(summary: Mapping[str, Any]) -> Figures:
    """The retention curve of each term, with its half-life; the curves of its heads or states in one picture."""
    made: Figures = {}
    for place, term in enumerate(maps(summary.get("terms"))):
        held = curves_of(term)
        unit = text_of(held[0].get("unit"), "days") if held else ""
        drawn = [
            (points, finite(curve.get("half_life")), text_of(curve.get("name"), ""))
            for curve in held
            if text_of(curve.get("unit"), "days") == unit and len(points := _points(curve)) > 1
        ]
        if not drawn:
            continue
        figure, (ax,) = plots.canvas(2.7)
        colour = plots.SERIES[place % len(plots.SERIES)]
        for points, _, _ in drawn:
            ax.plot([a for a, _ in points], [r for _, r in points], color=colour, linewidth=2.2)
        worded = plots.age_axis(ax, [a for a, _ in drawn[0][0]], unit)
        for points, _, name in drawn:
            plots.told_curve(figure, ax, points, unit, name)
        ax.set_ylim(0, max(1.04, *(1.04 * r for points, _, _ in drawn for _, r in points)))
        if len(drawn) == 1 and drawn[0][1] is not None:
            _mark_half_life(ax, drawn[0][1], drawn[0][0][0][1] / 2, unit, colour)
        plots.label(ax, _age(unit, worded), "retention")
        made[slug("curve", place, term.get("name", "term"))] = figure
    return made


def _points(curve: Mapping[str, Any]) -> list[tuple[float, float]]:
    return [(a, r) for a, r in rows_of(curve.get("curve"), 2) if a is not None and r is not None]


def _mark_half_life(ax: Axes, half: float, left: float, unit: str, colour: str) -> None:
    """Where half of what a new event has is `left`."""
    low, high = ax.get_xlim()
    if not low <= half <= high:
        return
    ax.plot([half, half], [0, left], color=plots.MUTED, linewidth=1.1, linestyle=(0, (3, 2)))
    ax.plot([low, half], [left, left], color=plots.MUTED, linewidth=1.1, linestyle=(0, (3, 2)))
    ax.plot([half], [left], "o", color=colour, markersize=7)
    ax.annotate(
        f"half-life {words.duration(half, unit)}",
        (half, left),
        (8, 7),
        textcoords="offset points",
        fontsize=plots.LETTERS,
        color=plots.INK,
        annotation_clip=False,
    )


def _age(unit: str, worded: bool) -> str:
    return "age in later moments of the user" if unit == "moments" else "age" if worded else "age in days"


def families(summary: Mapping[str, Any]) -> Figures:
    """Each family's paired difference to the best one."""
    rows = [
        plots.Dot(
            text_of(f.get("family")),
            difference,
            finite(f.get("low")),
            finite(f.get("high")),
            plots.mark_of(f),
        )
        for f in maps(dig(summary, "search", "families"))
        if (difference := finite(f.get("difference"))) is not None
    ]
    return (
        {"families": plots.dots(rows, f"{_metric(summary)}, difference to the best", zero=True)}
        if rows
        else {}
    )


def training(summary: Mapping[str, Any]) -> Figures:
    """Loss, and the validation metric under it, by epoch."""
    made: Figures = {}
    for place, fit in enumerate(maps(summary.get("training"))):
        series = [
            ("loss", plots.BLUE, fit.get("loss")),
            ("validation", plots.GREEN, fit.get("validation")),
        ]
        drawn = [
            (name, colour, points)
            for name, colour, raw in series
            if (
                points := [(n, v) for n, value in enumerate(raw or [], 1) if (v := finite(value)) is not None]
            )
        ]
        if not drawn:
            continue
        figure, axes = plots.canvas(1.3 + 1.35 * len(drawn), len(drawn))
        best = finite(fit.get("best_epoch"))
        for ax, (name, colour, points) in zip(axes, drawn, strict=True):
            ax.plot(*zip(*points, strict=True), "-o", color=colour, markersize=3.5, linewidth=1.6)
            ax.yaxis.set_major_locator(MaxNLocator(4))
            for epoch, value in points:
                figure.tell(ax, epoch, value, f"epoch {epoch}: {name} {words.number(value)}")
            if best is not None:
                ax.axvline(best, color=plots.MUTED, linewidth=1.1, linestyle=(0, (3, 2)))
            plots.label(ax, y=name)
        axes[-1].xaxis.set_major_locator(MaxNLocator(6, integer=True))
        plots.label(
            axes[-1], "epoch" if best is None else f"epoch (dashed: epoch {best:.0f}, kept)", drawn[-1][0]
        )
        made[slug("training", place, fit.get("term", "term"), fit.get("stage", "fit"))] = figure
    return made


def evaluation(summary: Mapping[str, Any]) -> Figures:
    """The metric of every model, and the paired differences to each."""
    made: Figures = {}
    metric = metric_of(summary)
    models = [
        plots.Dot(
            name,
            mean,
            finite(dig(cell, "low")),
            finite(dig(cell, "high")),
            "good" if name == "candidate" else "other",
        )
        for name, cells in items_of(summary.get("models"))
        if (mean := finite(dig(cell := dig(cells, metric), "mean"))) is not None
    ]
    if models:
        made["models"] = plots.dots(models, _metric(summary))
    rows = [
        plots.Dot(
            f"against {c.get('against')}",
            gain,
            finite(dig(cell, "low")),
            finite(dig(cell, "high")),
            plots.mark_of(cell),
        )
        for c in maps(summary.get("comparisons"))
        if (gain := finite(dig(cell := c.get(metric), "difference"))) is not None
    ]
    if rows:
        made["comparisons"] = plots.dots(rows, f"{_metric(summary)}, candidate minus the other", zero=True)
    return made


def segments(summary: Mapping[str, Any]) -> Figures:
    """The metric by recency, by length of history, by novelty."""
    made: Figures = {}
    for kind, buckets in items_of(dig(summary, "evaluation", "segments")):
        rows = [
            plots.Dot(words.bucket(name), mean, finite(dig(cell, "low")), finite(dig(cell, "high")))
            for name, part in items_of(buckets)
            if (mean := finite(dig(cell := dig(part, "metrics", metric_of(summary)), "mean"))) is not None
        ]
        if len(rows) > 1:
            made[slug("segment", kind)] = plots.dots(rows, _metric(summary))
    return made


def ab(summary: Mapping[str, Any]) -> Figures:
    """The lift of B over A: as it is, with CUPED, and with the interval that holds every day."""
    held = {
        f"B {words.MINUS} A": dig(summary, "ab", "absolute"),
        "with CUPED": dig(summary, "ab", "cuped", "absolute"),
        "always-valid": dig(summary, "ab", "always", "absolute"),
    }
    rows = [
        plots.Dot(name, value, low, high, plots.mark_of({"low": low, "high": high}))
        for name, lift in held.items()
        if (value := finite(dig(lift, "value"))) is not None
        for low, high in [(finite(dig(lift, "low")), finite(dig(lift, "high")))]
    ]
    return {"ab": plots.dots(rows, "lift in the mean outcome per user", zero=True)} if rows else {}


def _metric(summary: Mapping[str, Any]) -> str:
    return words.metric(metric_of(summary))
