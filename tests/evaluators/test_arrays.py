from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.arrays import Csr, occurs, offsets_of, owners, ranges


@given(st.integers(0, 2**32 - 1))
def test_occurs_is_membership_of_the_range(seed: int) -> None:
    random = np.random.default_rng(seed)
    offsets = offsets_of(random.integers(0, 6, 4))
    items = random.integers(0, 5, offsets[-1])
    user = random.integers(0, 4, 8)
    begin = offsets[user]
    end = begin + random.integers(0, 7, 8).clip(max=np.diff(offsets)[user])
    owner, wanted = random.integers(0, 8, 20), random.integers(0, 5, 20)
    truth = [w in items[begin[o] : end[o]] for o, w in zip(owner, wanted, strict=True)]
    assert occurs(items, begin, end, owner, wanted, 5).tolist() == truth


def test_ranges_skip_empty_ones() -> None:
    assert ranges(np.array([4, 9, 0]), np.array([6, 9, 2])).tolist() == [4, 5, 0, 1]
    assert ranges(np.array([], dtype=int), np.array([], dtype=int)).tolist() == []


@pytest.mark.parametrize("index", [slice(0, 2), slice(1, 4), slice(2, 2), slice(None)])
def test_a_block_holds_the_lists_of_its_queries(index: slice) -> None:
    content = [[1, 2], [], [5], [0, 3]]
    whole = Csr(offsets_of(np.array([2, 0, 1, 2])), np.array([1, 2, 5, 0, 3]))
    block = whole.block(index)
    got = [block.columns[b:e].tolist() for b, e in zip(block.offsets[:-1], block.offsets[1:], strict=True)]
    assert got == content[index]
    assert owners(block.offsets).tolist() == [q for q, c in enumerate(content[index]) for _ in c]
