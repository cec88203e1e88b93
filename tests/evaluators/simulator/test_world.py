from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluators.arrays import Ints
from evaluators.simulator import Exponential, Lasting, Parameters, State, Visits, World

PLAIN = Parameters(items=6, fade=np.inf, join=1.0, stay=0.0)


@dataclass
class Same:
    """The same list for everybody; remembers what it was asked."""

    items: tuple[int, ...]
    asked: list[Visits]

    def recommend(self, visits: Visits, k: int) -> Ints:
        self.asked.append(visits)
        return np.tile(np.array([*self.items, *[-1] * k])[:k], (len(visits), 1))


def test_what_is_wanted_by_hand() -> None:
    world = World(replace(PLAIN, repeat=0.75, retention=Exponential(2.0)), days=20)
    items, times = np.array([[3, 5, 3, -1], [-1] * 4]), np.array([[10.0, 8.0, 6.0, -np.inf], [-np.inf] * 4])
    visits = Visits(np.array([0, 1]), np.array([10.0, 10.0]), items, times)
    found = world.wanted(visits, np.array([[3, 5, 0, -1]] * 2))  # what is left: 1, 1/2, 1/4
    appeal = world.appeal_DI[10]
    own = np.array([1.25, 0.5, 0.0]) / 1.75
    assert found[0, :3] == pytest.approx(0.75 * own + 0.25 * appeal[[3, 5, 0]])
    assert found[1, :3] == pytest.approx(appeal[[3, 5, 0]])  # no past: what all want
    assert found[:, 3].tolist() == [0.0, 0.0]
    assert np.sort(appeal)[::-1] == pytest.approx(np.arange(1, 7) ** -0.9 / (np.arange(1, 7) ** -0.9).sum())


def test_appeal_halves_from_birth() -> None:
    world = World(Parameters(items=50, fade=5.0), days=40, seed=3)
    item = int(np.flatnonzero((world.born > 3) & (world.born < 10))[0])
    other = int(np.flatnonzero(world.born < 0)[0])
    day = int(world.born[item])
    assert world.appeal_DI[day, item] == 0
    ratio = world.appeal_DI[[day + 1, day + 6], item] / world.appeal_DI[[day + 1, day + 6], other]
    assert ratio[0] == pytest.approx(ratio[1])  # both halve in five days
    shares = world.appeal_DI * np.exp2((np.arange(40)[:, None] - world.born) / 5)
    assert shares[30, other] / shares[30, item] == pytest.approx(shares[12, other] / shares[12, item])


def test_choices_from_a_list_are_a_logit_with_position_bias_and_an_outside_option() -> None:
    world = World(replace(PLAIN, bias=1.0, outside=0.4), days=2)
    events = world.serve(world.people(40_000), 1.0, [Same((4, 1, 2), [])], k=3)
    first = events.of(np.unique(events.user, return_index=True)[1])  # nobody has a past yet
    weight = world.appeal_DI[0, [4, 1, 2]] / np.array([1, 2, 3])
    expected = weight / (weight.sum() + 0.4)
    found = [(first.item == item).mean() for item in (4, 1, 2)]
    assert found == pytest.approx(expected, abs=0.01)
    assert (first.item == -1).mean() == pytest.approx(1 - expected.sum(), abs=0.01)
    assert first.satisfied[first.item >= 0].mean() == pytest.approx(0.8, abs=0.02)
    assert not first.satisfied[first.item < 0].any()


def test_satisfied_users_come_back_sooner() -> None:
    world = World(replace(PLAIN, later=3.0, gap=0.5, outside=1e-9), days=40)
    gaps = []
    for chance in (1.0, 0.0):
        events = world.serve(world.people(500), 40.0, [Same((0, 1, 2), [])], satisfied=[chance])
        order = np.lexsort((events.time, events.user))
        first = np.r_[True, np.diff(events.user[order]) > 0]
        number = np.arange(len(order)) - np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
        second = events.time[order][number == 1] - events.time[order][np.flatnonzero(number == 1) - 1]
        gaps.append(np.median(second))
    assert gaps[1] / gaps[0] == pytest.approx(3.0, rel=0.15)


def test_arms_are_served_by_their_own_recommender() -> None:
    world, first, second = World(PLAIN, days=9), Same((0, 1), []), Same((4, 5), [])
    arm = np.arange(60) % 2
    events = world.serve(world.people(60), 9.0, [first, second], arm, k=2)
    assert (events.team == arm[events.user]).all()
    assert set(events.item[events.team == 0]) == {-1, 0, 1}
    assert set(events.item[events.team == 1]) == {-1, 4, 5}
    assert all((visits.user % 2 == 0).all() for visits in first.asked)


