"""All pairs of models: the matrix, turned where it must be, and what may be said of each pair."""

from __future__ import annotations

from typing import Any

from harness.report.blocks import Table, Text
from harness.report.pairs import every_pair, reading, turned

NAMES, MEANS = ["one", "two", "three"], [0.2, 0.3, 0.25]


def pair(a: int, b: int, difference: float, holm: float) -> dict[str, Any]:
    low, high = difference - 0.01, difference + 0.02
    return {"a": a, "b": b, "difference": difference, "low": low, "high": high, "p": holm / 3, "holm": holm}


PAIRS = [pair(0, 1, -0.1, 0.003), pair(0, 2, -0.05, 0.04), pair(1, 2, 0.05, 0.06)]


def tables() -> tuple[Table, Text, Table]:
    matrix, note, listed = every_pair(NAMES, MEANS, PAIRS, "NDCG@10").blocks
    assert isinstance(matrix, Table)
    assert isinstance(note, Text)
    assert isinstance(listed, Table)
    return matrix, note, listed


def test_the_matrix_is_row_minus_column_with_the_best_model_first() -> None:
    matrix, note, _ = tables()
    assert list(matrix.head) == ["Minus", "two", "three", "one"]
    assert matrix.sortable
    assert [list(row) for row in matrix.rows] == [
        ["two", "0.3000", "+0.0500 [0.0400, 0.0700]", "✓ +0.1000 [0.0800, 0.1100]"],
        ["three", "−0.0500 [−0.0700, −0.0400]", "0.2500", "✓ +0.0500 [0.0300, 0.0600]"],
        ["one", "✓ −0.1000 [−0.1100, −0.0800]", "✓ −0.0500 [−0.0600, −0.0300]", "0.2000"],
    ]
    assert "when all 3 answer together" in note.text


def test_a_pair_without_common_queries_is_empty() -> None:
    matrix, _, listed = every_pair(NAMES, MEANS, PAIRS[:2], "NDCG@10").blocks
    assert isinstance(matrix, Table)
    assert isinstance(listed, Table)
    assert matrix.rows[0][2] == matrix.rows[1][1] == "–"
    assert len(listed.rows) == 2


def test_the_list_has_each_pair_once_from_its_better_side() -> None:
    _, _, listed = tables()
    assert [row[0] for row in listed.rows] == ["two over three", "two over one", "three over one"]
    assert [row[1] for row in listed.rows] == ["not told apart", "better", "better"]
    assert listed.rows[1][3] == "p = 0.003".replace(" ", "\xa0")


def test_a_pair_is_judged_by_what_answers_for_all() -> None:
    assert reading(pair(0, 1, 0.1, 0.049)) == "better"
    assert reading(pair(0, 1, -0.1, 0.049)) == "worse"
    assert reading(pair(0, 1, 0.1, 0.05)) == "not told apart"
    assert turned(turned(PAIRS[0])) == PAIRS[0]
