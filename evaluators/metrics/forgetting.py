"""What forgetting is for: lists that do not live in the past, and follow a change of interest."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import DAY, Bools, Floats, Ints, ranges
from evaluators.metrics.answers import Answers
from evaluators.metrics.base import AtK, QueryMetric, RunMetric
from evaluators.metrics.facts import Categories
from evaluators.metrics.order import NDCG

EARLY = 10  # a query this few events after a shift is an early one


class _Staleness(AtK, QueryMetric):
    """A subclass says how old what holds up each item is, per query."""

    reads_list, better = True, "lower"

    @abstractmethod
    def youngest(self, answers: Answers, rows: slice) -> Floats:
        """-> [n, I] the age in days of the youngest event that holds up each item, infinity where none does."""

    def values(self, answers: Answers) -> Floats:
        found = np.full(len(answers.users), np.nan)
        for rows in answers.blocks(answers.catalogue):
            shown = answers.shown[rows, : self.k]
            age = np.take_along_axis(self.youngest(answers, rows), np.maximum(shown, 0).astype(np.int64), 1)
            stale = (shown >= 0) & (age > answers.facts.half_life) & (age < np.inf)
            count = (shown >= 0).sum(1)
            found[rows] = np.where(count > 0, stale.sum(1) / np.maximum(count, 1), np.nan)
        return found


class Staleness(_Staleness):
    """Share of the list held up only by events older than the half-life:  |{i in list : i in the history, and the
    user's last event of i is older than h days}| / |list|.

    An item that the history does not have is held up by nothing, and is not stale. For catalogues in which items are
    taken again; where they are not, `category_staleness` tells. Undefined for an empty list.
    """

    title, needs = "staleness", frozenset({"histories", "half_life", "repeats"})

    def youngest(self, answers: Answers, rows: slice) -> Floats:
        owner, columns, days = answers.facts.histories.of(answers.query[rows])
        return _latest(owner, columns, days, (rows.stop - rows.start, answers.catalogue))


class CategoryStaleness(_Staleness):
    """Share of the list held up only by events older than the half-life, where an item is held up by all events that
    share a category with it:  |{i in list : the user's last event that shares a category with i is older than h days}|
    / |list|. An item whose categories the history does not have is held up by nothing, and is not stale.
    """

    title, needs = "category_staleness", frozenset({"histories", "half_life", "categories"})

    def youngest(self, answers: Answers, rows: slice) -> Floats:
        owner, columns, days = answers.facts.histories.of(answers.query[rows])
        categories, count = answers.facts.categories, rows.stop - rows.start
        begin, end = categories.of_item.offsets[columns], categories.of_item.offsets[columns + 1]
        numbers = categories.of_item.columns[ranges(begin, end)]
        width = end - begin
        by_category = _latest(
            np.repeat(owner, width), numbers, np.repeat(days, width), (count, categories.count)
        )
        return _least_of_items(by_category, categories)


def _latest(owner: Ints, columns: NDArray[np.integer], days: Floats, shape: tuple[int, int]) -> Floats:
    """[shape] the days of each row's last event of each column, infinity for none; events are oldest first."""
    found = np.full(shape, np.inf)
    found[owner, columns] = days  # of equal places the last one written stays, which is the youngest
    return found


def _least_of_items(by_category: Floats, categories: Categories) -> Floats:
    """by_category [n, count] -> [n, I] the least over the categories of each item, infinity for an item without any."""
    lists = categories.of_item
    found = np.full((len(by_category), len(lists)), np.inf)
    has = np.flatnonzero(np.diff(lists.offsets))
    if len(has):
        found[:, has] = np.minimum.reduceat(by_category[:, lists.columns], lists.offsets[has], axis=1)
    return found


class ItemAge(AtK, QueryMetric):
    """Days since the items shown were first taken by anyone in training, at the query's moment: mean over the list.
    Undefined for an empty list.
    """

    title, reads_list, better = "item_age", True, "neither"
    needs, bounds = frozenset({"dates"}), (0.0, np.inf)

    def values(self, answers: Answers) -> Floats:
        dates = answers.facts.dates
        moment = dates.moments[answers.query]
        days = (moment[:, None] - dates.first[answers.shown[:, : self.k]]) / DAY
        return answers.mean_of_list(days, self.k)


class Freshness(AtK, QueryMetric):
    """How much of the catalogue is staler than what is shown:  mean over the list of the share of items whose typical
    event (the median time of their events in training) is earlier than the item's, equals counting half.

    ½ is what a model that is blind to time shows; near 1 the list has only what people take now, near 0 only what they
    used to take. It compares items with each other, so it needs no unit and does not grow as the queries go on.
    Undefined for an empty list.
    """

    title, reads_list, better, needs = "freshness", True, "neither", frozenset({"dates"})

    def values(self, answers: Answers) -> Floats:
        typical = answers.facts.dates.typical
        in_order = np.sort(typical)
        earlier = np.searchsorted(in_order, typical, "left") + np.searchsorted(in_order, typical, "right")
        share = earlier / (2 * len(typical))
        return answers.mean_of_list(share[answers.shown[:, : self.k]], self.k)


class Adaptation(AtK, RunMetric):
    """How much of its usual worth a model has just after its user's interest shifted:  mean NDCG@k of queries with at
    most 10 events since the last shift / mean NDCG@k of all others. 1: it follows at once; below 1: it lags. Undefined
    where there is no query of either kind, or no other that hits.

    Shifts are found in the log, not in the model (`evaluators.shifts`); the segments `adaptation` have the whole curve.
    The interval is linearised over users, as that of a ratio of two means (Cochran 1977, "Sampling Techniques", 6).
    """

    title, needs, bounds = "adaptation", frozenset({"shifts"}), (0.0, np.inf)
    own_interval = "linearised over users"

    def mean(self, answers: Answers) -> float:
        values, early = self._parts(answers)
        if not early.any() or not values[~early].any():
            return float("nan")
        return float(values[early].mean() / values[~early].mean())

    def deviation(self, answers: Answers) -> float:
        values, early = self._parts(answers)
        users, code = np.unique(answers.users, return_inverse=True)
        ratio = self.mean(answers)
        if np.isnan(ratio) or len(users) < 2:
            return 0.0
        usual = values[~early].mean()
        moved = np.where(
            early,
            (values - values[early].mean()) / (usual * early.sum()),
            -ratio * (values - usual) / (usual * (~early).sum()),
        )
        by_user = np.bincount(code, moved, minlength=len(users))
        return float(np.sqrt(len(users) / (len(users) - 1) * ((by_user - by_user.mean()) ** 2).sum()))

    def _parts(self, answers: Answers) -> tuple[Floats, Bools]:
        since = answers.facts.shifts[answers.query]
        return NDCG(self.k).values(answers), (since >= 0) & (since <= EARLY)
