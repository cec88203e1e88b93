"""A share of the users to train on: what a search can afford for every trial."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from trainers.log import TrainingData


def of_users(data: TrainingData, share: float, seed: int) -> TrainingData:
    """The training events of a share of the users that have any, in the order in which the seed shuffles them: those of
    a smaller share are among those of a larger one. Catalogue, cut and validation queries stay those of all."""
    begin = data.log.offsets[:-1]
    there = np.flatnonzero(data.stop > begin)
    chosen = np.random.default_rng(seed).permutation(there)[: math.ceil(share * len(there) - 1e-9)]
    stop = np.array(begin)
    stop[chosen] = data.stop[chosen]
    return replace(data, stop=stop)
