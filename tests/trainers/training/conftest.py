"""A log that goes round and round, with a validation period and without."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.trainers import helpers
from trainers.log import TrainingData


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """Round and round: 24 users, 7 training moments with a history each; the days 8 and 9 validate."""
    return helpers.training(helpers.cycle(), 8, validate=True)


@pytest.fixture(scope="module")
def blind(data: TrainingData) -> TrainingData:
    return replace(data, validation=None)
