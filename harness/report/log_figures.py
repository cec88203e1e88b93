"""The figures of the event log: events over time, gaps between moments, events in a moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.ticker import FuncFormatter

from harness.report import plots, words
from harness.report.drawing import Drawing
from harness.report.parts import dig, items_of, text_of
from harness.report.words import finite


def data(summary: Mapping[str, Any]) -> dict[str, Drawing]:
    """Events over time; the gaps between a user's moments; events per moment."""
    made: dict[str, Drawing] = {}
    profile = dig(summary, "data", "profile")
    starts, events = dig(profile, "histogram", "start") or [], dig(profile, "histogram", "events") or []
    points = [(when, n) for start, n in zip(starts, events, strict=False) if (when := words.moment(start))]
    if points:
        figure, (ax,) = plots.canvas(2.6)
        days = [date2num(when) for when, _ in points]  # type: ignore[no-untyped-call]
        counts = [finite(n) or 0 for _, n in points]
        period = text_of(dig(profile, "histogram", "period"), "period")
        for day, events, (when, _) in zip(days, counts, points, strict=True):
            said = f"{period} from {words.day(when)}: {words.counted(events, 'event')}"
            figure.tell(ax, day, events, said)
        if len(days) > 1:  # the last period is as wide as the one before it
            days, counts = [*days, 2 * days[-1] - days[-2]], [*counts, counts[-1]]
        ax.fill_between(days, counts, step="post", color=plots.SKY, alpha=0.45, linewidth=0)
        ax.plot(days, counts, drawstyle="steps-post", color=plots.BLUE, linewidth=1.4)
        locator = AutoDateLocator(minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        ax.xaxis.get_offset_text().set(fontsize=plots.LETTERS, color=plots.MUTED)
        plots.thousands(ax)
        plots.label(ax, y=f"events per {period}")
        made["data_timeline"] = figure
    gaps = quantiles(dig(profile, "gap_days"))
    if len(gaps) >= 3:
        made["data_gaps"] = _gaps(gaps)
    ends = dig(profile, "baskets", "histogram", "from") or []
    sizes = list(zip(ends, dig(profile, "baskets", "histogram", "moments") or [], strict=False))
    if len(sizes) > 1:
        figure, (ax,) = plots.canvas(2.6)
        names = [_span(low, above) for (low, _), above in zip(sizes, [*ends[1:], None], strict=False)]
        heights = [finite(n) or 0 for _, n in sizes]
        ax.bar(names, heights, width=0.8, color=plots.BLUE)
        for place, (name, height) in enumerate(zip(names, heights, strict=True)):
            figure.tell(ax, place, height, f"{name} events: {words.counted(height, 'moment')}")
        plots.thousands(ax)
        plots.label(ax, "events in a moment", "moments")
        made["data_baskets"] = figure
    return made


def quantiles(value: object) -> list[tuple[float, float]]:
    """``{"p50": x, …}`` as pairs (0.5, x), ascending."""
    found = [(finite(x), key[1:]) for key, x in items_of(value) if key[:1] == "p" and key[1:].isdigit()]
    return sorted((int(at) / 100, x) for x, at in found if x is not None)


def _gaps(points: list[tuple[float, float]]) -> Drawing:
    figure, (ax,) = plots.canvas(2.6)
    ages = [max(x, 1 / 86_400) for _, x in points]
    ax.plot(ages, [q for q, _ in points], "-o", color=plots.BLUE, markersize=5, linewidth=1.8, clip_on=False)
    worded = plots.age_axis(ax, ages, "days")
    for age, (q, x) in zip(ages, points, strict=True):
        figure.tell(ax, age, q, f"{words.share(q)} return within {words.duration(x)}")
    middle = [x for q, x in points if q == 0.5]
    for x in middle:
        ax.annotate(
            f"half return within {words.duration(x)}",
            (max(x, 1 / 86_400), 0.5),
            (-8, 5),
            textcoords="offset points",
            ha="right",
            fontsize=plots.LETTERS,
            color=plots.INK,
        )
    ax.set_ylim(0, 1)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f} %"))
    plots.label(ax, f"{'time' if worded else 'days'} until the same user's next moment", "share returned")
    return figure


def _span(low: int, above: int | None) -> str:
    if above is None:
        return f"{low}+"
    return f"{low}" if above == low + 1 else f"{low}{words.NOTHING}{above - 1}"
