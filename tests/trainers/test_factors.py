"""Where a learned factor is half gone, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trainers.factors import Factor


def test_the_half_life_of_a_factor_is_where_it_stays_below_half() -> None:
    """Falls below, comes back, and falls: the last time counts; never where it ends above half."""
    rank = Factor("later moments", "moments", np.array([0.0, 1.0, 3.0, 7.0]), np.array([1.0, 0.3, 1.0, 0.25]))
    # Halfway between 4 and 8 on a logarithmic axis.
    assert rank.half_life == pytest.approx(math.sqrt(4 * 8) - 1)
    assert Factor("age", "days", np.array([1.0, 2.0]), np.array([0.3, 1.0])).half_life == math.inf
