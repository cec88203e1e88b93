"""What is known, made once and only if asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from evaluators.metrics import Categories, Facts


def test_a_part_is_made_at_first_use_and_once() -> None:
    made: list[str] = []

    def making(name: str, part: float) -> Callable[[], float]:
        def make() -> float:
            made.append(name)
            return part

        return make

    facts = Facts(half_life=making("half_life", 7.0), weights=making("weights", 1.0))
    assert made == []
    assert (facts.half_life, facts.half_life) == (7.0, 7.0)
    assert made == ["half_life"]


def test_what_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(
        ValueError, match="the categories of items must be known, but is not; pass `categories`"
    ):
        _ = Facts().categories
    with pytest.raises(ValueError, match=r"facts must be of popularity, .*, but got 'colour'"):
        Facts(colour=lambda: 1)


def test_shares_of_categories_by_hand() -> None:
    categories = Categories.of([[0, 2], [1], []], 3)
    owner, columns = np.array([0, 0, 0, 1]), np.array([0, 1, 2, 2])
    assert categories.shares(owner, columns, 3).tolist() == [[0.25, 0.5, 0.25], [0, 0, 0], [0, 0, 0]]
    assert categories.bits.tolist() == [[5], [2], [0]]