def test_a_recommender_sees_what_was_before_and_nothing_else() -> None:
    world, asked = World(replace(PLAIN, stay=0.5), days=9), Same((0, 1, 2), [])
    events = world.serve(world.people(30), 9.0, [asked], k=3)
    for visits in asked.asked:
        assert (visits.times < visits.time[:, None]).all()
        for row, user in enumerate(visits.user):
            past = (events.user == user) & (events.time < visits.time[row]) & (events.item >= 0)
            held = visits.items[row][visits.items[row] >= 0]
            assert sorted(held) == sorted(events.item[past])  # fewer than a history holds


def test_interleaved_choices_are_credited_to_whose_item_it_was() -> None:
    world = World(PLAIN, days=9)
    events = world.interleave(world.people(60), 9.0, Same((0, 1, 2), []), Same((3, 4, 5), []), k=3)
    assert (events.team[np.isin(events.item, [0, 1, 2])] == 0).all()
    assert (events.team[np.isin(events.item, [3, 4, 5])] == 1).all()
    assert (events.team[events.item < 0] == -1).all()


def test_by_themselves_users_repeat_as_often_as_they_should() -> None:
    world = World(Parameters(items=5_000, popularity=0.0, repeat=0.4, retention=Lasting()), days=60)
    offsets, items, times = world.roam(world.people(200), 60.0).packed(200)
    again = [
        items[row] in items[begin:row]
        for begin, end in pairwise(offsets)
        for row in range(begin + 1, min(end, begin + 20))
    ]
    assert np.mean(again) == pytest.approx(0.4, abs=0.03)
    assert (np.diff(times)[np.diff(np.repeat(np.arange(200), np.diff(offsets))) == 0] > 0).all()


def test_the_same_seed_is_the_same_world_and_days_go_on() -> None:
    world = World(Parameters(), days=30, seed=5)
    once, again = (world.roam(world.people(50), 30.0) for _ in range(2))
    assert (once.time == again.time).all()
    assert (once.item == again.item).all()
    other = World(Parameters(), days=30, seed=6)
    assert len(other.roam(other.people(50), 30.0)) != len(once)
    state = world.people(50)
    parts = [world.roam(state, stop) for stop in (10.0, 30.0)]
    assert parts[0].time.max() < 10 <= parts[1].time.min()
    assert (state.next >= 30).all()


def test_a_subset_of_users_goes_its_own_way() -> None:
    world = World(PLAIN, days=9)
    state = world.people(20)
    half: State = state.subset(np.arange(10, 20))
    world.roam(half, 9.0)
    assert (state.events == 0).all()
    assert (half.next >= 9).all()
    state.put(np.arange(10, 20), half)
    assert (state.next[10:] == half.next).all()
    assert (state.events[:10] == 0).all()


def test_the_log_is_a_file(tmp_path: Path) -> None:
    world = World(PLAIN, days=9)
    events = world.serve(world.people(20), 9.0, [Same((0, 1), [])])
    events.write(tmp_path / "events.csv")
    read = pd.read_csv(tmp_path / "events.csv")
    assert list(read.columns) == ["user_id", "item_id", "timestamp"]
    assert len(read) == (events.item >= 0).sum() < len(events)
    _, items, times = events.packed(20)
    ordered = read.sort_values(["user_id", "timestamp"])
    assert ordered.item_id.tolist() == items.tolist()
    assert ordered.timestamp.to_numpy() == pytest.approx(times)


def test_a_world_ends() -> None:
    world = World(PLAIN, days=9)
    with pytest.raises(ValueError, match=r"`stop <= days` must hold, but got \(stop=10.0, days=9\)"):
        world.roam(world.people(2), 10.0)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"repeat": 1.0}, r"`0 <= repeat < 1`"), ({"stay": -0.1}, r"`0 <= stay < 1`"),
        ({"satisfied": 1.1}, r"`0 <= satisfied <= 1`"), ({"gap": 0.0}, r"`gap > 0`"),
        ({"outside": 0.0}, r"`outside > 0`"), ({"bias": -1.0}, r"`bias >= 0`"), ({"later": 0.5}, r"`later >= 1`"),
    ],
)  # fmt: skip
def test_bad_parameters(bad: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PLAIN, **bad)  # type: ignore[arg-type]  # of several types
