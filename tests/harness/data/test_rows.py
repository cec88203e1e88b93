"""The order of packed rows, against Python's own sort of tuples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.data.rows import ORDER, found, places, repeated, sorted_rows, take
from trainers.log import LAYOUT


def some_rows(seed: int, n: int, users: int) -> dict[str, Any]:
    """Rows of few values, so that all kinds of ties are there."""
    rng = np.random.default_rng(seed)
    rows = {name: rng.integers(0, 3, n).astype(LAYOUT[name]) for name in ORDER}
    return rows | {"users": rng.integers(0, users, n).astype(np.int32)}


def tuples(rows: dict[str, Any]) -> list[tuple[float, ...]]:
    return list(zip(*(rows[name].tolist() for name in ("users", *ORDER)), strict=True))


@pytest.mark.parametrize(("n", "users"), [(0, 1), (1, 1), (500, 7), (3000, 200_000)])
def test_rows_are_sorted_as_tuples_are(n: int, users: int) -> None:
    rows = some_rows(n, n, users)
    expected = sorted(tuples(rows))
    in_order = sorted_rows(rows)
    assert tuples(in_order) == expected
    assert {name: values.dtype for name, values in in_order.items()} == {k: v.dtype for k, v in rows.items()}
    again = repeated(in_order).tolist()
    assert again == [i > 0 and expected[i] == expected[i - 1] for i in range(n)]


@pytest.mark.parametrize("seed", range(3))
def test_places_keep_the_order_and_equal_rows_are_found(seed: int) -> None:
    old, new = sorted_rows(some_rows(seed, 60, 8)), sorted_rows(some_rows(seed + 10, 40, 9))
    offsets = np.concatenate(([0], np.cumsum(np.bincount(old["users"], minlength=9))))
    at = places(offsets, old, new["users"], new)
    merged = tuples(old)
    for row, place in reversed(list(zip(tuples(new), at.tolist(), strict=True))):
        merged.insert(place, row)
    assert merged == sorted(tuples(old) + tuples(new))
    there = set(tuples(old))
    assert found(offsets, old, new["users"], new).tolist() == [row in there for row in tuples(new)]
    assert found(offsets, old, old["users"], old).all()
    assert not found(offsets, old, new["users"][:0], take(new, slice(0))).any()
