"""Overlap of lists, by hand and by its rules."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.agreement import moved, overlap, rank_biased_overlap


def test_by_hand() -> None:
    # Depths 1 … 3 share 0, 1 and 2 items: A = 0, 1/2, 2/3; p = 0.9.
    a, b = np.array([[1, 2, 3]]), np.array([[2, 4, 1]])
    expected = (2 / 3) * 0.9**3 + (0.1 / 0.9) * (0.5 * 0.9**2 + (2 / 3) * 0.9**3)
    assert rank_biased_overlap(a, b)[0] == pytest.approx(expected)
    assert overlap(a, b)[0] == pytest.approx(2 / 3)


@given(st.permutations(range(6)), st.permutations(range(6)), st.floats(0.05, 0.95))
def test_it_is_symmetric_and_between_none_and_all(a: list[int], b: list[int], p: float) -> None:
    one, two = np.array([a[:4]]), np.array([b[:4]])
    found = rank_biased_overlap(one, two, p)[0]
    assert found == pytest.approx(rank_biased_overlap(two, one, p)[0])
    assert -1e-12 <= found <= 1 + 1e-12
    assert rank_biased_overlap(one, one, p)[0] == pytest.approx(1)


def test_a_change_at_the_top_weighs_more() -> None:
    old = np.array([[1, 2, 3, 4, 5]])
    top, end = np.array([[9, 2, 3, 4, 5]]), np.array([[1, 2, 3, 4, 9]])
    assert rank_biased_overlap(old, top)[0] < rank_biased_overlap(old, end)[0]
    assert overlap(old, top)[0] == overlap(old, end)[0] == 0.8


def test_the_end_of_a_list_is_no_item_that_two_share() -> None:
    a, b = np.array([[1, -1, -1]]), np.array([[2, -1, -1]])
    assert (overlap(a, b)[0], rank_biased_overlap(a, b)[0]) == (0, 0)
    assert overlap(a, np.array([[1, 3, -1]]))[0] == 0.5
    assert moved(a[0], np.array([5, 1, -1])) == [None, -1, None]


def test_what_cannot_be_asked_is_said() -> None:
    with pytest.raises(ValueError, match="`p` must lie between 0 and 1, but got 1"):
        rank_biased_overlap(np.array([[1]]), np.array([[1]]), 1)
    with pytest.raises(ValueError, match="as many places"):
        rank_biased_overlap(np.array([[1]]), np.array([[1, 2]]))
