"""A share of the users: nested, seeded, and nothing else of the data is touched."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tests.trainers import helpers
from trainers.fitting.shares import of_users
from trainers.log import TrainingData


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return helpers.training(helpers.crowded(7, users=30), 15, validate=True)


def users(data: TrainingData) -> set[int]:
    """Those that are learned from."""
    return set(data.log.users_of(data.rows).tolist())


def test_a_smaller_share_lies_in_a_larger_one(data: TrainingData) -> None:
    everybody = users(data)
    assert len(everybody) < data.log.users  # some have no training event
    found = [users(of_users(data, share, 3)) for share in (1 / 9, 1 / 3, 0.8, 1.0)]
    assert [len(each) for each in found] == [
        int(np.ceil(share * len(everybody) - 1e-9)) for share in (1 / 9, 1 / 3, 0.8, 1)
    ]
    assert all(small < large for small, large in pairwise(found))
    assert found[-1] == everybody


def test_the_seed_decides_whose(data: TrainingData) -> None:
    assert users(of_users(data, 0.5, 3)) == users(of_users(data, 0.5, 3)) != users(of_users(data, 0.5, 4))


def test_whoever_is_chosen_keeps_all_events_and_the_rest_of_the_data_stays(data: TrainingData) -> None:
    few = of_users(data, 0.4, 1)
    for user in range(data.log.users):
        counts = [int(each.counts(slice(user, user + 1))[0]) for each in (few, data)]
        assert counts[0] == (counts[1] if user in users(few) else 0)
    whole, part = data.moments(), few.moments()
    kept = np.isin(data.log.users_of(whole.begin), list(users(few)))
    assert helpers.same_queries(part, whole.take(np.flatnonzero(kept)))
    assert few.validation is data.validation
    assert few.catalogue is data.catalogue
    assert few.end == data.end
