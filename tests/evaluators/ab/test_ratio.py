from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from evaluators import ab


def test_chi_square_over_three_arms_by_hand() -> None:
    found = ab.sample_ratio((50, 30, 20), (0.4, 0.4, 0.2))  # 100/40 + 100/40 + 0 = 5, two degrees of freedom
    assert found.p == pytest.approx(np.exp(-2.5))
    assert found.expected == pytest.approx((40, 40, 20))


def test_the_factor_is_that_of_beta_and_binomial() -> None:
    """Two arms: Beta's normaliser over the binomial likelihood; p is its inverse at the best look so far."""
    counts = np.array([[10, 2], [14, 14], [40, 12]])
    logs = [
        special.betaln(30 + a, 70 + b) - special.betaln(30, 70) - a * np.log(0.3) - b * np.log(0.7)
        for a, b in counts
    ]
    expected = np.exp(-np.maximum.accumulate(np.maximum(logs, 0)))
    assert ab.ratio_path(counts, (0.3, 0.7), 100) == pytest.approx(expected)


def test_the_factor_has_mean_one_where_the_shares_are_true() -> None:
    n = np.arange(31)
    counts = np.stack([n, 30 - n], 1)
    factor = 1 / ab.ratio_path(counts[:, None], (0.5, 0.5), 10)[:, 0]
    plain = np.exp(special.betaln(5 + n, 35 - n) - special.betaln(5, 5) + 30 * np.log(2))
    assert (stats.binom.pmf(n, 30, 0.5) * plain).sum() == pytest.approx(1)
    assert factor == pytest.approx(np.maximum(plain, 1))


def test_looked_at_after_every_user_false_alarms_are_rare_where_chi_square_gives_many() -> None:
    arms = np.random.default_rng(0).integers(0, 2, (1_000, 500))
    counts = np.stack([(arms == k).cumsum(1) for k in (0, 1)], axis=2)
    alarms = (ab.ratio_path(counts, (0.5, 0.5)) < 0.05).any(1).mean()
    square = ((counts - counts.sum(2, keepdims=True) / 2) ** 2 / (counts.sum(2, keepdims=True) / 2)).sum(2)
    peeked = (square[:, 20:] > stats.chi2.ppf(0.95, 1)).any(1).mean()
    assert alarms <= 0.05
    assert peeked > 0.25


def test_a_mismatch_is_found_before_all_have_come() -> None:
    arm = (np.random.default_rng(1).random(20_000) < 0.46).astype(int)
    found = ab.sequential_ratio(arm, (0.5, 0.5))
    assert found.mismatch
    assert found.users is not None
    assert found.users < 10_000
    assert not ab.sequential_ratio(arm, (0.54, 0.46)).mismatch
    early = ab.sequential_ratio(arm[: found.users - 1], (0.5, 0.5))
    assert (early.mismatch, early.users) == (False, None)
    assert ab.sequential_ratio(arm[: found.users], (0.5, 0.5)).users == found.users


def test_bad_concentration() -> None:
    with pytest.raises(ValueError, match=r"`concentration > 0` must hold"):
        ab.ratio_path(np.array([[1, 1]]), (0.5, 0.5), 0.0)
