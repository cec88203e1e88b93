"""The picture of a search: its trials in order, what mattered, each parameter's effect, all trials at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from harness.report import plots, words
from harness.report.drawing import Drawing
from harness.report.parts import dig, items_of, maps, metric_of, text_of
from harness.report.words import finite

EFFECTS, AXES = 12, 7  # parameters that are shown, the most important first
WIDE = 2 * plots.WIDTH
LISTED = 5  # a number that takes no more values than these is a choice from a list
STEPS = 4  # groups of trials, of about one size, along a parameter
APART = 20.0  # a parameter whose largest value is so many times its least has a logarithmic axis


@dataclass(frozen=True)
class Trial:
    """A finished trial of the search itself, not of its control."""

    name: str
    value: float
    family: str
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Scale:
    """A parameter over the trials that have it.

    Attributes:
        values: by the trial's place in the list; a category is its number.
        names: of the categories, none where the values are numbers.
        log: whether it spans so much that a logarithm shows it best.
    """

    name: str
    values: dict[int, float]
    names: Sequence[str] = ()

    @property
    def log(self) -> bool:
        return not self.names and min(self.values.values()) > 0 and self._widest > APART

    @property
    def _widest(self) -> float:
        return max(self.values.values()) / min(self.values.values())

    def share(self, at: float) -> float:
        """How far along the axis a value is, from 0 to 1."""
        low, high = min(self.values.values()), max(self.values.values())
        if high == low:
            return 0.5
        if self.log:
            return math.log(at / low) / math.log(high / low)
        return (at - low) / (high - low)

    @property
    def ends(self) -> tuple[str, str]:
        """What its least and its largest value are called."""
        low, high = min(self.values.values()), max(self.values.values())
        if self.names:
            return self.names[round(low)], self.names[round(high)]
        return words.compact(low), words.compact(high)


def finished(summary: Mapping[str, Any]) -> list[Trial]:
    """The trials that have a value and say what they tried."""
    return [
        Trial(text_of(t.get("trial")), value, text_of(t.get("family"), ""), t["params"])
        for t in maps(dig(summary, "search", "history"))
        if not t.get("control") and (value := finite(t.get("value"))) is not None and dig(t, "params")
    ]


def scales(trials: Sequence[Trial], importance: Mapping[str, Any]) -> list[Scale]:
    """The parameters that some trials differ in, the most important first."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    names.sort(key=lambda name: -(finite(importance.get(name)) or 0.0))
    found = [_scale(name, trials) for name in names]
    return [scale for scale in found if len(set(scale.values.values())) > 1]


def _scale(name: str, trials: Sequence[Trial]) -> Scale:
    held = {n: trial.params[name] for n, trial in enumerate(trials) if name in trial.params}
    numbers = {n: finite(value) for n, value in held.items()}
    if all(value is not None for value in numbers.values()) and len(set(numbers.values())) > LISTED:
        return Scale(name, {n: value for n, value in numbers.items() if value is not None})
    names = [words.compact(value) for value in sorted(set(held.values()), key=_in_order)]
    return Scale(name, {n: float(names.index(words.compact(v))) for n, v in held.items()}, names)


def _in_order(value: Any) -> tuple[float, str]:
    """Numbers by size, words by letters."""
    known = finite(value)
    return (-math.inf, str(value)) if known is None else (known, "")


def figures(summary: Mapping[str, Any]) -> dict[str, Drawing]:
    """Value by trial, importance, how far the best is ahead, effects, parallel coordinates."""
    made: dict[str, Drawing] = {}
    metric = words.metric(metric_of(summary))
    held = maps(dig(summary, "search", "history"))
    trials = [(n, t, finite(t.get("value"))) for n, t in enumerate(held, 1)]
    if any(value is not None for _, _, value in trials):
        made["search_history"] = _history(trials, metric)
    importance = dict(items_of(dig(summary, "search", "importance")))
    shares = [(name, value) for name, raw in importance.items() if (value := finite(raw)) is not None]
    if shares:
        shares = sorted(shares, key=lambda pair: -pair[1])[:EFFECTS]
        made["search_importance"] = plots.bars(
            [k for k, _ in shares], [max(0, v) for _, v in shares], "importance"
        )
    # Settings that changed on the way have no value of their own: `schedule` draws them.
    done = [] if dig(summary, "search", "schedule") else finished(summary)
    if along := scales(done, importance):
        made["search_effects"] = _effects(done, along[:EFFECTS], metric)
        made["search_parallel"] = _parallel(done, along[:AXES], metric)
    return made | _sure(summary, metric)


