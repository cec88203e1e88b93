"""Learned retention of a user's own items, the slow way."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers import helpers
from tests.trainers.neural import whole
from trainers.log import DAY, Queries
from trainers.networks.habit import MINUTE, Habit, weekend
from trainers.networks.piecewise import PiecewiseLinear

ITEMS = 9
COLUMN = np.arange(ITEMS, dtype=np.int32)
ALL = ("age", "rank", "calendar", "renewal")


def test_weekends_are_those_of_the_calendar() -> None:
    """Saturdays and Sundays in UTC, before 1970 too."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    days = np.random.default_rng(0).uniform(-20_000, 25_000, 500)
    expected = [(epoch + timedelta(days=day)).weekday() >= 5 for day in days]
    assert weekend(torch.from_numpy(days)).tolist() == expected
    edges = torch.tensor([1.999, 2.0, 3.999, 4.0], dtype=torch.float64)  # 1970-01-03 was a Saturday
    assert weekend(edges).tolist() == [False, True, True, False]


def stirred(**parts: bool) -> Habit:
    torch.manual_seed(7)
    habit = Habit(ITEMS, **{name: parts.get(name, False) for name in ALL})
    with torch.no_grad():
        for parameter in habit.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))
        habit.log_interval.copy_(torch.randn(ITEMS))
    return habit


def interpolated(line: PiecewiseLinear, x: float) -> float:
    knots = line.low + line.step * np.arange(line.knots)
    return float(np.interp(x, knots, line.values.detach().numpy()))


def slowly(habit: Habit, log: Any, queries: Queries, most: int) -> dict[tuple[int, int], float]:
    """gain · log1p(Σ …) of each moment's items, event by event."""
    found: dict[tuple[int, int], float] = {}
    for query in range(len(queries)):
        end = int(queries.end[query])
        rows = range(max(int(queries.begin[query]), end - most), end)
        times = log.times[queries.begin[query] : end]
        left: dict[int, float] = defaultdict(float)
        for row in rows:
            seconds, item = queries.time[query] - log.times[row], int(log.items[row])
            days = seconds / DAY
            kept = habit.base.item()
            if habit.age is not None:
                kept += interpolated(habit.age, math.log(days))
            if habit.rank is not None:
                kept += interpolated(habit.rank, math.log2(1 + len(set(times[times > log.times[row]]))))
            if habit.renewal is not None:
                kept += interpolated(habit.renewal, math.log(days) - float(habit.log_interval[item]))
            if habit.hours is not None:
                then, now = (
                    datetime.fromtimestamp(float(at), UTC) for at in (log.times[row], queries.time[query])
                )
                apart = abs(then.hour + then.minute / 60 - now.hour - now.minute / 60)
                alike = (then.weekday() >= 5) == (now.weekday() >= 5)
                line = habit.hours[0 if alike else 1]
                assert isinstance(line, PiecewiseLinear)
                kept += interpolated(line, min(apart, 24 - apart))
            left[item] += math.exp(min(kept, 20.0))
        found |= {(query, item): habit.gain.item() * math.log1p(total) for item, total in left.items()}
    return found


def eventful(seed: int) -> Any:
    """Times to the minute over six weeks, several events of a second, items again and again."""
    rng = np.random.default_rng(seed)
    users: list[list[helpers.Event]] = []
    for _ in range(8):
        days = np.sort(rng.integers(0, 60_000, rng.integers(2, 25)) / 1440)
        days[1::4] = days[::4][: len(days[1::4])]
        users.append([(float(day), int(rng.integers(ITEMS)) % 5) for day in np.sort(days)])
    return helpers.packed(users, ITEMS)


@pytest.mark.parametrize(
    "parts", [ALL, (), *((name,) for name in ALL)], ids=lambda parts: "+".join(parts) or "none"
)
@pytest.mark.parametrize("most", [50, 4])
def test_habits_against_a_double_loop(parts: tuple[str, ...], most: int) -> None:
    """An item that came again counts once, with all that is left of its events added up before the logarithm."""
    habit = stirred(**dict.fromkeys(parts, True))
    log = eventful(1)
    queries = helpers.training(log).moments()
    batch = whole(log, queries, COLUMN, most)
    cells = habit(batch)
    expected = slowly(habit, log, queries, most)
    places = list(zip(cells.row.tolist(), cells.column.tolist(), strict=True))
    assert sorted(places) == sorted(expected)
    assert cells.value.tolist() == pytest.approx([expected[place] for place in places], rel=1e-3, abs=1e-4)


def test_it_begins_as_a_power_curve() -> None:
    """(1 + age / 7 days)^−½, times e²; nothing else is felt at first."""
    habit = Habit(ITEMS, age=True, rank=True, calendar=True, renewal=True)
    log = helpers.packed([[(0, 0), (10, 1), (20, 0), (40, 2)]], ITEMS)
    queries = helpers.training(log).moments().take(np.array([2]))
    kept = torch.exp(habit.log_weights(whole(log, queries, COLUMN, 9)))[0, 0]
    expected = [math.exp(2) * (1 + age / 7) ** -0.5 for age in (40, 30, 20)]
    assert kept.tolist() == pytest.approx(expected, rel=0.03)


def test_the_first_knot_is_at_a_minute() -> None:
    """A second is as a minute."""
    habit = stirred(age=True)
    log = helpers.packed([[(1, 0), (1 + MINUTE, 1)], [(1, 0), (1 + MINUTE / 60, 1)]], ITEMS)
    weights = habit.log_weights(whole(log, helpers.training(log).moments(), COLUMN, 9))
    assert weights[:, 0, 0].tolist() == pytest.approx([weights[0, 0, 0].item()] * 2, abs=1e-4)


def test_what_is_left_does_not_overflow() -> None:
    habit = stirred(age=True)
    with torch.no_grad():
        habit.base.fill_(500.0)
    log = eventful(2)
    values = habit(whole(log, helpers.training(log).moments(), COLUMN, 50)).value
    assert torch.isfinite(values).all()


def test_factors_are_what_weighs_an_event_beside_its_highest() -> None:
    """Differences of log weights are those of log factors, function by function."""
    habit = stirred(**dict.fromkeys(ALL, True))
    told = {factor.name: factor for factor in habit.factors()}
    assert [(name, factor.unit) for name, factor in told.items()] == [
        ("age", "days"),
        ("later moments", "moments"),
        ("interval", "intervals"),
        ("hours apart, same kind of day", "hours"),
        ("hours apart, other kind of day", "hours"),
    ]
    for name, line, x in (
        ("age", habit.age, math.log(3.0)),
        ("later moments", habit.rank, math.log2(1 + 3.0)),
        ("interval", habit.renewal, math.log(3.0)),
    ):
        factor = told[name]
        assert factor.share.max() == pytest.approx(1.0)
        assert isinstance(line, PiecewiseLinear)
        begin = float(factor.at[0] == 0)
        between = np.interp(math.log(3.0 + begin), np.log(factor.at + begin), np.log(factor.share))
        assert between == pytest.approx(interpolated(line, x) - line.values.max().item(), abs=1e-5)
    both = [told[f"hours apart, {kind} kind of day"].share for kind in ("same", "other")]
    assert max(share.max() for share in both) == pytest.approx(1.0)
    assert min(share.max() for share in both) < 1.0
    assert Habit(ITEMS, age=False, rank=False, calendar=False, renewal=False).factors() == []
