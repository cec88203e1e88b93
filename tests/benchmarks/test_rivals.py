"""Each closed-form rival on a log small enough to work out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.rivals import table
from benchmarks.rivals.actr import ActR
from benchmarks.rivals.base import Moments, Rival
from benchmarks.rivals.grids import RIVALS
from benchmarks.rivals.slist import Slist
from benchmarks.rivals.tale import Tale, recent
from benchmarks.rivals.tifuknn import TifuKnn
from tests.trainers.helpers import crowded, histories_of, packed, queries_of, training
from trainers.histories import Histories
from trainers.log import DAY, PackedLog, TrainingData

HALF_A_DAY_LATER = 1 / math.log(2)  # exp(−1 / this) = ½


def asked(data: TrainingData, user: int, day: float, events: int | None = None) -> Histories:
    """The history of a user at a day: all of their events, or the first few."""
    begin, end = int(data.log.offsets[user]), int(data.log.offsets[user + 1])
    if events is not None:
        end = begin + events
    return histories_of(data, queries_of([(day * DAY, begin, end, [0])]))


def test_tale_learns_what_follows_a_decayed_past() -> None:
    # One target, item 1, a day after item 0: S = [½, 0], T = [0, 1], so B₀₁ = ½ / (¼ + 1).
    data = training(packed([[(0.0, 0), (1.0, 1)], [(0.0, 0)]]))
    rival = Tale(l2=1, tau_train=HALF_A_DAY_LATER, floor=0, tau=HALF_A_DAY_LATER)
    rival.fit(data)
    assert np.allclose(rival.matrix, [[0.0, 0.4], [0.0, 0.0]])
    assert np.allclose(rival.score(asked(data, 1, 5.0)), [[0, 0.4]])
    assert np.allclose(rival.score(asked(data, 0, 5.0)), [[0, 0.2]])  # a moment later


def test_tale_asks_about_the_latest_event_of_an_item_or_about_all() -> None:
    data = training(packed([[(0.0, 0), (1.0, 1)], [(0.0, 0), (1.0, 0)]]))
    rival = Tale(l2=1, tau=HALF_A_DAY_LATER)
    rival.fit(data)
    histories = asked(data, 1, 5.0)
    assert np.allclose(rival.score(histories), [rival.matrix[0]])
    assert np.allclose(
        rival.serving(Tale(l2=1, tau=HALF_A_DAY_LATER, once=False)).score(histories), [1.5 * rival.matrix[0]]
    )


def test_tale_never_forgets_below_its_floor() -> None:
    data = training(packed([[(0.0, 0), (100.0, 1)]]))
    rival = Tale(l2=1, tau_train=1, floor=0.5)
    rival.fit(data)
    assert np.allclose(rival.matrix, [[0.0, 0.4], [0.0, 0.0]])


def test_tale_counts_each_target_of_a_basket() -> None:
    # Items 1 and 2 follow together: two rows of S, so B₀₁ = ½ / (2·¼ + 1).
    data = training(packed([[(0.0, 0), (1.0, 1), (1.0, 2)]]))
    rival = Tale(l2=1, tau_train=HALF_A_DAY_LATER, floor=0)
    rival.fit(data)
    assert np.allclose(rival.matrix[0], [0, 1 / 3, 1 / 3])


def test_tale_normalises_by_the_trend() -> None:
    # Item 1 has two events in the ten days up to day 1, and one up to day 0: S = [½·1, 0], T = [0, 2^−1].
    log = packed([[(0.0, 0), (1.0, 1)], [(0.5, 1)]])
    assert recent(Moments.of(training(log)), 10).tolist() == [1, 2, 1]
    rival = Tale(l2=1, tau_train=HALF_A_DAY_LATER, floor=0, beta=-1, trend=10)
    rival.fit(training(log))
    assert np.allclose(rival.matrix, [[0.0, 0.2], [0.0, 0.0]])


def test_slist_adds_similarity_and_transition() -> None:
    # X = [1, 1], of sum 1 as an input: [½, ½]; S = [1, 0] and T = [0, 1]; both count ½.
    data = training(packed([[(0.0, 0), (1.0, 1)]]))
    rival = Slist(l2=1, alpha=0.5, tau_train=1, tau_user=1e9, tau=HALF_A_DAY_LATER)
    rival.fit(data)
    gram = 0.5 * np.full((2, 2), 0.25) + 0.5 * np.array([[1, 0], [0, 0]]) + np.eye(2)
    cross = 0.5 * np.full((2, 2), 0.5) + 0.5 * np.array([[0, 1], [0, 0]])
    matrix = np.linalg.solve(gram, cross)
    assert np.allclose(rival.matrix, matrix, atol=1e-6)
    assert np.allclose(rival.score(asked(data, 0, 2.0)), [[0.5, 1]] @ matrix, atol=1e-6)


def test_slist_transitions_decay_to_both_sides() -> None:
    # Three moments: S = [1, 0, 0] → T = [0, 1, ½]; S = [½, 1, 0] / 1½ → T = [0, 0, 1].
    data = training(packed([[(0.0, 0), (1.0, 1), (2.0, 2)]]))
    rival = Slist(l2=1, alpha=0, tau_train=HALF_A_DAY_LATER, tau_user=1e9)
    rival.fit(data)
    source = np.array([[1, 0, 0], [1 / 3, 2 / 3, 0]])
    target = np.array([[0, 1, 0.5], [0, 0, 1]])
    assert np.allclose(
        rival.matrix, np.linalg.solve(source.T @ source + np.eye(3), source.T @ target), atol=1e-6
    )


def test_slist_forgets_users_who_left() -> None:
    # User 0 left a day before user 1: their rows count ½.
    data = training(packed([[(0.0, 0), (1.0, 1)], [(1.0, 2), (2.0, 3)]]))
    rival = Slist(l2=1, alpha=0, tau_train=1, tau_user=HALF_A_DAY_LATER)
    rival.fit(data)
    assert rival.matrix[0, 1] == pytest.approx(0.5 / 1.5)
    assert rival.matrix[2, 3] == pytest.approx(0.5)


def test_tifuknn_weighs_baskets_within_and_across_groups() -> None:
    # Three baskets in two groups of two: the first has one basket, item 0; the second items 1 and 2.
    data = training(packed([[(0.0, 0), (1.0, 1), (2.0, 2)], [(0.0, 0)]]))
    rival = TifuKnn(within=0.5, across=0.1, groups=2, k=1, alpha=1)
    rival.fit(data)
    assert np.allclose(rival.score(asked(data, 0, 3.0)), [[0.1 / 2, 0.5 / 2 / 2, 1 / 2 / 2]])


def test_tifuknn_takes_the_nearest_other_user() -> None:
    data = training(packed([[(0.0, 0)], [(0.0, 0), (0.0, 1)], [(0.0, 2)]]))
    rival = TifuKnn(k=1, alpha=0.75)
    rival.fit(data)
    assert np.allclose(rival.score(asked(data, 0, 1.0)), [[1, 0.25, 0]])


def test_actr_base_level_is_a_power_of_age() -> None:
    # Item 0 at ages 4 and 1, item 1 at age 1: (½ + 1) to 1.
    data = training(packed([[(0.0, 0), (3.0, 0), (3.0, 1)]]))
    rival = ActR(decay=0.5, spreading=0)
    rival.fit(data)
    assert np.allclose(rival.score(asked(data, 0, 4.0)), [[0.6, 0.4]])


def test_actr_spreads_to_what_shared_a_session() -> None:
    # Of the two sessions with item 0, both have item 1 and one has item 2.
    log = packed([[(0.0, 0), (0.1, 1)], [(0.0, 0), (0.1, 1), (0.2, 2)], [(0.0, 0), (9.0, 3)]])
    data = training(log)
    rival = ActR(decay=0.5, spreading=3, session=1)
    rival.fit(data)
    only = asked(data, 0, 1.0, events=1)
    assert np.allclose(rival.score(only), [[1, 3 * 2 / 3, 3 * 1 / 3, 0]])
    rival = ActR(spreading=0, matching=1)
    rival.fit(data)
    one, two, three = (2 / math.sqrt(6), 1 / math.sqrt(3), 1 / math.sqrt(3))
    whole = one + two + three
    assert np.allclose(rival.score(only), [[1, one / whole, two / whole, three / whole]])


@pytest.mark.parametrize("name", RIVALS)
def test_every_rival_scores_every_history(name: str) -> None:
    rival, data = RIVALS[name][0](), training(crowded(), 15)
    rival.fit(data)
    queries = data.moments()
    scores = rival.score(histories_of(data, queries))
    assert scores.shape == (len(queries), len(data.catalogue))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", RIVALS)
def test_every_setting_of_a_grid_exists(name: str) -> None:
    kind, steps = RIVALS[name]
    known = kind().settings()
    assert {setting for setting, _ in steps} <= set(known)
    assert set(kind.fitted_by) <= set(known)
    assert all(known[setting] in choices for setting, choices in steps)


def test_a_fit_serves_only_settings_that_it_was_fitted_with() -> None:
    data = training(crowded())
    fitted: Rival = Tale()
    fitted.fit(data)
    served = fitted.serving(Tale(tau=1.0))
    histories = histories_of(data, data.moments())
    alone = Tale(tau=1.0)
    alone.fit(data)
    assert np.allclose(served.score(histories), alone.score(histories))
    with pytest.raises(ValueError, match="`fit` depends on"):
        fitted.serving(Tale(l2=1.0))


def test_nothing_after_the_cut_is_fitted_on() -> None:
    log = crowded()
    shorter = PackedLog(log.offsets, log.items.copy(), log.times, log.weights, log.vocabulary)
    shorter.items[log.times >= 10 * DAY] = 0
    for rival, _ in RIVALS.values():
        one, other = rival(), rival()
        one.fit(training(log, 10))
        other.fit(training(shorter, 10))
        histories = histories_of(training(log, 10), training(log, 10).moments())
        assert np.array_equal(one.score(histories), other.score(histories))


def test_the_table_has_a_row_for_each_rival(tmp_path: Path) -> None:
    book = {
        "data": "films",
        "queries": 10,
        "users": 4,
        "catalogue": 9,
        "rivals": {"A": {"test": {"mean": 0.1, "low": 0.05, "high": 0.15}}},
    }
    file = tmp_path / "rivals-films.json"
    file.write_text(json.dumps(book))
    assert "| A | 0.1000 [0.0500, 0.1500] |" in table.markdown([file])


def test_the_table_says_when_more_epochs_might_have_served_a_library(tmp_path: Path) -> None:
    def book(best: int) -> str:
        entry = {"settings": {"width": 8, "epochs": best}, "val": 0.25, "epochs": {"5": 0.125, "10": 0.25}}
        file = tmp_path / "rivals-films.json"
        file.write_text(json.dumps({"data": "films", "rivals": {"A": entry}}))
        return table.settings([file])

    assert "| width 8, **epochs 10** (5: 0.1250, 10: 0.2500; the last tried) |" in book(10)
    assert "| width 8, **epochs 5** (5: 0.1250, 10: 0.2500) |" in book(5)
