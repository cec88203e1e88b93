"""Every model beside every other: a matrix of paired differences, and the pairs as a list that can be sorted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.report import words
from harness.report.blocks import Section, Table, Text

Pair = Mapping[str, Any]
CLEAR = 0.05
"""A pair is told apart where its p, corrected for all pairs, is below it."""


def every_pair(names: Sequence[str], means: Sequence[Any], pairs: Sequence[Pair], metric: str) -> Section:
    """The section, models by their mean, best first.

    Args:
        names, means: by model, what it is called, and its mean in the metric that decides.
        pairs: [{`a`, `b`: places in names, `difference` of a minus b, `low`, `high`, `p`, `holm`}].
    """
    order = sorted(range(len(names)), key=lambda place: -(words.finite(means[place]) or float("-inf")))
    held = {(pair["a"], pair["b"]): pair for pair in pairs}
    held |= {(pair["b"], pair["a"]): turned(pair) for pair in pairs}
    matrix = [
        [names[row], *(_cell(held.get((row, column)), row == column, means[row]) for column in order)]
        for row in order
    ]
    listed = [
        [
            f"{names[a]} over {names[b]}",
            reading(pair),
            words.of(pair, sign=True),
            words.chance(pair["holm"]),
            words.chance(pair["p"]),
        ]
        for place, a in enumerate(order)
        for b in order[place + 1 :]
        if (pair := held.get((a, b)))
    ]
    head = ["Minus", *(names[place] for place in order)]
    note = (
        f"Row minus column in {metric}, on the same queries; on the diagonal the model itself. Each interval is of its "
        f"pair alone. ✓ marks pairs that are told apart when all {len(listed)} answer together: p of a randomisation "
        f"test over users, corrected by Holm (1979), is below {CLEAR:g}."
    )
    return Section(
        "pairs",
        "All pairs",
        [
            Table("Row minus column, best model first", head, matrix, range(1, len(head)), sortable=True),
            Text(note, "note"),
            Table(
                "The pairs", ["Pair", "Reading", "Difference", "p (Holm)", "p"], listed, (2,), sortable=True
            ),
        ],
    )


def turned(pair: Pair) -> dict[str, Any]:
    """The same pair from the other side.

    >>> turned({"a": 0, "b": 1, "difference": 0.5, "low": 0.25, "high": 1.0, "p": 0.01, "holm": 0.02})["low"]
    -1.0
    """
    sides = {"a": pair["b"], "b": pair["a"], "difference": -pair["difference"]}
    return {**pair, **sides, "low": -pair["high"], "high": -pair["low"]}


def reading(pair: Pair) -> str:
    """What may be said of a pair when all pairs answer together."""
    if pair["holm"] >= CLEAR:
        return "not told apart"
    return "better" if pair["difference"] > 0 else "worse"


def _cell(pair: Pair | None, own: bool, mean: Any) -> str:
    if own:
        return words.number(mean)
    if pair is None:
        return words.NOTHING
    return ("✓ " if pair["holm"] < CLEAR else "") + words.of(pair, sign=True)
