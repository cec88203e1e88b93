"""The section on how interest fades: the curve that the log itself speaks for, families side by side, half-lives."""

from __future__ import annotations

from collections.abc import Mapping

from harness.report import plots, words
from harness.report.blocks import Block, Gallery, Section, Shot, Table, Text
from harness.report.drawing import Drawing
from harness.report.parts import Summary, clocks_of, dig, half_life_in, items_of, maps, rows_of, text_of
from harness.report.words import finite

SCOPES = {
    "category": ("Half-lives by category", "Category"),
    "event_type": ("Half-lives by event type", "Event type"),
    "history": ("Half-lives by how much a user has done", "Users with"),
}


def section(summary: Summary) -> Section:
    """What the log says of forgetting, whatever is recommended."""
    held, title = summary.get("fading"), "How interest fades"
    if not isinstance(held, dict) or not held:
        return Section("fading", title, [Text("This run did not measure how interest fades.", "note")])
    blocks: list[Block] = []
    if sentence := held.get("sentence"):
        blocks.append(Text(str(sentence), "plain" if held.get("pays") is not False else "warn"))
    if held.get("choices"):
        blocks.append(Text(_method(held), "note"))
    blocks.append(Gallery([*_shots(held)]))
    if terms := [_term(term) for term in maps(held.get("terms"))]:
        head = ["Term", "Family", "Clock", "Half-life in the log", "Interval"]
        blocks.append(Table("The families of the model's terms, fitted to the log", head, terms))
    if families := maps(held.get("families")):
        blocks.append(_families(families, text_of(held.get("chosen"), "")))
    for scope, rows in _groups(held):
        caption, column = SCOPES.get(scope, (f"Half-lives by {scope}", scope.capitalize()))
        head = [column, "Events", "Half-life", "Interval"]
        blocks.append(Table(caption, head, [_group(row) for row in rows], (1,)))
    return Section("fading", title, blocks)


def _method(held: Summary) -> str:
    counts = held.get("choices")
    fitted, judged = words.count(dig(counts, "fitted")), words.count(dig(counts, "judged"))
    return (
        f"Curves are fitted by likelihood to {fitted} choices of the training period, each explained by popularity, by "
        f"what the user had and by what goes with it, and judged on {judged} choices of the validation period; test "
        "is not read. The simplest curve that cannot be told from the best is chosen. A group with few events stays "
        "near the common curve."
    )


def _shots(held: Summary) -> list[Shot]:
    half = held.get("half_life")
    told = f", half gone after {span(half)}" if isinstance(half, dict) else ""
    shots = [
        Shot(
            "fading_curve",
            f"What is left of an interest by age along the {text_of(held.get('chosen'))} curve{told}.",
            f"{text_of(held.get('chosen'))}{told}; the band is the interval of the half-life",
        ),
        Shot(
            "fading_families",
            "Held-out log-likelihood of each family, difference to the best, with intervals.",
            "Families on held-out choices, nats an event behind the best: a hollow dot cannot be told from it",
        ),
    ]
    for scope, rows in _groups(held):
        caption = SCOPES.get(scope, (f"Half-lives by {scope}", ""))[0]
        names = words.listed(text_of(row.get("name")) for row in rows)
        shots.append(Shot(f"fading_{scope}", f"{caption}, with intervals: {names}.", caption))
    return shots


def _groups(held: Summary) -> list[tuple[str, list[Summary]]]:
    return [
        (scope, found)
        for scope, rows in items_of(held.get("groups"))
        if scope in SCOPES and (found := maps(rows))
    ]


def span(cell: object) -> str:
    """The half-life of ``{"value", "low", "high", "unit"}`` with its interval: ``31 days [24, 40]``; of a curve on both
    clocks that in later moments (``"moments"``) too."""
    unit = text_of(dig(cell, "unit"), "days")
    first = words.duration_interval(dig(cell, "value"), dig(cell, "low"), dig(cell, "high"), unit)
    second = dig(cell, "moments")
    return f"{first} or {span(second)}" if isinstance(second, Mapping) else first


