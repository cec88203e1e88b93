"""The few shapes that every figure of the report is made of, in one style, without global settings.

A figure is narrow (5.2 inches) so that its text can be read on a phone; a laptop shows two side by side.
Colours are those of Okabe and Ito, and no meaning is carried by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from harness.report.drawing import Drawing
from harness.report.words import MINUS, duration, duration_interval, interval, judged, number, share

BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#56b4e9",
    "#cc79a7",
)
INK, MUTED, RULE = "#22292f", "#66717b", "#dfe3e6"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
WIDTH, HEIGHT, LETTERS = 5.2, 2.9, 9.5
SPOTS = 14  # of a curve that can be asked for its value
TICKS = {
    "days": (
        (1 / 1440, "1 min"),
        (1 / 24, "1 h"),
        (0.25, "6 h"),
        (1, "1 d"),
        (7, "1 wk"),
        (30, "30 d"),
        (90, "90 d"),
        (365, "1 y"),
        (1095, "3 y"),
        (3650, "10 y"),
    ),
    "moments": tuple((n, f"{n:,}") for n in (1, 3, 10, 30, 100, 300, 1000, 3000)),
}


@dataclass(frozen=True)
class Dot:
    """One row of a dot-and-interval figure; `mark` is one of `good`, `bad`, `open`, `other`."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    mark: str = "good"
    told: str = ""
    """What it says of itself in words, where that is not the value with its interval."""

    def said(self, sign: bool) -> str:
        return f"{self.label}: {interval(self.value, self.low, self.high, sign=sign)}"


_MARKS = {
    "good": ("o", BLUE, BLUE),
    "bad": ("s", VERMILLION, VERMILLION),
    "open": ("o", "white", MUTED),
    "other": ("D", ORANGE, ORANGE),
}


def mark_of(cell: object) -> str:
    """The mark of a difference ``{"low", "high"}``: good, bad, or open where it cannot be told from zero."""
    return {"better": "good", "worse": "bad"}.get(judged(cell), "open")


def plain(text: object, width: int = 26) -> str:
    """Text that matplotlib shows as it is: no mathematics, no control characters, cut to the margin."""
    clean = "".join(c if c.isprintable() else " " for c in str(text))
    short = clean if len(clean) <= width else clean[: width - 1] + "…"
    return short.replace("$", r"\$")


def canvas(height: float = HEIGHT, rows: int = 1) -> tuple[Drawing, list[Axes]]:
    """A figure with `rows` styled axes, one above the other on a common x axis."""
    figure = Drawing(figsize=(WIDTH, height), layout="constrained", facecolor="white")
    axes = list(figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0])
    for ax in axes:
        styled(ax)
    return figure, axes


def styled(ax: Axes) -> None:
    """Axes in the report's colours, with quiet lines at the ticks."""
    ax.set_facecolor("none")
    ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=LETTERS, length=3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(MUTED)
    ax.grid(axis="y", color=RULE, linewidth=0.8)
    ax.set_axisbelow(True)


def label(ax: Axes, x: str = "", y: str = "") -> None:
    """Axis labels in the report's ink."""
    ax.set_xlabel(plain(x, 60), fontsize=LETTERS, color=INK)
    ax.set_ylabel(plain(y, 40), fontsize=LETTERS, color=INK)


def legend(figure: Drawing, ax: Axes, columns: int = 3) -> None:
    """A legend above the axes, where it covers nothing."""
    handles, names = ax.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles,
            names,
            loc="outside upper left",
            ncols=columns,
            frameon=False,
            fontsize=LETTERS,
            labelcolor=INK,
            handlelength=1.8,
            columnspacing=1.2,
            borderpad=0,
        )


def thousands(ax: Axes) -> None:
    """Counts on the y axis, with thousands apart."""
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.set_ylim(bottom=0)


def age_axis(ax: Axes, ages: Sequence[float], unit: str) -> bool:
    """A logarithmic axis in words, where the ages span more than a factor of 60; says whether it is one."""
    positive = [age for age in ages if age > 0]
    if not positive or max(positive) / min(positive) <= 60:
        ax.set_xlim(left=0)
        ax.xaxis.set_major_locator(MaxNLocator(5))
        return False
    low, high = min(positive), max(positive)
    ticks = [tick for tick in TICKS.get(unit, TICKS["moments"]) if low * 0.999 <= tick[0] <= high * 1.001]
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    if len(ticks) >= 2:
        ax.xaxis.set_major_locator(NullLocator())
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xticks([at for at, _ in ticks], [text for _, text in ticks])
    return len(ticks) >= 2


