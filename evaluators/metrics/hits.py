"""How much of what was right is among the first k."""

from __future__ import annotations

import numpy as np

from evaluators.arrays import Floats, owners
from evaluators.metrics.answers import Answers
from evaluators.metrics.base import AtK, QueryMetric


class Precision(AtK, QueryMetric):
    """Share of the k places that hold a relevant item:  |{j : rank_j < k}| / k  (k even if fewer are
    relevant).

    Source: Herlocker et al. 2004, "Evaluating collaborative filtering recommender systems".

    >>> Precision(4).values(Answers.of([[0, 2, 9]])).tolist()
    [0.5]
    """

    title, decides = "precision", True

    def values(self, answers: Answers) -> Floats:
        return answers.sums(answers.ranks < self.k) / self.k


class Recall(AtK, QueryMetric):
    """Share of the relevant items among the first k:  |{j : rank_j < k}| / R  (R even if it exceeds k).

    Source: Herlocker et al. 2004, "Evaluating collaborative filtering recommender systems".

    >>> Recall(4).values(Answers.of([[0, 2, 5, 9]])).tolist()
    [0.5]
    """

    title, decides = "recall", True

    def values(self, answers: Answers) -> Floats:
        return answers.sums(answers.ranks < self.k) / answers.relevant()


class CappedRecall(AtK, QueryMetric):
    """Hits over the most that k places can hold:  |{j : rank_j < k}| / min(k, R).

    Source: Thakur et al. 2021, "BEIR: a heterogeneous benchmark for zero-shot evaluation of information retrieval
    models"; RecTools calls it R-precision.

    >>> CappedRecall(2).values(Answers.of([[0, 2, 5, 9]])).tolist()
    [0.5]
    """

    title, decides = "capped_recall", True

    def values(self, answers: Answers) -> Floats:
        return answers.sums(answers.ranks < self.k) / np.minimum(self.k, answers.relevant())


class RPrecision(QueryMetric):
    """Precision at the query's own number of relevant items:  |{j : rank_j < R}| / R.

    Source: Buckley & Voorhees 2005, "Retrieval system evaluation", in TREC: Experiment and Evaluation.

    >>> RPrecision().values(Answers.of([[0, 2, 5]])).tolist()
    [0.6666666666666666]
    """

    title, decides = "r_precision", True

    def values(self, answers: Answers) -> Floats:
        relevant = answers.relevant()
        return answers.sums(answers.ranks < relevant[owners(answers.offsets)]) / relevant


class HitRate(AtK, QueryMetric):
    """Share of queries with a relevant item among the first k:  1 if rank_0 < k, else 0.

    Source: Deshpande & Karypis 2004, "Item-based top-N recommendation algorithms".

    >>> HitRate(4).values(Answers.of([[2, 3], [9]])).tolist()
    [1.0, 0.0]
    """

    title, decides = "hit_rate", True

    def values(self, answers: Answers) -> Floats:
        return (answers.first() < self.k).astype(np.float64)
