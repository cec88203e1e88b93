"""Numbers, intervals, ages and dates in words, the same on every line of the report.

>>> duration(31.2, "days"), duration(0.375, "days"), duration(3.2, "moments"), duration(1, "days")
('31 days', '9 hours', '3.2 moments', '1 day')
>>> interval(0.0123, 0.01, 0.015, sign=True)
'+0.0123 [0.0100, 0.0150]'
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from evaluators import METRICS

_SHORT = {"ndcg", "mrr", "map", "auc"}
NOTHING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"
_PROTOCOLS = {
    "successive": "successive: every moment after the cut is asked, answered from what came strictly before",
    "rolling": "rolling: as successive, with several cuts; decisions rest on the model fitted before the first",
    "loo": "leave-one-out: the last moment of every user; it sees the future of others, nothing rests on it",
}


def finite(value: object) -> float | None:
    """The value as a float, or None where it is missing, not a number or not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def number(value: object, digits: int = 4, *, sign: bool = False) -> str:
    """A figure with a fixed number of decimals and a true minus."""
    known = finite(value)
    if known is None:
        return NOTHING
    text = f"{abs(known):,.{digits}f}"
    zero = not any(c in "123456789" for c in text)
    if known < 0 and not zero:
        return MINUS + text
    return "+" + text if sign and not zero else text


def interval(value: object, low: object, high: object, *, digits: int = 4, sign: bool = False) -> str:
    """``value [low, high]``, or the value alone where there is no interval."""
    middle = number(value, digits, sign=sign)
    if finite(low) is None or finite(high) is None:
        return middle
    return f"{middle} [{number(low, digits)}, {number(high, digits)}]"


def intervals(held: object) -> str:
    """How the intervals of ``{"level", "method"}`` are found.

    >>> intervals({"level": 0.9, "method": "bca"}), intervals(None)
    ('90 % BCa intervals that resample users', '95 % intervals that resample users')
    """
    level, method = (held.get("level"), held.get("method")) if isinstance(held, Mapping) else (None, None)
    kinds = {
        "bca": "BCa intervals that resample users",
        "robust": "intervals of a standard error that is robust to clusters of users",
    }
    return f"{100 * (finite(level) or 0.95):g} % {kinds.get(str(method), 'intervals that resample users')}"


def of(cell: object, *, sign: bool = False) -> str:
    """The interval of ``{"mean" | "difference", "low", "high"}``."""
    if not isinstance(cell, Mapping):
        return number(cell, sign=sign)
    middle = cell.get("difference") if "difference" in cell else cell.get("mean")
    return interval(middle, cell.get("low"), cell.get("high"), sign=sign)


def count(value: object) -> str:
    """A whole number with thousands apart."""
    known = finite(value)
    return NOTHING if known is None else f"{round(known):,}"


def counted(value: object, one: str, many: str | None = None) -> str:
    """A whole number with its noun: ``1 user``, ``4,338 users``."""
    known = finite(value)
    return f"{count(value)} {one if known is not None and round(known) == 1 else many or one + 's'}"


def share(value: object, *, sign: bool = False) -> str:
    """A share as a percentage: 0.374 is ``37.4 %``."""
    known = finite(value)
    return NOTHING if known is None else f"{number(100 * known, 1, sign=sign)}{SPACE}%"


def chance(value: object) -> str:
    """A p value: ``p = 0.240``, ``p < 0.001``."""
    known = finite(value)
    if known is None:
        return NOTHING
    return ("p < 0.001" if known < 0.001 else f"p = {known:.3f}").replace(" ", SPACE)


