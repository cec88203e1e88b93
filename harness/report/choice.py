"""The sections on what was chosen: the forgetting curve of each term, and the search that found it."""

from __future__ import annotations

import math

from harness.report import habit, schedule, words
from harness.report.blocks import Block, Gallery, Section, Shot, Table, Text
from harness.report.parts import (
    Summary,
    curves_of,
    dig,
    half_life_in,
    half_life_of,
    items_of,
    maps,
    metric_of,
    slug,
    text_of,
)
from harness.report.words import finite


def curve(summary: Summary) -> Section:
    """The chosen curve of each term, and every family beside it."""
    terms, families = maps(summary.get("terms")), maps(dig(summary, "search", "families"))
    blocks: list[Block] = [Gallery([*_curves(terms), _compared(families)])]
    blocks.append(_terms(terms) if terms else Text("The model names no terms.", "note"))
    blocks += [_parts(term) for term in terms if len(curves_of(term)) > 1]
    blocks += [block for term in terms for block in habit.blocks(term)]
    none = Text("No families were compared in this run.", "note")
    of = dig(summary, "search", "families_of")
    blocks.append(
        _families(families, words.metric(metric_of(summary)), text_of(of, "")) if families else none
    )
    return Section("curve", "The curve", blocks)


def _curves(terms: list[Summary]) -> list[Shot]:
    shots = []
    for place, term in enumerate(terms):
        name, half = text_of(term.get("name")), half_life_of(term)
        known = half if half == "no half-life" else f"half-life {half}"
        said = f"{text_of(dig(term, 'forgetting', 'family'), 'none')}, {known}"
        alt = f"Retention of the term {name} by age: {said}."
        shots.append(Shot(slug("curve", place, term.get("name", "term")), alt, f"{name}: {said}"))
    return shots


def _compared(families: list[Summary]) -> Shot:
    best = text_of(families[0].get("family")) if families else ""
    return Shot(
        "families",
        f"Validation difference of each family to the best, {best}, with intervals.",
        "Every family against the best one on validation: a hollow dot cannot be told from it",
    )


def _terms(terms: list[Summary]) -> Table:
    rows = [
        [
            text_of(term.get("name")),
            text_of(term.get("kind")),
            words.compact(term.get("weight")),
            text_of(dig(term, "forgetting", "family"), "none"),
            text_of(dig(term, "forgetting", "clock")),
            words.settings(dig(term, "forgetting", "params")),
            half_life_of(term),
            words.settings(term.get("settings")),
        ]
        for term in terms
    ]
    head = ["Term", "Kind", "Weight", "Family", "Clock", "Parameters", "Half-life", "Settings"]
    return Table("The terms of the model", head, rows, (2,))


def _parts(term: Summary) -> Table:
    """The curves inside a network, one for each head or state."""
    rows = [
        [
            text_of(curve.get("name")),
            text_of(curve.get("clock")),
            words.settings(curve.get("params")),
            words.duration(curve.get("half_life"), text_of(curve.get("unit"), "days")),
        ]
        for curve in curves_of(term)
    ]
    return Table(
        f"The curves inside {text_of(term.get('name'))}", ["Where", "Clock", "Parameters", "Half-life"], rows
    )


def _families(families: list[Summary], metric: str, of: str) -> Table:
    head = ["Family", "Clock", "Half-life", "Trials", metric, "Difference to the best", "Reading"]
    rows = [_family(row) for row in families]
    title = "Families side by side, on validation"
    if of:
        title += f": the curve of {of}"
    return Table(title, head, rows, (3, 4, 5))


def _family(row: Summary) -> list[str]:
    best = finite(row.get("difference")) == 0 and not finite(row.get("low")) and not finite(row.get("high"))
    return [
        text_of(row.get("family")),
        text_of(row.get("clock")),
        half_life_in(row),
        words.count(row.get("trials")),
        words.number(row.get("value")),
        words.NOTHING if best else words.of(row, sign=True),
        "the best" if best else words.judged(row),
    ]


