"""Numbers in words."""

from __future__ import annotations

import math

import pytest

from harness.report import words


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (31.2, "days", "31 days"),
        (9 / 24, "days", "9 hours"),
        (1, "days", "1 day"),
        (1.5, "days", "1.5 days"),
        (800, "days", "2.2 years"),
        (1 / 24, "days", "1 hour"),
        (10 / 1440, "days", "10 minutes"),
        (5 / 86400, "days", "5 seconds"),
        (0.02 / 86400, "days", "0.02 seconds"),
        (3.2, "moments", "3.2 moments"),
        (1.0, "moments", "1 moment"),
        (None, "days", "no half-life"),
        (math.inf, "days", words.NOTHING),
    ],
)
def test_duration(value: float | None, unit: str, text: str) -> None:
    assert words.duration(value, unit) == text


def test_intervals_carry_a_sign_only_for_differences() -> None:
    assert words.interval(0.0123, 0.01, 0.015, sign=True) == "+0.0123 [0.0100, 0.0150]"
    assert words.interval(-0.5, -1, 0.25, digits=2) == f"{words.MINUS}0.50 [{words.MINUS}1.00, 0.25]"
    assert words.of({"mean": 0.3, "low": None, "high": 0.4}) == "0.3000"
    assert words.of(None) == words.NOTHING
    assert words.number(-0.00001) == "0.0000"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.001, 0.2, "better"),
        (-0.2, -0.001, "worse"),
        (-0.1, 0.1, "no clear difference"),
        (None, 1, "no interval"),
    ],
)
def test_judged(low: float | None, high: float | None, text: str) -> None:
    assert words.judged({"difference": 0.0, "low": low, "high": high}) == text


def test_small_words() -> None:
    assert words.chance(0.0001).replace(words.SPACE, " ") == "p < 0.001"
    assert words.share(0.0437, sign=True).replace(words.SPACE, " ") == "+4.4 %"
    assert words.counted(1, "query", "queries") == "1 query"
    assert words.counted(4338, "user") == "4,338 users"
    assert [words.elapsed(s) for s in (4.25, 42, 423, 7500)] == ["4.2 s", "42 s", "7 min 3 s", "2 h 5 min"]
    assert words.stamp("2026-03-14T15:09:26Z") == "14 March 2026, 15:09 UTC"
    assert words.stamp("yesterday") == words.NOTHING
    assert words.metric("ndcg@10") == "NDCG@10"
    assert words.compact([1.0, True, None, -0.25]) == f"1, yes, {words.NOTHING}, {words.MINUS}0.25"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
