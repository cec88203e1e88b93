"""Whether people liked what they found, by the ratings or weights of their events."""

from __future__ import annotations

import numpy as np

from evaluators.arrays import Floats, owners
from evaluators.metrics.answers import Answers
from evaluators.metrics.base import AtK, QueryMetric


class GradedNDCG(AtK, QueryMetric):
    """NDCG in which a relevant item gains its weight:  Σ_{rank_j < k} w_j/log2(rank_j+2) over the same of the best
    order, the largest weights first; w_j the largest weight of the item's events at the moment. 0 where none
    weighs anything.

    Source: Järvelin & Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques", with gains as they are.

    >>> from evaluators.metrics.facts import Facts
    >>> facts = Facts(weights=lambda: np.array([1.0, 3.0]))
    >>> none = np.empty((1, 0), np.int32)
    >>> GradedNDCG(1).values(Answers(np.array([0, 1]), np.array([0, 2]), none, np.array([0]), 9, facts=facts)).tolist()
    [0.3333333333333333]
    """

    title, needs, decides = "graded_ndcg", frozenset({"weights"}), True

    def values(self, answers: Answers) -> Floats:
        weights = answers.facts.weights[answers.place]
        gained = np.where(answers.ranks < self.k, weights / np.log2(answers.ranks + 2.0), 0.0)
        best_first, nth = np.lexsort((-weights, owners(answers.offsets))), answers.nth()
        best = answers.sums(np.where(nth < self.k, weights[best_first] / np.log2(nth + 2.0), 0.0))
        return np.divide(answers.sums(gained), best, out=np.zeros_like(best), where=best > 0)


class HitRating(AtK, QueryMetric):
    """What people thought of what they found:  the mean weight of the relevant items with rank_j < k. Undefined for a
    query without a hit.

    Source: Herlocker et al. 2004, "Evaluating collaborative filtering recommender systems", 5.5.
    """

    title, needs, bounds = "hit_rating", frozenset({"weights"}), (0.0, np.inf)

    def values(self, answers: Answers) -> Floats:
        hit = answers.ranks < self.k
        count = answers.sums(hit)
        total = answers.sums(np.where(hit, answers.facts.weights[answers.place], 0.0))
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)
