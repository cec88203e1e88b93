"""Networks of a few dozen parameters are slower on many threads than on one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.trainers import helpers
from trainers.histories import Histories
from trainers.log import TrainingData


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return helpers.training(helpers.crowded(3, users=16), 15, validate=True)


@pytest.fixture(scope="module")
def histories(data: TrainingData) -> Histories:
    assert data.validation is not None
    return helpers.histories_of(data, data.validation)
