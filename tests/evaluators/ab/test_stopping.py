from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from evaluators.ab import (
    AlwaysValid,
    Arms,
    Confidence,
    FixedHorizon,
    Futility,
    Rule,
    Verdict,
    stop,
    users_needed,
)
from tests.evaluators.ab.test_always import accrued


def looks_of(z: list[float], count: list[float]) -> Arms:
    """[T, 2] of a unit variance in which the statistic is z at each look."""
    error = np.sqrt(2 / np.array(count))
    mean = np.stack([np.zeros(len(z)), np.array(z) * error], 1)
    return Arms(np.stack([np.array(count)] * 2, 1), mean, np.ones((len(z), 2)))


def test_the_fixed_test_is_read_where_it_says() -> None:
    looks = looks_of([3.0, 0.5, 2.5], [500, 1_000, 1_500])
    for at, look, verdict in ((None, 2, 1), ([1], 2, 0), ([0], 0, 1), (range(3), 0, 1)):
        found = stop(looks, [FixedHorizon(at=at)])
        assert (found.look.tolist(), found.verdict.tolist()) == ([look], [verdict])


def test_power_left_by_hand() -> None:
    """Half way with Z = 1 and a drift of 2.8: B = 0.7071, Φ((0.7071 + 1.4 - 1.96) / 0.7071) = Φ(0.2082)."""
    end_error = np.sqrt(2 / 1_000)
    rule = Futility(lift=2.8 * end_error, users=2_000)
    left = rule.power_left(looks_of([1.0], [500]))
    assert left[0, 0] == pytest.approx(stats.norm.cdf((0.70711 + 1.4 - 1.95996) / 0.70711), abs=1e-4)
    down = Futility(lift=-2.8 * end_error, users=2_000).power_left(looks_of([-1.0], [500]))
    assert down == pytest.approx(left)


def test_power_left_before_anything_is_the_power_of_the_test() -> None:
    users = users_needed(0.1, (1.0, 1.0))
    rule = Futility(lift=0.1, users=2 * users)
    assert rule.power_left(looks_of([0.0], [2.0]))[0, 0] == pytest.approx(0.8, abs=0.01)


def test_futility_stops_what_is_hopeless_and_costs_little_power() -> None:
    null, lifted = accrued(0.0, daily=40), accrued(0.14, daily=40)  # the power for 0.14 is 0.8 at 800 an arm
    rules: list[Rule] = [Futility(lift=0.14, users=1_600), FixedHorizon()]
    early, whole = stop(null, rules), stop(null, [FixedHorizon()])
    assert (early.verdict == Verdict.FUTILE).mean() > 0.7
    assert early.look.mean() < 14
    assert early.differs().mean() <= whole.differs().mean()
    found, alone = (stop(lifted, each).differs().mean() for each in (rules, rules[1:]))
    assert alone == pytest.approx(0.8, abs=0.03)
    assert 0.74 < found <= alone


def test_the_first_rule_that_speaks_is_heard() -> None:
    looks = looks_of([-6.0, -6.0], [500, 900])
    both: list[Rule] = [AlwaysValid(Confidence(tightest=1_000)), Futility(lift=0.2, users=2_000)]
    assert stop(looks, both).verdict.tolist() == [Verdict.DIFFERS]
    assert stop(looks, both[::-1]).verdict.tolist() == [Verdict.FUTILE]


def test_nothing_is_futile_that_is_not_known() -> None:
    looks = Arms(np.array([[1.0, 0.0]]), np.zeros((1, 2)), np.full((1, 2), np.inf))
    assert Futility(lift=0.2, users=2_000).verdicts(looks).tolist() == [[Verdict.GO_ON]]


@pytest.mark.parametrize("bad", [{"lift": 0.0}, {"least": 1.0}, {"users": 3.0}])
def test_bad_settings(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"`lift != 0`, `0 < least < 1` and `users >= 4` must hold"):
        Futility(**{"lift": 0.1, "users": 100.0, **bad})
