from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy import stats

from evaluators import ab, simulate


def test_arms_are_a_function_of_salt_and_id() -> None:
    golden = [1, 1, 1, 0, 0, 0, 1, 0]
    assert ab.assign(range(8), (0.5, 0.5), "spring").tolist() == golden
    assert ab.assign(np.arange(8), (0.5, 0.5), "spring").tolist() == golden
    assert ab.assign([str(i) for i in reversed(range(8))], (0.5, 0.5), "spring").tolist() == golden[::-1]


def test_arms_have_their_shares_and_salts_are_independent() -> None:
    spring, autumn = (ab.assign(range(20_000), (0.7, 0.3), salt) for salt in ("spring", "autumn"))
    assert spring.mean() == pytest.approx(0.3, abs=0.01)
    assert (spring & autumn).mean() == pytest.approx(0.09, abs=0.01)


def test_by_hand() -> None:
    users = np.array([f"user{i}" for i in range(40)])
    arm = ab.assign(users, (0.5, 0.5), "lethe")
    random = np.random.default_rng(0)
    a, b = random.random(40), random.random(40) + 0.5
    found = simulate(a, b, users)
    first, second = a[arm == 0], b[arm == 1]
    assert found.mean == pytest.approx((first.mean(), second.mean()))
    assert found.absolute.value == pytest.approx(second.mean() - first.mean())
    assert found.relative is not None
    assert found.relative.value == pytest.approx(second.mean() / first.mean() - 1)
    assert found.absolute.low < found.absolute.value < found.absolute.high
    assert found.relative.low < found.relative.value < found.relative.high
    assert found.p == pytest.approx(stats.ttest_ind(second, first, equal_var=False).pvalue)
    assert found.ratio.users == (len(first), len(second))
    assert found.ratio.expected == (20.0, 20.0)
    assert found == simulate(a, b, users)
    assert json.loads(json.dumps(found.to_dict()))["absolute"]["value"] == found.absolute.value


def test_only_the_model_of_ones_own_arm_is_read() -> None:
    users = np.arange(60)
    arm = ab.assign(users, (0.5, 0.5), "lethe")
    random = np.random.default_rng(0)
    a, b = random.random(60), random.random(60)
    assert simulate(np.where(arm == 0, a, 9.0), np.where(arm == 1, b, 9.0), users) == simulate(a, b, users)


def test_arms_are_resampled_apart() -> None:
    arm = ab.assign(range(200), (0.5, 0.5), "lethe")
    users = np.sort(np.concatenate([np.flatnonzero(arm == side)[:40] for side in (0, 1)]))
    outcome = np.zeros(80)
    for side in (
        0,
        1,
    ):  # the same outcomes in the same order: one stream of draws for both would see no spread
        outcome[arm[users] == side] = np.linspace(0, 1, 40)
    found = simulate(outcome, outcome, users).absolute
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(2 * outcome.var() / 40), rel=0.15)


def test_a_user_counts_once_however_many_queries() -> None:
    users = np.arange(30)
    random = np.random.default_rng(1)
    a, b = random.random(30), random.random(30)
    once = simulate(a, b, users)
    busy = np.append(users, [3] * 50)  # user 3 asks 50 times more, with the same outcome
    assert simulate(np.append(a, [a[3]] * 50), np.append(b, [b[3]] * 50), busy).mean == pytest.approx(
        once.mean
    )


def test_under_the_null_one_in_twenty_is_significant_and_intervals_hold_zero() -> None:
    random = np.random.default_rng(2)
    users = np.repeat(np.arange(120), 2)
    found = []
    for i in range(400):
        own = np.repeat(random.beta(1, 4, 120), 2)
        found.append(simulate(own, own, users, salt=str(i), n=200, seed=i))
    assert 0.03 <= np.mean([f.p < 0.05 for f in found]) <= 0.075
    assert 0.91 <= np.mean([f.absolute.low <= 0 <= f.absolute.high for f in found]) <= 0.98
    assert not any(f.ratio.mismatch for f in found)