def compact(value: object) -> str:
    """Any setting in a few characters: a number with four significant digits, a list with commas."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", MINUS) if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return settings(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(compact(part) for part in value)
    return str(value)


def settings(pairs: Mapping[str, Any] | None) -> str:
    """``tau 7, exponent 0.5``."""
    return ", ".join(f"{name} {compact(value)}" for name, value in (pairs or {}).items()) or NOTHING


def _amount(value: float, one: str) -> str:
    few = f"{value:.1f}" if value >= 0.05 else f"{value:.1g}"  # or it would be 0.0
    text = f"{value:,.0f}" if value >= 10 else few.removesuffix(".0")
    return f"{text} {one if text == '1' else one + 's'}"


def duration(value: object, unit: str = "days") -> str:
    """An age in the unit that a reader would say: days become minutes, hours, days or years; moments stay."""
    known = finite(value)
    if known is None:
        return "no half-life" if value is None else NOTHING
    if unit != "days":
        return _amount(known, unit.removesuffix("s"))
    for size, one in ((365.25, "year"), (1.0, "day"), (1 / 24, "hour"), (1 / 1440, "minute")):
        if known >= (2 if one == "year" else 0.999) * size:
            return _amount(known / size, one)
    return _amount(known * 86400, "second")


def durations(ages: Iterable[tuple[object, str]]) -> str:
    """The span of several ages, unit by unit; one alone as `duration` has it.

    >>> durations([(31.2, "days")]), durations([(0.5, "days"), (40, "days"), (3, "moments"), (None, "days")])
    ('31 days', '12 hours to 40 days or 3 moments')
    """
    by_unit: dict[str, list[float]] = {}
    for value, unit in ages:
        if (known := finite(value)) is not None:
            by_unit.setdefault(unit, []).append(known)
    spans = [
        " to ".join(dict.fromkeys((duration(min(found), unit), duration(max(found), unit))))
        for unit, found in by_unit.items()
    ]
    return " or ".join(spans) or duration(None)


def duration_interval(value: object, low: object, high: object, unit: str = "days") -> str:
    """A duration with its ends, in one unit where all three share it.

    >>> duration_interval(31.2, 24, 40), duration_interval(0.9, 0.5, 1.5)
    ('31 days [24, 40]', '22 hours [12 hours, 1.5 days]')
    """
    middle = duration(value, unit)
    if finite(low) is None or finite(high) is None:
        return middle
    parts = [text.rpartition(" ") for text in (middle, duration(low, unit), duration(high, unit))]
    if len({one.removesuffix("s") for _, _, one in parts}) == 1:
        return f"{middle} [{parts[1][0]}, {parts[2][0]}]"
    return f"{middle} [{duration(low, unit)}, {duration(high, unit)}]"


def elapsed(seconds: object) -> str:
    """How long a run took: ``42 s``, ``7 min 3 s``, ``2 h 5 min``."""
    known = finite(seconds)
    if known is None:
        return NOTHING
    whole = round(known)
    if whole < 60:
        return f"{known:.1f} s" if known < 10 else f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"


def moment(value: object) -> datetime | None:
    """An ISO date, an ISO time or unix seconds, as a time in UTC; None where it cannot be read."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        known = finite(value)
        return None if known is None else datetime.fromtimestamp(known, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def day(value: object) -> str:
    """``9 December 2011``."""
    found = moment(value)
    return NOTHING if found is None else f"{found.day} {found:%B %Y}"


def stamp(value: object) -> str:
    """``9 December 2011, 14:02 UTC``."""
    found = moment(value)
    return NOTHING if found is None else f"{day(value)}, {found.astimezone(UTC):%H:%M} UTC"


def metric(name: object) -> str:
    """A metric's name as it is written in text.

    >>> metric("ndcg@10"), metric("graded_ndcg@5"), metric("hit_rate@10")
    ('NDCG@10', 'Graded NDCG@5', 'Hit rate@10')
    """
    head, at, tail = str(name).partition("@")
    parts = [part.upper() if part.lower() in _SHORT else part for part in head.split("_")]
    shown = " ".join(parts)
    return shown[:1].upper() + shown[1:] + at + tail


def better(name: object) -> str:
    """Which way of a metric is good: ``more``, ``less``, or nothing where neither is.

    >>> better("ndcg@10"), better("gini@10"), better("item_age@10")
    ('more', 'less', '–')
    """
    found = METRICS.get(str(name).partition("@")[0])
    return {"higher": "more", "lower": "less"}.get(found.better if found else "", NOTHING)


def intervals_of_their_own(names: Iterable[object]) -> list[str]:
    """A line for each kind of interval that is not the one asked for.

    >>> intervals_of_their_own(["ndcg@10", "coverage@5", "coverage@10"])
    ['Intervals of Coverage@5 and Coverage@10: jackknife over users.']
    """
    kinds: dict[str, list[str]] = {}
    for name in names:
        found = METRICS.get(str(name).partition("@")[0])
        if found and found.own_interval:
            kinds.setdefault(found.own_interval, []).append(metric(name))
    return [f"Intervals of {listed(shown)}: {kind}." for kind, shown in kinds.items()]


def protocol(name: object) -> str:
    """The protocol with what it means."""
    return _PROTOCOLS.get(str(name), str(name))


def judged(cell: object) -> str:
    """What an interval of a difference says: ``better``, ``worse``, ``no clear difference``."""
    known = cell if isinstance(cell, Mapping) else {}
    low, high = finite(known.get("low")), finite(known.get("high"))
    if low is None or high is None:
        return "no interval"
    return "better" if low > 0 else "worse" if high < 0 else "no clear difference"


def listed(parts: Iterable[object]) -> str:
    """``a, b and c``."""
    words = [str(part) for part in parts]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def bucket(name: object) -> str:
    """A segment's name: ``<=7d`` is ``≤ 7 days``, ``>20`` is ``> 20``.

    >>> bucket("<=1d"), bucket(">30d"), bucket("<=5"), bucket("repeats")
    ('≤ 1 day', '> 30 days', '≤ 5', 'repeats')
    """
    text = str(name).replace("<=", "≤").replace(">=", "≥")
    if text[:1] not in {"≤", "≥", "<", ">"}:
        return text
    sign, rest = text[0], text[1:].strip()
    plain = rest.removesuffix("d").strip()
    unit = "" if plain == rest else " day" if plain == "1" else " days"
    return f"{sign} {plain}{unit}"
