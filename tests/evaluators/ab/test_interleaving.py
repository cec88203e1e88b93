from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from evaluators.ab import preference, team_draft


def drafted(a: list[int], b: list[int], coins: list[int]) -> tuple[list[int], list[int]]:
    """One list by the rule as it is written down, item by item."""
    mixed: list[int] = []
    team: list[int] = []
    for coin in coins:
        for side in (coin, 1 - coin):
            left = [item for item in (a, b)[side] if item >= 0 and item not in mixed]
            if left and len(mixed) < len(a):
                mixed.append(left[0])
                team.append(side)
    short = len(a) - len(mixed)
    return mixed + [-1] * short, team + [-1] * short


def test_lists_are_those_of_the_rule_item_by_item() -> None:
    random = np.random.default_rng(0)
    a, b = (np.stack([random.permutation(9)[:5] for _ in range(300)]) for _ in range(2))
    a[:40, 3:] = -1
    mixed, team = team_draft(a, b, np.random.default_rng(7))
    coins = np.random.default_rng(7)
    tossed = np.stack([coins.integers(0, 2, 300) for _ in range(5)], 1)
    for row in range(300):
        assert (mixed[row].tolist(), team[row].tolist()) == drafted(
            a[row].tolist(), b[row].tolist(), tossed[row].tolist()
        )
        shown = mixed[row][mixed[row] >= 0]
        assert len(set(shown)) == len(shown)


def test_equal_models_are_credited_equally() -> None:
    a = np.tile(np.arange(10), (4_000, 1))
    mixed, team = team_draft(a, a, np.random.default_rng(1))
    assert (mixed == a).all()
    assert team[:, 0].mean() == pytest.approx(0.5, abs=0.03)
    assert (team.sum(1) == 5).all()


def test_the_sign_test_counts_users() -> None:
    credit = np.array([1, 1, 1, -1, 1, 0, -1, 1, 1])
    users = np.array([0, 0, 0, 1, 2, 3, 4, 4, 5])
    found = preference(credit, users)  # totals +3, -1, +1, 0, 0, +1
    assert (found.wins, found.losses, found.ties) == (3, 1, 2)
    assert found.p == pytest.approx(stats.binomtest(3, 4).pvalue)
    assert found.share == 0.75
    assert found.signed_rank == pytest.approx(
        stats.wilcoxon([3, -1, 1, 0, 0, 1], zero_method="zsplit").pvalue
    )
    swapped = preference(-credit, users)
    assert (swapped.wins, swapped.p) == (1, found.p)
    assert (swapped.low, swapped.high) == pytest.approx((1 - found.high, 1 - found.low))


def test_nobody_preferred_any() -> None:
    found = preference(np.zeros(4), np.arange(4))
    assert (found.ties, found.p, found.low, found.high) == (4, 1.0, 0.0, 1.0)


def test_lists_must_pair() -> None:
    with pytest.raises(ValueError, match=r"`a.shape == b.shape == \(B, K\)` must hold"):
        team_draft(np.zeros((2, 3), int), np.zeros((2, 4), int), np.random.default_rng(0))
