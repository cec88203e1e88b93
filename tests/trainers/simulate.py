"""Logs made by a known curve: what a user takes at a moment is drawn from the model that the likelihood assumes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainers.forgetting import Forgetting, ForgettingSettings, build
from trainers.log import DAY, PackedLog, TrainingData

Floats = npt.NDArray[np.float64]


def curve(family: str, **values: object) -> Forgetting:
    return build(ForgettingSettings.model_validate({"family": family, **values}))


def simulated(
    known: Forgetting,
    *,
    users: int = 200,
    moments: int = 60,
    items: int = 2000,
    own: float = 0.7,
    gap: float = 2.0,
    stretch: Floats | None = None,
    types: int = 1,
    by_type: Floats | None = None,
    seed: int = 0,
) -> PackedLog:
    """A log in which every user takes one item a moment: with the chance `own` one of their past events' items, each by
    its retention, else any item, all alike.

    Args:
        gap: the usual time between moments in days; log-normal within a user and between users, hours to weeks.
        stretch: [users] how many times longer than the known curve each user's ages are.
        types: events are of so many types at random.
        by_type: [types] how many times longer the ages of each event type are.
    """
    random = np.random.default_rng(seed)
    factor = np.ones(users) if stretch is None else stretch
    of_type = np.ones(types) if by_type is None else by_type
    pace = gap * random.lognormal(0.0, 1.2, (users, 1))
    days = np.cumsum(pace * random.lognormal(-0.5, 1.0, (users, moments)) + 1e-4, axis=1)
    taken = random.integers(0, items, (users, moments))
    kind = random.integers(0, types, (users, moments))
    for step in range(1, moments):
        ages = days[:, step, None] - days[:, :step]
        later = np.broadcast_to(np.arange(step - 1, -1, -1.0), ages.shape)
        longer = factor[:, None] * of_type[kind[:, :step]]
        left = known.retention(ages / longer, later / longer)
        chance = np.cumsum(left, axis=1)
        drawn = (random.random(users)[:, None] * chance[:, -1:] > chance).sum(1)
        again = random.random(users) < own
        taken[again, step] = taken[np.flatnonzero(again), drawn[again]]
    return PackedLog(
        np.arange(users + 1, dtype=np.int64) * moments,
        taken.reshape(-1).astype(np.int32),
        days.reshape(-1) * DAY,
        np.ones(users * moments, np.float32),
        items,
        kind.reshape(-1).astype(np.int16),
    )


def trained(log: PackedLog, share: float = 0.7) -> TrainingData:
    """What may be fitted on: the first `share` of every user's events. What came after is held out."""
    counts = np.diff(log.offsets)
    stop = log.offsets[:-1] + np.ceil(counts * share).astype(np.int64)
    rows = np.concatenate([np.arange(a, b) for a, b in zip(log.offsets[:-1], stop, strict=True)])
    catalogue = np.unique(log.items[rows]).astype(np.int64)
    column = np.full(log.vocabulary, -1, np.int32)
    column[catalogue] = np.arange(len(catalogue))
    return TrainingData(log, stop, catalogue, column, float(log.times[rows].max()))
