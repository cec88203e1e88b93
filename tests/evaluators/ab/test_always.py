from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from evaluators.ab import AlwaysValid, Arms, Confidence, FixedHorizon, Rule, stop
from evaluators.arrays import Floats


def accrued(
    effect: float, *, experiments: int = 2_000, looks: int = 20, daily: int = 20, skewed: bool = True
) -> Arms:
    """[R, T, 2] from outcomes of mean 1 and variance 1, `daily` users an arm a day."""
    random = np.random.default_rng(5)
    shape = (experiments, looks, 2, daily)
    draw = random.exponential(1, shape) if skewed else random.normal(1, 1, shape)
    draw[:, :, 1] += effect
    count = np.broadcast_to(daily * np.arange(1, looks + 1)[None, :, None], shape[:3]).astype(float)
    total, square = draw.sum(3).cumsum(1), (draw**2).sum(3).cumsum(1)
    return Arms(count, total / count, (square - total**2 / count) / (count - 1))


def test_the_likelihood_ratio_is_the_mixture_over_a_normal_prior() -> None:
    arms = Arms(np.array([[40.0, 60.0]]), np.array([[0.3, 0.9]]), np.array([[1.0, 2.0]]))
    always = Confidence(tightest=80)
    variance = 1 / 40 + 2 / 60
    r = 100 / 80 * prior(0.05)
    mixed, _ = integrate.quad(
        lambda effect: stats.norm.pdf(0.6, effect, variance**0.5) * stats.norm.pdf(effect, 0, (variance * r) ** 0.5),
        -8, 8, points=[0.0, 0.6],
    )  # fmt: skip
    assert always.p(arms)[0, 0] == pytest.approx(stats.norm.pdf(0.6, 0, variance**0.5) / mixed)


def prior(alpha: float) -> float:
    """r* by search: the r at which the interval is narrowest."""
    found = optimize.minimize_scalar(
        lambda r: (r + 1) / r * np.log((r + 1) / alpha**2), bounds=(1, 100), method="bounded",
        options={"xatol": 1e-10},
    )  # fmt: skip
    return float(found.x)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
def test_the_interval_is_tightest_where_it_was_told_to_be(level: float) -> None:
    arms = Arms(np.full(2, 500.0), np.zeros(2), np.ones(2))
    widths = [Confidence(tightest, level).half_width(arms)[0] for tightest in (500, 1_000, 2_000)]
    assert widths[1] < min(widths[0], widths[2])
    r = prior(1 - level)
    assert widths[1] == pytest.approx((2 / 500 * (r + 1) / r * np.log((r + 1) / (1 - level) ** 2)) ** 0.5)


def test_p_falls_below_alpha_exactly_where_the_interval_leaves_zero_out() -> None:
    arms, always = accrued(0.2, experiments=200), Confidence(tightest=400, level=0.9)
    low, high = always.interval(arms)
    out = np.logical_or.accumulate((low > 0) | (high < 0), axis=1)
    assert (out == (always.p(arms) < 0.1)).all()
    assert 0.1 < out.mean() < 0.9


def test_daily_looks_hold_where_they_should_and_do_not_where_they_should_not() -> None:
    """The reason for all this: no effect, skewed outcomes, 20 looks, 2,000 experiments."""
    looks = accrued(0.0)
    rules: dict[str, Rule] = {
        "once": FixedHorizon(),
        "peeked": FixedHorizon(at=range(20)),
        "always": AlwaysValid(Confidence(tightest=400)),
    }
    rejected = {name: float(stop(looks, [rule]).differs().mean()) for name, rule in rules.items()}
    assert rejected["always"] <= 0.05
    assert 0.035 <= rejected["once"] <= 0.065
    assert rejected["peeked"] > 0.18


def test_all_intervals_of_a_test_hold_the_truth_together() -> None:
    looks = accrued(0.3)
    low, high = Confidence(tightest=400).interval(looks)
    assert ((low <= 0.3) & (high >= 0.3)).all(1).mean() >= 0.95


def test_a_clear_effect_is_found_early() -> None:
    found = stop(accrued(0.5, experiments=300), [AlwaysValid(Confidence(tightest=400))])
    assert found.differs().mean() > 0.99
    assert found.look.mean() < 10


def test_little_known() -> None:
    always = Confidence(tightest=100)
    arms = Arms(np.array([[1.0, 1.0]]), np.array([[0.0, 5.0]]), np.array([[np.inf, np.inf]]))
    assert always.p(arms).tolist() == [[1.0]]
    widths: Floats = always.half_width(arms)
    assert np.isinf(widths).all()


@pytest.mark.parametrize(("tightest", "level"), [(0.0, 0.95), (10.0, 1.0), (float("nan"), 0.95)])
def test_bad_settings(tightest: float, level: float) -> None:
    with pytest.raises(ValueError, match=r"`tightest > 0` and `0 < level < 1` must hold"):
        Confidence(tightest, level)