def _sure(summary: Mapping[str, Any], metric: str) -> dict[str, Drawing]:
    rows = [
        plots.Dot(
            f"best {words.MINUS} {name.replace('_', ' ')}",
            difference,
            finite(dig(c, "low")),
            finite(dig(c, "high")),
            plots.mark_of(c),
        )
        for name, c in items_of(dig(summary, "search", "sure"))
        if (difference := finite(dig(c, "difference"))) is not None
    ]
    return {"search_sure": plots.dots(rows, f"{metric} on validation", zero=True)} if rows else {}


def _history(trials: list[tuple[int, Mapping[str, Any], float | None]], metric: str) -> Drawing:
    figure, (ax,) = plots.canvas(2.9)
    best: list[tuple[int, float]] = []
    for control, shape, colour, name in (
        (False, "o", plots.BLUE, "trial"),
        (True, "^", plots.ORANGE, "control"),
    ):
        points = [(n, t, v) for n, t, v in trials if bool(t.get("control")) == control and v is not None]
        if points:
            ax.plot(
                [n for n, _, _ in points],
                [v for _, _, v in points],
                shape,
                color=colour,
                markersize=5,
                alpha=0.85,
                label=name,
            )
        for n, t, v in points:
            kind = "control" if control else text_of(t.get("family"), "trial")
            figure.tell(ax, n, v, f"{text_of(t.get('trial'))}, {kind}: {metric} {words.number(v)}")
            if not control:
                best.append((n, max(v, best[-1][1]) if best else v))
    if best:
        ax.step(*zip(*best, strict=True), where="post", color=plots.INK, linewidth=1.3, label="best so far")
    early = [(n, t, at) for n, t, _ in trials if (at := finite(dig(t, "stopped", "value"))) is not None]
    if early:
        ax.plot(
            [n for n, _, _ in early],
            [at for _, _, at in early],
            "o",
            color=plots.BLUE,
            fillstyle="none",
            label="stopped early",
        )
    for n, t, at in early:
        figure.tell(ax, n, at, f"{text_of(t.get('trial'))}, stopped early: {metric} {words.number(at)}")
    if lost := [n for n, t, v in trials if v is None and not t.get("stopped")]:
        floor = min(v for _, _, v in trials if v is not None)
        ax.plot(lost, [floor] * len(lost), "x", color=plots.VERMILLION, markersize=6, label="failed")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    plots.label(ax, "trial, in order", metric)
    plots.legend(figure, ax, 5)
    return figure


def _effects(trials: Sequence[Trial], along: Sequence[Scale], metric: str) -> Drawing:
    """A panel for each parameter: the trials, and the median of those that lie together."""
    rows = math.ceil(len(along) / 3)
    figure = Drawing(figsize=(WIDE, 0.5 + 1.75 * rows), layout="constrained", facecolor="white")
    panels = figure.subplots(rows, 3, squeeze=False, sharey=True).flat
    best = max(trial.value for trial in trials)
    for scale, ax in zip(along, panels, strict=False):
        plots.styled(ax)
        values = [trials[n].value for n in scale.values]
        ax.plot(list(scale.values.values()), values, "o", color=plots.BLUE, markersize=4, alpha=0.6)
        for n, at in scale.values.items():
            trial = trials[n]
            if trial.value == best:
                ax.plot([at], [best], "D", color=plots.VERMILLION, markersize=6)
            value = scale.names[round(at)] if scale.names else words.compact(at)
            said = f"{scale.name} {value}: {metric} {words.number(trial.value)} ({trial.name})"
            figure.tell(ax, at, trial.value, said)
        places, middles = medians(trials, scale)
        ax.plot(places, middles, "_" if scale.names else "-", color=plots.INK, linewidth=1.5, markersize=16)
        _axis(ax, scale)
        plots.label(ax, scale.name)
    for ax in panels:
        ax.set_visible(False)
    figure.supylabel(metric, fontsize=plots.LETTERS, color=plots.INK)
    return figure