def _interval(cell: Summary) -> str:
    told = [
        f"{words.duration(low, unit)} to {words.duration(high, unit)}"
        for each, unit in clocks_of(cell)
        if (low := finite(each.get("low"))) is not None and (high := finite(each.get("high"))) is not None
    ]
    return ", ".join(told) or words.NOTHING


def _term(row: Summary) -> list[str]:
    about = [text_of(row.get("name")), text_of(row.get("family")), text_of(row.get("clock"))]
    return [*about, half_life_in(row), _interval(row)]


def _families(families: list[Summary], chosen: str) -> Table:
    rows = []
    for row in families:
        best, apart = row is families[0], row.get("told_apart") is True
        reading = "the best" if best else "worse" if apart else "cannot be told from the best"
        name = text_of(row.get("name"))
        rows.append(
            [
                name,
                text_of(row.get("clock")),
                words.settings(row.get("params")),
                half_life_in(row),
                _interval(row),
                words.number(row.get("value")),
                words.NOTHING if best else words.of(row.get("behind")),
                words.of(row.get("gain"), sign=True),
                f"{reading}, chosen" if name == chosen else reading,
            ]
        )
    head = [
        "Curve", "Clock", "Parameters", "Half-life", "Interval", "Nats an event", "Behind the best", "Over none",
        "Reading",
    ]  # fmt: skip
    return Table("Families by held-out log-likelihood", head, rows, (5, 6, 7))


def _group(row: Summary) -> list[str]:
    half = words.duration(row.get("value"), text_of(row.get("unit"), "days"))
    return [text_of(row.get("name")), words.count(row.get("events")), half, _interval(row)]


def figures(summary: Summary) -> dict[str, Drawing]:
    """The chosen curve, the families, the half-lives of each scope."""
    held = summary.get("fading")
    made: dict[str, Drawing] = {}
    if (curve := _curve(held)) is not None:
        made["fading_curve"] = curve
    families = [
        plots.Dot(
            text_of(row.get("name")),
            gap,
            finite(dig(row, "behind", "low")),
            finite(dig(row, "behind", "high")),
            "bad" if row.get("told_apart") is True else "open",
        )
        for row in maps(dig(held, "families"))
        if (gap := finite(dig(row, "behind", "difference"))) is not None
    ]
    if families:
        made["fading_families"] = plots.dots(families, "nats an event behind the best", zero=True)
    for scope, rows in _groups(held if isinstance(held, dict) else {}):
        dots = [
            plots.Dot(text_of(row.get("name")), value, finite(row.get("low")), finite(row.get("high")))
            for row in rows
            if (value := finite(row.get("value"))) is not None and value > 0
        ]
        if dots:
            made[f"fading_{scope}"] = plots.half_lives(dots, text_of(rows[0].get("unit"), "days"))
    return made


def _curve(held: object) -> Drawing | None:
    points = [(age, r) for age, r in rows_of(dig(held, "curve"), 2) if age is not None and r is not None]
    if len(points) < 2:
        return None
    half = dig(held, "half_life")
    unit = text_of(dig(half, "unit"), "days")
    figure, (ax,) = plots.canvas(2.7)
    ax.plot([age for age, _ in points], [r for _, r in points], color=plots.BLUE, linewidth=2.2)
    worded = plots.age_axis(ax, [age for age, _ in points], unit)
    plots.told_curve(figure, ax, points, unit)
    ax.set_ylim(0, max(1.04, *(1.04 * r for _, r in points)))
    value, low, high = (finite(dig(half, end)) for end in ("value", "low", "high"))
    if low is not None and high is not None:
        ax.axvspan(low, high, color=plots.SKY, alpha=0.25, linewidth=0)
    if value is not None:
        ax.plot([value], [0.5], "o", color=plots.BLUE, markersize=7)
    what = "age in later moments of the user" if unit == "moments" else "age" if worded else "age in days"
    plots.label(ax, what, "what is left")
    return figure