def test_the_users_asked_for_find_the_lift_four_times_in_five() -> None:
    random = np.random.default_rng(3)
    count = ab.users_needed(0.2, (1.0, 1.0))
    hits = [ab.welch(random.normal(0, 1, count), random.normal(0.2, 1, count)) < 0.05 for _ in range(500)]
    assert np.mean(hits) == pytest.approx(0.8, abs=0.05)


def test_numbers_of_users_by_hand() -> None:
    # (1.959964 + 0.841621)^2 = 7.848879; times (0.3^2 + 0.4^2) / 0.05^2 = 784.89
    assert ab.users_needed(0.05, (0.3, 0.4)) == 785
    assert ab.users_needed(-0.05, (0.3, 0.4)) == 785
    # (1.644854 + 1.281552)^2 = 8.563847; times 2 / 0.25 = 68.51
    assert ab.users_needed(0.5, (1.0, 1.0), alpha=0.1, power=0.9) == 69
    assert ab.detectable((0.3, 0.4), (785, 785)) == pytest.approx(0.05, rel=1e-3)
    assert ab.detectable((0.3, 0.4), (100, 400)) == pytest.approx(
        2.801585 * np.sqrt(0.0009 + 0.0004), rel=1e-6
    )


def test_the_experiment_reports_the_users_its_own_lift_needs() -> None:
    random = np.random.default_rng(4)
    found = simulate(random.random(80), random.random(80) + 0.1, np.arange(80))
    size = max(found.ratio.users)
    assert found.needed is not None
    assert (found.needed > size) == (abs(found.absolute.value) < found.detectable)
    strict = simulate(random.random(80), random.random(80) + 0.1, np.arange(80), level=0.99, power=0.95)
    assert strict.detectable > found.detectable


@pytest.mark.parametrize(
    ("users", "shares", "flagged"),
    [((500, 500), (0.5, 0.5), False), ((700, 300), (0.7, 0.3), False), ((700, 300), (0.5, 0.5), True)],
)
def test_arms_of_the_wrong_size_are_flagged(users: Any, shares: Any, flagged: bool) -> None:
    assert ab.sample_ratio(users, shares).mismatch is flagged


def test_sample_ratio_by_hand() -> None:
    found = ab.sample_ratio((60, 40), (0.5, 0.5))  # chi-square = 100/50 + 100/50 = 4
    assert found.p == pytest.approx(0.04550026, abs=1e-7)
    assert not found.mismatch


def test_outcomes_without_spread_or_without_a_base() -> None:
    users = np.arange(40)
    nothing = simulate(np.zeros(40), np.zeros(40), users)
    assert (nothing.p, nothing.needed, nothing.relative, nothing.absolute.value) == (1.0, None, None, 0.0)
    certain = simulate(np.full(40, 0.5), np.full(40, 0.75), users)
    assert certain.p == 0.0
    assert certain.relative is not None
    assert (certain.relative.value, certain.needed) == (0.5, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": (0.5, 0.6)}, r"two or more positive numbers that sum to 1, but got \[0.5, 0.6\]"),
        ({"shares": (1.0, 0.0)}, "two or more positive numbers that sum to 1"),
        ({"shares": (0.4, 0.3, 0.3)}, "two positive numbers that sum to 1"),
        ({"shares": (0.999, 0.001)}, r"each arm must have at least 2 users, but got \(30, 0\)"),
        ({"power": 1.0}, r"`0 < power < 1` must hold, but got \(power=1.0\)"),
        ({"level": 0.0}, r"`0 < level < 1` must hold, but got \(level=0.0\)"),
        ({"b": np.zeros(29)}, r"`a.shape == b.shape` must hold, but got \(\(30,\), \(29,\)\)"),
        ({"users": np.arange(29)}, r"with Q >= 1 must hold, but got \(\(30,\), \(29,\)\)"),
    ],
)
def test_bad_arguments(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"a": np.zeros(30), "b": np.zeros(30), "users": np.arange(30), **changes}
    with pytest.raises(ValueError, match=message):
        simulate(given.pop("a"), given.pop("b"), given.pop("users"), **given)


DAY = 86_400.0


