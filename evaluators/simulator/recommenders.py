"""Simple recommenders to try on simulated users, and the way to ask the same ones offline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import DAY, Floats, Ints, ranges
from evaluators.queries import Split
from evaluators.simulator.events import START
from evaluators.simulator.retention import Retention
from evaluators.simulator.state import HISTORY, Visits


@dataclass(frozen=True)
class Blend:
    """What a user did, by retention, beside what everybody did:

        score(i) = own · Σ_{events of i} R(age) / Σ_events R(age) + (1 - own) · trend_i.

    trend [I]: each item's share (`trend_of`); retention: R of own events; own: its weight, 0 for popularity alone.
    """

    trend: Floats
    retention: Retention
    own: float = 0.5

    def scores(self, visits: Visits) -> Floats:
        """-> [B, I]"""
        made = np.tile((1 - self.own) * self.trend, (len(visits), 1))
        known = visits.items >= 0
        rows, places = np.nonzero(known)
        left = np.zeros(visits.items.shape)
        left[rows, places] = self.retention(visits.time[rows] - visits.times[rows, places])
        share = self.own * left / np.maximum(left.sum(1, keepdims=True), 1e-300)
        at = rows * made.shape[1] + visits.items[rows, places]
        own = np.bincount(at, share[rows, places], made.size).reshape(made.shape)
        return made + own.astype(np.float64)

    def recommend(self, visits: Visits, k: int) -> Ints:
        scores = self.scores(visits)
        if k >= scores.shape[1]:
            lists = np.argsort(-scores, axis=1, kind="stable")
            return np.pad(lists, ((0, 0), (0, k - scores.shape[1])), constant_values=-1)
        best = np.argpartition(scores, -k, axis=1)[:, -k:]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
        return np.take_along_axis(best, order, 1)


def trend_of(items: Ints, times: Floats, at: float, retention: Retention, count: int) -> Floats:
    """Each item's share of what everybody did before `at`, by retention: items, times [N] (days) -> [count], sum 1.

    >>> from evaluators.simulator.retention import Exponential
    >>> trend_of(np.array([0, 1, 1]), np.array([0.0, 7.0, 9.0]), 8.0, Exponential(8.0), 3).round(3).tolist()
    [0.353, 0.647, 0.0]
    """
    before = times < at
    made: Floats = np.bincount(items[before], retention(at - times[before]), count).astype(np.float64)
    return np.divide(made, max(float(made.sum()), 1e-300))


@dataclass(frozen=True)
class Offline:
    """A `Blend` as a `Scorer` of the queries of a split: history of `width` events at most, as in the world."""

    model: Blend
    split: Split
    items: NDArray[np.integer]
    times: Floats
    width: int = HISTORY

    def score(self, index: slice) -> Floats:
        asked = self.split.queries
        end = asked.end[index]
        begin = np.maximum(asked.begin[index], end - self.width)
        rows = ranges(begin, end)
        owner = np.repeat(np.arange(len(begin)), end - begin)
        place = rows - begin[owner]
        items = np.full((len(begin), self.width), -1, np.int64)
        times = np.full((len(begin), self.width), -np.inf)
        items[owner, place] = self.items[rows]
        times[owner, place] = (self.times[rows] - START) / DAY
        moment = (asked.time[index] - START) / DAY
        return self.model.scores(Visits(asked.user[index], moment, items, times))[:, self.split.catalogue]
