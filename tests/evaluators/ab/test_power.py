from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from evaluators.ab import power_curve, simulated_power, users_needed
from evaluators.arrays import Floats, Ints


def test_the_curve_is_the_noncentral_chi_square() -> None:
    users = np.array([10, 100, 400])
    shift = 0.2**2 * users / (1 + 4)
    expected = stats.ncx2.sf(stats.chi2.ppf(0.99, 1), 1, shift)
    assert power_curve(-0.2, (1.0, 2.0), users, alpha=0.01) == pytest.approx(expected)


def test_the_curve_and_the_users_needed_agree() -> None:
    needed = users_needed(0.2, (1.0, 2.0), power=0.9)
    below, at = power_curve(0.2, (1.0, 2.0), np.array([needed - 1, needed]))
    assert below < 0.9 <= at


def test_simulation_finds_what_the_curve_promises() -> None:
    def planted(random: np.random.Generator, users: int) -> tuple[Floats, Ints]:
        arm = random.integers(0, 2, users)
        return random.exponential(1 + 0.25 * arm), arm

    users = [200, 500]
    promised = power_curve(0.25, (1.0, 1.25), np.array(users) / 2)
    assert simulated_power(planted, users, n=2_000) == pytest.approx(promised, abs=0.035)