def replayed(**changes: Any) -> Any:
    """300 users of two queries on 30 days; B is ahead by 0.8, what is known of a user tells half of the outcome."""
    random = np.random.default_rng(7)
    users = np.repeat(np.arange(300), 2)
    known = random.normal(0, 1, 300)[users]
    a = known + random.normal(0, 1, 600)
    times = 1e9 + DAY * np.sort(random.integers(0, 30, (300, 2)), axis=1).reshape(-1) + 5.0
    given: dict[str, Any] = {"times": times, "covariates": known, **changes}
    return simulate(a, a + 0.8, users, **given), a, users, known, times


def test_without_times_and_covariates_nothing_more_is_said() -> None:
    found, *_ = replayed(times=None, covariates=None)
    assert (found.cuped, found.ratio_sequential, found.always, found.guardrails) == (None, None, None, ())


def test_cuped_takes_out_what_was_known() -> None:
    found, a, users, known, _ = replayed()
    arm = ab.assign(range(300), (0.5, 0.5), "lethe")
    outcome = np.bincount(users, a) / 2 + 0.8 * arm
    adjusted = ab.cuped(outcome, known[::2], arm)
    assert found.cuped.reduction == pytest.approx(adjusted.reduction)
    assert found.cuped.reduction > 0.5
    assert found.cuped.absolute.value == pytest.approx(ab.Arms.of(adjusted.outcome, arm).lift[0])
    assert found.cuped.absolute.high - found.cuped.absolute.low < 0.8 * (
        found.absolute.high - found.absolute.low
    )


def test_users_are_counted_once_their_last_query_is_answered() -> None:
    found, a, users, _, times = replayed(level=0.9, tightest=0.5)
    arm = ab.assign(range(300), (0.5, 0.5), "lethe")
    outcome = np.bincount(users, a) / 2 + 0.8 * arm
    day = ((times[1::2] - times.min()) // DAY).astype(int)
    looks = ab.Arms.accrued(outcome, arm, day, (1, day.max() + 1, 2))
    always = ab.Confidence(150, 0.9)
    p = always.p(looks)[0, :, 0]
    assert found.always.p == pytest.approx(p[-1])
    assert found.always.days == day.max() + 1
    assert found.always.day == int(np.argmax(p < 0.1)) + 1
    assert found.always.absolute.value == pytest.approx(found.absolute.value)
    assert found.always.absolute.low == pytest.approx(always.interval(looks)[0][0, -1, 0])
    assert found.always.absolute.low < found.absolute.low


def test_the_sequential_sample_ratio_reads_users_as_they_come() -> None:
    found, _, users, _, times = replayed()
    came = np.argsort(times[::2], kind="stable")
    arm = ab.assign(range(300), (0.5, 0.5), "lethe")
    assert found.ratio_sequential == ab.sequential_ratio(arm[came], (0.5, 0.5))
    shuffled = np.random.default_rng(0).permutation(len(users))
    random = np.random.default_rng(1)
    a, b = random.random(600), random.random(600)
    one = simulate(a, b, users, times=times)
    other = simulate(a[shuffled], b[shuffled], users[shuffled], times=times[shuffled])
    assert one.always is not None
    assert other.always is not None
    assert (one.always.day, one.always.days) == (other.always.day, other.always.days)
    assert one.p == pytest.approx(other.p)


def test_guardrails_read_the_metric_of_ones_own_arm() -> None:
    random = np.random.default_rng(3)
    a, b = random.random(600), random.random(600) - 0.2
    rail = ab.Guardrail("recall@10", 0.1)
    found, _, users, *_ = replayed(guardrails={rail: (a, b)})
    arm = ab.assign(range(300), (0.5, 0.5), "lethe")
    outcome = np.where(arm == 0, np.bincount(users, a), np.bincount(users, b)) / 2
    assert found.guardrails == tuple(rail.read(ab.Arms.of(outcome, arm)))
    assert not found.guardrails[0].held
    json.dumps(found.to_dict(), allow_nan=False)


def test_no_users_detect_no_lift() -> None:
    with pytest.raises(ValueError, match=r"`lift != 0` must hold, but got \(lift=0.0\)"):
        ab.users_needed(0.0, (1.0, 1.0))