def dots(rows: Sequence[Dot], x: str, *, zero: bool = False) -> Drawing:
    """Values with intervals, one row each; `zero` draws the line that a difference must clear.

    Differences of very different sizes stand in two panels, each with a scale of its own.
    """
    groups = _by_size(rows) if zero else [list(rows)]
    figure = Drawing(
        figsize=(WIDTH, 0.3 + 0.45 * len(groups) + 0.31 * max(2, len(rows))),
        layout="constrained",
        facecolor="white",
    )
    heights = [max(len(group), 1.3) for group in groups]
    axes = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, group in zip(axes, groups, strict=True):
        _dots(ax, group, zero)
        for place, row in zip(range(len(group))[::-1], group, strict=True):
            figure.tell(ax, row.value, place, row.told or row.said(zero))
    label(axes[-1], x)
    return figure


def half_lives(rows: Sequence[Dot], unit: str) -> Drawing:
    """Ages with intervals, one row each, in words; on a logarithmic axis where they span much."""
    figure = dots([replace(row, told=_half_life(row, unit)) for row in rows], "")
    ax = figure.axes[0]
    ends = [end for row in rows for end in (row.value, row.low, row.high) if end]
    worded = age_axis(ax, [min(ends) / 1.2, max(ends) * 1.2], unit)
    label(ax, "half-life" if worded and unit == "days" else f"half-life in {unit}")
    for text, row in zip(ax.texts, rows, strict=True):
        text.set_text(duration(row.value, unit))
    return figure


def _half_life(row: Dot, unit: str) -> str:
    return f"{row.label}: {duration_interval(row.value, row.low, row.high, unit)}"


def told_curve(
    figure: Drawing, ax: Axes, points: Sequence[tuple[float, float]], unit: str, name: str = ""
) -> None:
    """Let a retention curve, pairs (age, share left), say what is left at some of its ages."""
    seen = [point for point in points if point[0] > 0]
    for age, left in seen[:: max(1, len(seen) // SPOTS)]:
        head = f"{name}: " if name else ""
        figure.tell(ax, age, left, f"{head}after {duration(age, unit)} {share(left)} is left")


def _by_size(rows: Sequence[Dot]) -> list[list[Dot]]:
    """The rows as one group, or the small and the large apart where the largest would flatten them."""
    reach = [max(abs(end) for end in (row.value, row.low or 0, row.high or 0)) for row in rows]
    small = [row for row, far in zip(rows, reach, strict=True) if far * 6 <= max(reach)]
    if not small or max(reach) == 0 or any(row.value == 0 for row in rows):
        return [list(rows)]
    return [small, [row for row in rows if row not in small]]


def _dots(ax: Axes, rows: Sequence[Dot], zero: bool) -> None:
    styled(ax)
    places = range(len(rows))[::-1]
    ax.grid(visible=False)
    ax.grid(axis="x", color=RULE, linewidth=0.8)
    if zero:
        ax.axvline(0, color=INK, linewidth=1)
    for place, row in zip(places, rows, strict=True):
        shape, face, edge = _MARKS[row.mark]
        if row.low is not None and row.high is not None:
            ax.hlines(place, row.low, row.high, color=edge, linewidth=2.2)
        ax.plot([row.value], [place], shape, markersize=7, mfc=face, mec=edge, mew=1.6)
        ax.text(
            1.02,
            place,
            number(row.value, sign=zero),
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize=LETTERS,
            color=INK,
        )
    ax.set_yticks(list(places), [plain(row.label) for row in rows])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.margins(x=0.06)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}".replace("-", MINUS)))


def bars(names: Sequence[str], values: Sequence[float], x: str) -> Drawing:
    """Horizontal bars with their share written at the end."""
    figure, (ax,) = canvas(0.7 + 0.3 * max(2, len(names)))
    places = list(range(len(names)))[::-1]
    ax.grid(visible=False)
    ax.barh(places, list(values), height=0.62, color=BLUE)
    for place, value in zip(places, values, strict=True):
        ax.annotate(
            f"{100 * value:.0f} %",
            (value, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=LETTERS,
            color=INK,
        )
        figure.tell(ax, value, place, f"{names[len(names) - 1 - place]}: {share(value)}")
    ax.set_yticks(places, [plain(name) for name in names])
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(0, 1.14 * max([*values, 1e-9]))
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    label(ax, x)
    return figure
