from __future__ import annotations

import pytest

from benchmarks.replicates import spread


def twice(number: int) -> int:
    if number < 0:
        raise ValueError("below zero")
    return 2 * number


def test_cases_are_answered_in_their_order() -> None:
    assert spread(twice, [3, 1, 2]) == [6, 2, 4]


def test_the_same_over_ray(ray_session: str) -> None:
    assert spread(lambda number: twice(number) + 1, [3, 1, 2], ray=True) == [7, 3, 5]
    with pytest.raises(ValueError, match="below zero"):
        spread(twice, [1, -1], ray=True)
