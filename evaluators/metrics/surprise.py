"""Whether lists hold more than what everybody takes."""

from __future__ import annotations

import numpy as np

from evaluators.arrays import Floats
from evaluators.metrics.answers import Answers
from evaluators.metrics.base import AtK, QueryMetric


class Novelty(AtK, QueryMetric):
    """How surprising it is that anyone has taken the items shown, in bits:  mean over the list of -log2(people_i / U).

    people_i: users with the item in training, U: users in training. Undefined for an empty list.

    Source: Zhou et al. 2010, "Solving the apparent diversity-accuracy dilemma of recommender systems".

    >>> from evaluators.metrics.facts import Facts, Popularity
    >>> facts = Facts(popularity=lambda: Popularity(np.array([9, 1]), np.array([4, 1]), 4))
    >>> shown = np.array([[0, 1]])
    >>> Novelty(2).values(Answers(np.zeros(1, int), np.arange(2), shown, np.array([0]), 2, facts=facts)).tolist()
    [1.0]
    """

    title, reads_list, needs, bounds = "novelty", True, frozenset({"popularity"}), (0.0, np.inf)

    def values(self, answers: Answers) -> Floats:
        popularity = answers.facts.popularity
        surprise = -np.log2(np.maximum(popularity.people, 1) / popularity.users)
        return answers.mean_of_list(surprise[answers.shown[:, : self.k]], self.k)


class MeanPopularity(AtK, QueryMetric):
    """How often the items shown were taken in training:  mean over the list of events_i. Undefined for an empty list.

    Source: Yin et al. 2012, "Challenging the long tail recommendation".
    """

    title, reads_list, better = "popularity", True, "neither"
    needs, bounds = frozenset({"popularity"}), (0.0, np.inf)

    def values(self, answers: Answers) -> Floats:
        events = answers.facts.popularity.events.astype(np.float64)
        return answers.mean_of_list(events[answers.shown[:, : self.k]], self.k)


class PopularityLift(AtK, QueryMetric):
    """How much more popular the list is than what its user takes:  mean events_i of the list / mean events_i of the
    history - 1; 0 where the model gives people what they are used to. Undefined for an empty list or history.

    Source: Abdollahpouri et al. 2020, "The connection between popularity bias, calibration, and fairness in
    recommendation".
    """

    title, reads_list, better = "popularity_lift", True, "neither"
    needs, bounds = frozenset({"popularity", "histories"}), (-1.0, np.inf)

    def values(self, answers: Answers) -> Floats:
        events = answers.facts.popularity.events.astype(np.float64)
        usual = np.full(len(answers.users), np.nan)
        for rows in answers.blocks(1000):
            owner, columns, _ = answers.facts.histories.of(answers.query[rows])
            count = np.bincount(owner, minlength=rows.stop - rows.start)
            total = np.bincount(owner, events[columns], minlength=len(count))
            usual[rows] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        lift: Floats = answers.mean_of_list(events[answers.shown[:, : self.k]], self.k) / usual - 1
        return lift


class Serendipity(AtK, QueryMetric):
    """Hits that popularity alone would not have made:  Σ_{rank_j < k} max(place_j - expected_j, 0) / k,  place_j =
    (I - rank_j) / I,  expected_j = (I + 1 - popularity rank of the item) / I; items taken equally often share a
    popularity rank, 1 for the most popular.

    Source: Ge, Delgado-Battenfeld & Jannach 2010, "Beyond accuracy", with the expectation as in RecTools.
    """

    title, needs = "serendipity", frozenset({"popularity"})

    def values(self, answers: Answers) -> Floats:
        items = answers.catalogue
        expected = (items + 1 - answers.facts.popularity.rank[answers.columns]) / items
        gain = np.maximum((items - answers.ranks) / items - expected, 0.0)
        return answers.sums(np.where(answers.ranks < self.k, gain, 0.0)) / self.k
