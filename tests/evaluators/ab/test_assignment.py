from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pytest

from evaluators import ab


def test_arms_are_stretches_of_the_hash_in_the_order_of_the_shares() -> None:
    shares = (0.2, 0.3, 0.1, 0.4)
    found = ab.assign(range(5_000), shares, "many")
    for user in range(200):
        place = int.from_bytes(blake2b(f"many:{user}".encode(), digest_size=8).digest(), "big") / 2**64
        assert found[user] == next(k for k in range(4) if place < sum(shares[: k + 1]) or k == 3)
    assert np.bincount(found) / 5_000 == pytest.approx(shares, abs=0.02)


def test_splitting_the_last_arm_moves_nobody_else() -> None:
    two, three = (ab.assign(range(1_000), shares, "s") for shares in ((0.5, 0.5), (0.5, 0.25, 0.25)))
    assert ((two == 0) == (three == 0)).all()


@pytest.mark.parametrize("shares", [(1.0,), (0.5, 0.6), (0.5, 0.5, 0.0), (1.2, -0.2)])
def test_bad_shares(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="two or more positive numbers that sum to 1"):
        ab.assign(range(3), shares, "s")
