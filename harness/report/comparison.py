"""Any set of models on one page: figures, paired differences, segments, curves and settings side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.report import plots, words
from harness.report.blocks import Block, Filter, Gallery, Part, Section, Shot, Table, Text
from harness.report.drawing import Drawing
from harness.report.html import Page
from harness.report.pairs import every_pair
from harness.report.parts import curves_of, half_life_of, rows_of, slug, text_of
from harness.report.results import SEGMENTS

Result = Mapping[str, Any]
Line = tuple[list[tuple[float, float]], int, int]
"""Points (age, share left), the number of the model, the place of the term."""
MADE = "chosen."  # what search and validation made of a model, as `harness.registry.versions` calls it
DASHES: Sequence[Any] = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))


def page(result: Result, name: str) -> Page:
    """The page of what `harness.commands.comparing.Comparison.answer` returns."""
    return Page(
        "Lethe comparison",
        name,
        f"{name}: {words.listed(_names(result))} – Lethe",
        [
            _metrics(result),
            _differences(result),
            *_pairs(result),
            _segments(result),
            _curves(result),
            _settings(result),
        ],
        figures(result),
        meta=[
            words.counted(result["queries"], "test query", "test queries"),
            f"brackets are {words.intervals(result.get('intervals'))}",
        ],
    )


def _names(result: Result) -> list[str]:
    return [str(model["label"]) for model in result["models"]]


def _metrics(result: Result) -> Section:
    models, metric = result["models"], words.metric(result["metric"])
    rows = [
        [words.metric(name), *(words.of(model["metrics"].get(name)) for model in models)]
        for name in result["metrics"]
    ]
    blocks: list[Block] = [
        Text(
            f"All models answered the same {words.counted(result['queries'], 'test query', 'test queries')}."
        ),
        Gallery([Shot("models", f"{metric} of each model, with intervals.", f"{metric} with its interval")]),
        Table("Metrics, mean and interval", ["Metric", *_names(result)], rows, range(1, len(models) + 1)),
    ]
    if result["audit"]["leaks"]:
        blocks.append(Text(result["audit"]["verdict"], "warn"))
    return Section("metrics", "Side by side", blocks)


def _differences(result: Result) -> Section:
    first = _names(result)[0]
    rows = [
        [
            other,
            words.metric(name),
            words.of(cell, sign=True),
            words.chance(cell["p"]),
            words.chance(cell.get("holm")),
            words.chance(cell.get("benjamini_hochberg")),
            words.chance(cell["wilcoxon"]),
            words.number(cell["detectable"]),
            words.judged(cell),
        ]
        for other, entry in zip(_names(result)[1:], result["comparisons"], strict=True)
        for name, cell in entry.items()
        if name != "against"
    ]
    head = [
        "Against",
        "Metric",
        "Difference",
        "p",
        "p (Holm)",
        "p (B.–H.)",
        "p (Wilcoxon)",
        "Detectable",
        "Reading",
    ]
    metric = words.metric(result["metric"])
    shot = Shot(
        "differences",
        f"Paired difference of {first} to each other model in {metric}, with intervals.",
        f"{first} minus the other, on the same queries: a hollow dot cannot be told from zero",
    )
    note = (
        "p is of a randomisation test over users; Holm and B.–H. (Benjamini and Hochberg) answer for all models that "
        "are compared here. Detectable is the smallest difference that these queries can show."
    )
    title = f"{first} minus the others"
    table = Table(title, head, rows, (2, 7), sortable=len(rows) > 2)
    return Section("differences", title, [Gallery([shot]), table, Text(note, "note")])


def _pairs(result: Result) -> list[Section]:
    """Of three models or more; two are one difference, which is told already."""
    if len(result["pairs"]) < 2:
        return []
    metric = result["metric"]
    means = [model["metrics"].get(metric, {}).get("mean") for model in result["models"]]
    return [every_pair(_names(result), means, result["pairs"], words.metric(metric))]


def _segments(result: Result) -> Section:
    models = result["models"]
    kinds = [kind for kind, parts in models[0]["segments"].items() if len(parts) > 1]
    if not kinds:
        return Section("segments", "Segments", [Text("No segment was evaluated apart.", "note")])
    parts = []
    for kind in kinds:
        title, column = SEGMENTS.get(kind, (f"By {kind}", kind.capitalize()))
        rows = [
            [
                words.bucket(bucket),
                words.count(held["queries"]),
                *(words.of(_cell(m, kind, bucket, result)) for m in models),
            ]
            for bucket, held in models[0]["segments"][kind].items()
        ]
        head = [column, "Queries", *_names(result)]
        shot = Shot(slug("segment", kind), f"{words.metric(result['metric'])} of each model, {title}.", title)
        table = Table(title, head, rows, range(1, len(head)), sortable=len(rows) > 2)
        parts.append(Part(title, [Gallery([shot]), table]))
    return Section("segments", "Segments", [Filter("Show", parts, "all segments")])


def _cell(model: Result, kind: str, bucket: str, result: Result) -> Any:
    return model["segments"].get(kind, {}).get(bucket, {}).get("metrics", {}).get(result["metric"])


def _curves(result: Result) -> Section:
    rows = [
        [
            model["label"],
            text_of(term["name"]),
            words.compact(term["weight"]),
            text_of((term["forgetting"] or {}).get("family"), "none"),
            words.settings((term["forgetting"] or {}).get("params")),
            half_life_of(term),
        ]
        for model in result["models"]
        for term in model["terms"]
    ]
    head = ["Model", "Term", "Weight", "Family", "Parameters", "Half-life"]
    shots = [
        Shot(
            slug("curves", unit),
            f"Retention by age in {unit} of {words.listed(_lines(result)[unit])}.",
            f"By age in {unit}",
        )
        for unit in _lines(result)
    ]
    return Section(
        "curves", "What they forget", [Gallery(shots), Table("The terms of each model", head, rows, (2,))]
    )


def _settings(result: Result) -> Section:
    rows = [[name, *map(words.compact, held)] for name, held in result["differing"].items()]
    if not rows:
        return Section("settings", "Settings", [Text("No setting differs.")])
    head = ["Setting", *_names(result)]
    made = [[row[0].removeprefix(MADE), *row[1:]] for row in rows if row[0].startswith(MADE)]
    asked = [row for row in rows if not row[0].startswith(MADE)]
    blocks: list[Block] = []
    if made:
        blocks.append(Table("In what the models differ", head, made))
    if asked:
        blocks.append(Table("In what their configurations differ", head, asked, folded=True))
    return Section("settings", "Settings", blocks)


def figures(result: Result) -> dict[str, Drawing]:
    """Models, differences, each kind of segments, the curves of each term."""
    metric = words.metric(result["metric"])
    made = {}
    if models := [
        _dot(m["label"], m["metrics"].get(result["metric"]), n) for n, m in enumerate(result["models"])
    ]:
        made["models"] = plots.dots([dot for dot in models if dot], metric)
    others = zip(_names(result)[1:], result["comparisons"], strict=True)
    cells = [(name, entry.get(result["metric"])) for name, entry in others]
    gaps = [
        plots.Dot(f"against {name}", cell["difference"], cell["low"], cell["high"], plots.mark_of(cell))
        for name, cell in cells
        if cell
    ]
    if gaps:
        made["differences"] = plots.dots(gaps, f"{metric}, {_names(result)[0]} minus the other", zero=True)
    for kind, parts in result["models"][0]["segments"].items():
        if len(parts) > 1:
            made[slug("segment", kind)] = _grouped(result, kind, list(parts), metric)
    return made | {slug("curves", unit): _overlay(unit, lines) for unit, lines in _lines(result).items()}


def _dot(name: str, cell: Any, number: int) -> plots.Dot | None:
    if not cell or cell["mean"] is None:
        return None
    return plots.Dot(name, cell["mean"], cell["low"], cell["high"], "other" if number else "good")


def _grouped(result: Result, kind: str, buckets: Sequence[str], metric: str) -> Drawing:
    """For each bucket the models under one another, each with its colour and its shape."""
    models = result["models"]
    figure, (ax,) = plots.canvas(1.0 + 0.3 * len(buckets) + 0.16 * len(buckets) * len(models))
    ax.grid(visible=False)
    ax.grid(axis="x", color=plots.RULE, linewidth=0.8)
    for number, model in enumerate(models):
        colour, shape = plots.SERIES[number % len(plots.SERIES)], "oDs^vP"[number % 6]
        for place, bucket in enumerate(reversed(buckets)):
            cell = _cell(model, kind, bucket, result)
            if not cell or cell["mean"] is None:
                continue
            y = place + 0.36 - 0.72 * (number + 0.5) / len(models)
            ax.hlines(y, cell["low"], cell["high"], color=colour, linewidth=1.8)
            named = model["label"] if not place else None
            ax.plot([cell["mean"]], [y], shape, color=colour, markersize=5, label=named)
            figure.tell(ax, cell["mean"], y, f"{words.bucket(bucket)}, {model['label']}: {words.of(cell)}")
    ax.set_yticks(range(len(buckets)), [plots.plain(words.bucket(bucket)) for bucket in reversed(buckets)])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(-0.55, len(buckets) - 0.45)
    plots.label(ax, metric)
    plots.legend(figure, ax)
    return figure


def _lines(result: Result) -> dict[str, dict[str, Line]]:
    """By unit and name the curves of all models and terms, heads and states aside."""
    found: dict[str, dict[str, Line]] = {}
    for number, model in enumerate(result["models"]):
        for place, term in enumerate(model["terms"]):
            for curve in curves_of(term)[:1]:
                points = [
                    (a, r) for a, r in rows_of(curve.get("curve"), 2) if a is not None and r is not None
                ]
                if len(points) > 1:
                    unit = text_of(curve.get("unit"), "days")
                    found.setdefault(unit, {})[f"{model['label']}, {term['name']}"] = (points, number, place)
    return found


def _overlay(unit: str, lines: Mapping[str, Line]) -> Drawing:
    """A colour for each model, a dash for each of its terms."""
    figure, (ax,) = plots.canvas(3.0 + 0.16 * len(lines))
    for name, (points, number, place) in lines.items():
        ax.plot(
            [age for age, _ in points],
            [share for _, share in points],
            color=plots.SERIES[number % len(plots.SERIES)],
            linestyle=DASHES[place % len(DASHES)],
            linewidth=2,
            label=name,
        )
        plots.told_curve(figure, ax, points, unit, name)
    ages = [age for points, _, _ in lines.values() for age, _ in points]
    worded = plots.age_axis(ax, ages, unit)
    ax.set_ylim(0, max(1.04, ax.get_ylim()[1]))
    plots.label(ax, "age" if worded and unit == "days" else f"age in {unit}", "retention")
    plots.legend(figure, ax, 2)
    return figure