def medians(trials: Sequence[Trial], scale: Scale) -> tuple[list[float], list[float]]:
    """The places and the median values of the trials of each category, or of each fourth of the trials along a number.

    >>> trials = [Trial(str(n), float(value), "", {}) for n, value in enumerate([1, 3, 5, 7, 2, 4, 6, 8])]
    >>> medians(trials, Scale("x", {n: float(n) for n in range(8)}))
    ([0.5, 2.5, 4.5, 6.5], [2.0, 6.0, 3.0, 7.0])
    """
    if scale.names:
        groups = [
            [n for n, at in scale.values.items() if at == place]
            for place in sorted(set(scale.values.values()))
        ]
    else:
        order = sorted(scale.values, key=lambda n: scale.values[n])
        groups = [list(map(int, part)) for part in np.array_split(order, min(STEPS, len(order)))]
    places = [float(np.median([scale.values[n] for n in group])) for group in groups]
    return places, [float(np.median([trials[n].value for n in group])) for group in groups]


def _axis(ax: Axes, scale: Scale) -> None:
    if scale.names:
        ax.set_xticks(range(len(scale.names)), [plots.plain(name, 11) for name in scale.names])
        ax.set_xlim(-0.6, len(scale.names) - 0.4)
        if len(scale.names) > 3:
            ax.tick_params(axis="x", rotation=25)
        return
    if scale.log:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(numticks=4))
        ax.xaxis.set_minor_formatter(NullFormatter())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda at, _: words.compact(float(at))))


def _parallel(trials: Sequence[Trial], along: Sequence[Scale], metric: str) -> Drawing:
    """A line for each trial through its values, the better the darker; a parameter that it lacks breaks it."""
    figure = Drawing(figsize=(WIDE, 3.6), layout="constrained", facecolor="white")
    ax = figure.subplots()
    values = Scale(metric, {n: trial.value for n, trial in enumerate(trials)})
    columns = [*along, values]
    order = sorted(range(len(trials)), key=lambda n: trials[n].value)
    for rank, n in enumerate(order, 1):
        heights = [scale.share(scale.values[n]) if n in scale.values else math.nan for scale in columns]
        shade, first = rank / len(order), n == order[-1]
        (line,) = ax.plot(
            range(len(columns)),
            heights,
            "-o",
            color=plots.VERMILLION if first else colormaps["cividis_r"](0.1 + 0.9 * shade),
            linewidth=2.6 if first else 0.6 + 1.2 * shade,
            markersize=4 if first else 2.5,
            alpha=1 if first else 0.25 + 0.6 * shade,
        )
        line.set_gid(f"trial-{n}")
        settings = words.settings({s.name: trials[n].params[s.name] for s in along if n in s.values})
        said = f"{trials[n].name}: {metric} {words.number(trials[n].value)}; {settings}"
        figure.tell(ax, len(columns) - 1, heights[-1], said, f"trial-{n}")
    _columns(ax, columns)
    return figure


def _columns(ax: Axes, columns: Sequence[Scale]) -> None:
    """An upright axis for each column, its ends named."""
    for place, scale in enumerate(columns):
        ax.axvline(place, color=plots.MUTED, linewidth=1, zorder=0)
        low, high = scale.ends
        for text, height, side in ((low, -0.03, "top"), (high, 1.03, "bottom")):
            ax.text(
                place,
                height,
                plots.plain(text, 14),
                ha="center",
                va=side,
                fontsize=plots.LETTERS,
                color=plots.INK,
            )
    names = [plots.plain(scale.name.replace(".", "\n", 1).replace("\n", " "), 40) for scale in columns]
    ax.set_xticks(range(len(columns)), [name.replace(" ", "\n", 1) for name in names])
    ax.tick_params(axis="x", length=0, pad=14, labelsize=plots.LETTERS, labelcolor=plots.INK)
    ax.set_ylim(-0.12, 1.12)
    ax.set_xlim(-0.45, len(columns) - 0.55)
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.set_facecolor("none")
