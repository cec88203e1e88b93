"""The likelihood's data: what is counted, and that a user's own counts are taken out of it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.trainers import helpers
from trainers.curves.choices import Choices, Crowd
from trainers.log import TrainingData


@pytest.fixture(scope="module")
def crowd(data: TrainingData) -> Crowd:
    return Crowd.of(data)


def without(data: TrainingData, user: int) -> tuple[np.ndarray, np.ndarray]:
    """pop + 1 and K, counted from the training events of everybody else."""
    items = len(data.catalogue)
    events, held = np.ones(items), np.zeros((data.log.users, items))
    for other in range(data.log.users):
        if other != user:
            for row in range(int(data.log.offsets[other]), int(data.stop[other])):
                column = data.column[data.log.items[row]]
                events[column] += 1
                held[other, column] = 1
    both = held.T @ held
    np.fill_diagonal(both, 0)
    return events / events.sum(), both / np.maximum(both.sum(0), 1)


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("repeats", [False, True])
def test_choices_are_those_counted_by_hand_without_the_user(
    data: TrainingData, crowd: Crowd, held_out: bool, repeats: bool
) -> None:
    queries = data.validation if held_out else data.moments()
    assert queries is not None
    choices = Choices.of(data, queries, crowd, repeats=repeats, most=1000, sample=10**6, each=10**6)
    histories = helpers.histories_of(data, queries)
    targets = int((queries.targets >= 0).sum())
    assert len(choices) == targets
    assert np.array_equal(choices.days, histories.days)
    assert np.array_equal(choices.moments, histories.moments)
    place = np.repeat(np.arange(len(queries)), np.diff(queries.target_offsets))
    for target in range(targets):
        user = int(data.log.users_of(queries.begin[[place[target]]])[0])
        column = int(queries.targets[target])
        popular, kernel = without(data, user)
        assert choices.users[target] == user
        assert choices.popular[target] == pytest.approx(popular[column])
        mine = slice(int(histories.offsets[place[target]]), int(histories.offsets[place[target] + 1]))
        events = histories.columns[mine]
        related = choices.sources["related"].toarray()[target]
        np.testing.assert_allclose(related[mine], kernel[column, events], atol=1e-6)
        assert related.sum() == pytest.approx(related[mine].sum())
        if repeats:
            assert np.array_equal(choices.sources["own"].toarray()[target][mine], events == column)
    assert choices.names == (("popular", "own", "related") if repeats else ("popular", "related"))


def test_a_sample_is_bounded_and_the_same_by_its_seed(data: TrainingData, crowd: Crowd) -> None:
    def of(seed: int) -> Choices:
        return Choices.of(data, data.moments(), crowd, repeats=True, most=3, sample=20, each=2, seed=seed)

    one, again, other = of(0), of(0), of(1)
    assert 10 < len(one) <= 20
    assert np.bincount(one.moment).max() <= 2
    assert np.diff(one.offsets).max() <= 3
    assert np.array_equal(one.days, again.days)
    assert np.array_equal(one.popular, again.popular)
    assert not np.array_equal(one.days, other.days)
    assert set(one.groups) == {"event_type", "category", "user"}


def test_the_kernel_of_some_users_leaves_the_others_untouched(data: TrainingData) -> None:
    crowd = Crowd.of(data, most=5)
    assert int((crowd.distinct > 0).sum()) <= 5
    assert np.array_equal(crowd.popular, Crowd.of(data).popular)


def test_choices_of_the_crowd_count_what_came_before(data: TrainingData) -> None:
    choices = Choices.of_crowd(data, sample=10**6, each=10**6)
    queries, log = data.moments(), data.log
    times, columns = log.times[data.rows], data.column[log.items[data.rows]]
    place = np.repeat(np.arange(len(queries)), np.diff(queries.target_offsets))
    assert len(choices) == len(place)
    mine = choices.sources["recent"] * choices.mass
    for target, query in enumerate(place.tolist()):
        before = times < queries.time[query]
        events = slice(int(choices.offsets[query]), int(choices.offsets[query + 1]))
        assert choices.mass[events].sum() == before.sum()
        assert mine.toarray()[target].sum() == pytest.approx(
            (columns[before] == queries.targets[target]).sum()
        )
        ages = np.sort((queries.time[query] - times[before]) / 86_400)
        read = np.sort(np.repeat(choices.days[events], choices.mass[events].astype(int)))
        np.testing.assert_allclose(read, ages, rtol=0.2)


def test_choices_need_a_moment_with_a_history() -> None:
    data = helpers.training(helpers.packed([[(0.0, 0)], [(1.0, 1)]]))
    with pytest.raises(ValueError, match="a history before it"):
        Choices.of(data, data.moments(), Crowd.of(data), repeats=True)