def search(summary: Summary) -> Section:
    """What was tried, what mattered, and how sure the choice is."""
    held, title = summary.get("search"), "The search"
    if not isinstance(held, dict) or not held:
        none = Text("No search ran: the configuration fixed every setting.", "note")
        return Section("search", title, [none])
    best, metric = held.get("best"), words.metric(metric_of(summary))
    blocks: list[Block] = []
    if best:
        value = f"{metric} {words.number(dig(best, 'value'))} on validation"
        tried = words.counted(held.get("trials"), "trial")
        blocks.append(Text(f"The best trial is {text_of(dig(best, 'trial'))}, with {value}, of {tried}."))
    chosen = [[name, words.compact(setting)] for name, setting in items_of(dig(best, "params"))]
    tables = [Table("What the search chose", ["Parameter", "Value"], chosen, (1,))] if chosen else []
    blocks.append(Gallery([*_shots(held, metric), *tables]))
    blocks += schedule.blocks(held, metric)
    if trials := _trials(held, metric):
        blocks.append(trials)
    if sure := [_sure(name, cell) for name, cell in items_of(held.get("sure")) if cell]:
        head = ["Comparison", "Trial", "Difference", "p", "Reading"]
        blocks.append(Table("How sure the choice is", head, sure))
    if finite(held.get("stopped")):
        by = "users answered" if dig(held, "scheduler", "by") == "users" else "epochs"
        said = f"{words.counted(held['stopped'], 'trial')} lagged behind and stopped early, by {by}; the best is whole."
        blocks.append(Text(said))
    if start := held.get("warm_start"):
        known = words.counted(dig(start, "known"), "trial")
        blocks.append(Text(f"{known} of {text_of(dig(start, 'from'))} were known from the start."))
    if finite(held.get("failed")):
        blocks.append(Text(f"{words.counted(held['failed'], 'trial')} failed.", "warn"))
    if failures := [[text_of(f.get("trial")), text_of(f.get("error"))] for f in maps(held.get("failures"))]:
        blocks.append(Table("Trials that failed", ["Trial", "Error"], failures))
    return Section("search", title, blocks)


def _trials(held: Summary, metric: str) -> Table | None:
    """Every trial with what it tried, the best first; those that failed say so."""
    trials = maps(held.get("history"))
    if not any(trial.get("params") for trial in trials):
        return None
    ranked = sorted(trials, key=lambda trial: -(finite(trial.get("value")) or -math.inf))
    rows = [
        [
            text_of(trial.get("trial")),
            "control" if trial.get("control") else "search",
            "failed" if finite(trial.get("value")) is None else words.number(trial.get("value")),
            words.settings(dict(items_of(trial.get("params")))),
        ]
        for trial in ranked
    ]
    head = ["Trial", "Of", metric, "What it tried"]
    return Table(f"All {words.counted(len(rows), 'trial')}, the best first", head, rows, (2,), True, True)


def _sure(name: str, cell: object) -> list[str]:
    return [
        "the best against none" if name == "none" else f"the best against the {name.replace('_', '-')}",
        text_of(dig(cell, "trial")),
        words.of(cell, sign=True),
        words.chance(dig(cell, "p")),
        words.judged(cell),
    ]


def _shots(held: Summary, metric: str) -> list[Shot]:
    shares = [f"{name} {words.share(value)}" for name, value in items_of(held.get("importance"))]
    caveat = text_of(held.get("importance_note"), "")
    return [
        Shot(
            "search_history",
            f"{metric} on validation of each trial in order, with the best so far.",
            "Every trial in order; triangles are the control, the same model without forgetting",
        ),
        Shot(
            "search_importance",
            f"Importance of each searched parameter: {', '.join(shares)}.",
            f"Which parameters the value depended on. {caveat}".rstrip(" .") + ".",
        ),
        Shot(
            "search_effects",
            f"{metric} on validation of each trial by the value of each parameter, with medians.",
            "Each parameter's effect: a dot is a trial, the diamond the best one; the line goes through the medians of "
            "the trials in each fourth of the range, a bar is the median of a choice. Trials differ in all parameters "
            "at once",
            wide=True,
        ),
        Shot(
            "search_parallel",
            f"A line for each trial through its parameters to its {metric}; the best is the thick one.",
            "All trials through their most important parameters, the better the darker, the best thick; a line breaks "
            "where a trial has not the parameter. Ask a trial at its right end",
            wide=True,
        ),
        Shot(
            "search_sure",
            "Difference of the best trial to the runner-up and to the best without forgetting.",
            "How far ahead the best is; a hollow dot cannot be told from zero",
        ),
    ]
