"""Reading a summary that may lack any part: nothing here raises on what is missing or of another shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.report.words import NOTHING, durations, finite

Summary = Mapping[str, Any]


def dig(value: object, *path: str) -> Any:
    """The value under nested keys, or None.

    >>> dig({"a": {"b": 1}}, "a", "b"), dig({"a": None}, "a", "b")
    (1, None)
    """
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def items_of(value: object) -> list[tuple[str, Any]]:
    """The pairs of a mapping, none where there is no mapping."""
    return [(str(key), held) for key, held in value.items()] if isinstance(value, Mapping) else []


def maps(value: object) -> list[Mapping[str, Any]]:
    """The mappings in a list, none where there is no list."""
    return [part for part in value if isinstance(part, Mapping)] if isinstance(value, (list, tuple)) else []


def rows_of(value: object, width: int) -> list[tuple[float | None, ...]]:
    """The rows of figures in a list of lists, each of exactly `width` columns."""
    if not isinstance(value, (list, tuple)):
        return []
    wide = [row for row in value if isinstance(row, (list, tuple)) and len(row) == width]
    return [tuple(finite(cell) for cell in row) for row in wide]


def text_of(value: object, default: str = NOTHING) -> str:
    """The value as text, or the default where there is none."""
    return default if value is None or value == "" else str(value)


def metric_of(summary: Summary) -> str:
    """The metric that decides, as it is named in the summary."""
    return text_of(summary.get("metric"), "ndcg@10")


def curves_of(term: object) -> list[Summary]:
    """The curves of a term: its one, or those of its heads or states; none where it does not forget.

    >>> [curve["half_life"] for curve in curves_of({"forgetting": {"half_life": 3}})], curves_of({"forgetting": None})
    ([3], [])
    """
    fading = dig(term, "forgetting")
    return maps(dig(fading, "parts")) or maps([fading])


def half_life_of(term: object) -> str:
    """The half-life of a term in words, or the span of those of its curves."""
    return durations(
        (curve.get("half_life"), text_of(curve.get("unit"), "days")) for curve in curves_of(term)
    )


def clocks_of(row: Summary) -> list[tuple[Summary, str]]:
    """What a row says of a curve on its clock, or on both of them, with the units."""
    moments = [(each, "moments") for each in maps([row.get("moments")])]
    return [(row, text_of(row.get("unit"), "days")), *moments]


def half_life_in(row: Summary) -> str:
    """The half-life of a row in words, on both clocks where it has both.

    >>> half_life_in({"half_life": 31.0}), half_life_in({"half_life": None, "moments": {"half_life": 3.0}})
    ('31 days', '3 moments')
    """
    return durations((each.get("half_life"), unit) for each, unit in clocks_of(row))


def slug(*parts: object) -> str:
    """A figure's name: lower case, digits and underscores, fit for a file and for an id."""
    return "_".join(re.sub(r"[^a-z0-9]+", "_", str(part).lower()).strip("_") or "x" for part in parts)
