"""What a log tells beside the answers, by hand on a small one and against plain pandas on a real one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluators import Horizon, Split, split
from evaluators.arrays import DAY
from evaluators.known import Log, facts_of
from evaluators.metrics import Categories
from tests.evaluators.helpers import frame, pack, retail


def small() -> tuple[Split, Log]:
    """Ann: a and b on day 0, a on day 4, then twice b and c on day 9. Bob: a on day 1, then c, which training lacks."""
    days = np.array([0, 0, 4, 9, 9, 9, 1, 8, 10])
    log = pack(frame(list("AAAAAABBB"), list("ababbcaca"), days * DAY))
    made = split(
        *log[:3], len(log.vocabulary), protocol="successive", stage="test", cuts=(0.2, 0.5), repeats=True
    )
    weights = np.array([1, 2, 1, 5, 7, 3, 1, 1, 4], np.float32)
    return made, Log(*log[:3], weights=weights, categories=Categories.of([[1], [0], [0, 1]]))


def test_by_hand() -> None:
    made, log = small()
    facts = facts_of(made, log, repeats=True, half_life=3.0)
    assert made.catalogue.tolist() == [0, 1]
    assert made.queries.user.tolist() == [
        0,
        1,
    ]  # Ann on day 9, Bob on day 10; his day 8 asks for what training lacks
    assert facts.popularity.events.tolist() == [3, 1]
    assert (facts.popularity.people.tolist(), facts.popularity.users) == ([2, 1], 2)
    owner, columns, ages = facts.histories.of(np.array([1, 0]))
    assert (owner.tolist(), columns.tolist()) == ([0, 1, 1, 1], [0, 0, 1, 0])
    assert ages.tolist() == [9, 9, 9, 5]
    assert facts.weights.tolist() == [7, 4]  # the dearer of Ann's two b
    assert (facts.dates.first / DAY).tolist() == [0, 0]
    assert (facts.dates.typical / DAY).tolist() == [1, 0]
    assert (facts.dates.moments / DAY).tolist() == [9, 10]
    assert facts.categories.of_item.columns.tolist() == [1, 0]
    assert facts.shifts.tolist() == [-1, -1]
    assert (facts.half_life, facts.repeats) == (3.0, True)


def test_weights_are_of_all_that_a_horizon_asks_for() -> None:
    """Ann: a for 5 on day 4, b for 2 and c for 1 on day 5, and a once more for 8; what she gave before is not asked."""
    days = np.array([0, 0, 1, 4, 5, 5, 5])
    log = pack(frame(list("AAAAAAA"), list("abcaabc"), days * DAY))
    made = split(
        *log[:3],
        len(log.vocabulary),
        protocol="successive",
        stage="test",
        cuts=(0.2, 0.5),
        repeats=True,
        horizon=Horizon(moments=2),
    )
    weights = np.array([9, 9, 9, 5, 8, 2, 1], np.float32)
    facts = facts_of(made, Log(*log[:3], weights=weights), repeats=True)
    assert made.queries.relevant.tolist() == [0, 1, 2]
    assert facts.weights.tolist() == [8, 2, 1]


def test_what_a_log_lacks_is_not_known() -> None:
    made, log = small()
    bare = facts_of(made, Log(log.offsets, log.items, log.times), repeats=False)
    assert bare.known == {"popularity", "histories", "dates", "shifts"}


def test_counts_of_baskets_are_those_of_pandas() -> None:
    _, log = retail()
    made = split(
        *log[:3], len(log.vocabulary), protocol="successive", stage="test", repeats=True, max_queries=50
    )
    weights = np.random.default_rng(0).random(len(log.items)).astype(np.float32)
    facts = facts_of(made, Log(*log[:3], weights=weights), repeats=True)
    user = np.repeat(np.arange(len(log.offsets) - 1), np.diff(log.offsets))
    events = pd.DataFrame({"u": user, "i": log.items, "t": log.times, "w": weights})
    by_item = events[made.train].groupby("i")
    assert facts.popularity.events.tolist() == by_item.size().tolist()
    assert facts.popularity.people.tolist() == by_item.u.nunique().tolist()
    assert facts.dates.typical == pytest.approx(by_item.t.median().to_numpy(), abs=1e-6)
    queries = made.queries
    for q in range(50):
        asked = events[(events.u == queries.user[q]) & (events.t == queries.time[q])]
        mine = slice(queries.relevant_offsets[q], queries.relevant_offsets[q + 1])
        dearest = asked.groupby("i").w.max()[made.catalogue[queries.relevant[mine]]]
        assert facts.weights[mine] == pytest.approx(dearest.to_numpy())
        _, columns, ages = facts.histories.of(np.array([q]))
        before = events[(events.u == queries.user[q]) & (events.t < queries.time[q])]
        before = before[before.i.isin(made.catalogue)]
        assert made.catalogue[columns].tolist() == before.i.tolist()
        assert ages == pytest.approx(((queries.time[q] - before.t) / DAY).to_numpy())
