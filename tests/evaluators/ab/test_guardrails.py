from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from evaluators.ab import Arms, Guardrail


def test_by_hand_against_a_one_sided_test() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(0.5, 0.2, 80), random.normal(0.48, 0.3, 120)
    arms = Arms.of(np.concatenate([first, second]), np.repeat([0, 1], [80, 120]))
    [found] = Guardrail("recall@10", 0.1, level=0.9).read(arms)
    test = stats.ttest_ind(second + 0.1, first, equal_var=False, alternative="greater")
    assert found.p == pytest.approx(test.pvalue)
    assert found.low + 0.1 == pytest.approx(test.confidence_interval(0.9).low)
    assert found.held is bool(test.pvalue < 0.1)
    assert (found.metric, found.margin) == ("recall@10", 0.1)


@pytest.mark.parametrize(
    ("truth", "low", "high"), [(-0.3, 0.025, 0.075), (-0.6, 0.0, 0.001), (0.0, 0.7, 0.97)]
)
def test_a_fall_by_the_margin_passes_one_time_in_twenty(truth: float, low: float, high: float) -> None:
    random = np.random.default_rng(1)
    rail = Guardrail("clicks", 0.3)
    held = [
        rail.read(Arms.of(random.normal(truth * (np.arange(300) % 2), 1), np.arange(300) % 2))[0].held
        for _ in range(600)
    ]
    assert low <= np.mean(held) <= high


def test_each_arm_is_read_and_little_known_has_not_held() -> None:
    arms = Arms(np.array([900.0, 900.0, 1.0]), np.array([1.0, 0.9, 1.0]), np.array([0.01, 0.01, np.inf]))
    rail = Guardrail("x", 0.2)
    assert [each.held for each in rail.read(arms)] == [True, False]


def test_constant_outcomes() -> None:
    arms = Arms(np.full(3, 10.0), np.array([1.0, 0.9, 0.7]), np.zeros(3))
    assert [(each.held, each.p) for each in Guardrail("x", 0.2).read(arms)] == [(True, 0.0), (False, 1.0)]


@pytest.mark.parametrize("bad", [{"margin": 0.0}, {"level": 1.0}])
def test_bad_settings(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"`margin > 0` and `0 < level < 1` must hold"):
        Guardrail("x", **{"margin": 0.1, **bad})
