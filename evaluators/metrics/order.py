"""How high what was right stands."""

from __future__ import annotations

import numpy as np

from evaluators.arrays import Floats
from evaluators.metrics.answers import Answers
from evaluators.metrics.base import AtK, QueryMetric


class NDCG(AtK, QueryMetric):
    """Discounted gain of the first k over the best attainable:  Σ_{rank_j < k} 1/log2(rank_j+2) / Σ_{i <
    min(k,R)} 1/log2(i+2).

    Source: Järvelin & Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques"; gains are 0 or 1.

    >>> NDCG(3).values(Answers.of([[0], [5]])).tolist()
    [1.0, 0.0]
    """

    title, decides = "ndcg", True

    def values(self, answers: Answers) -> Floats:
        gains = np.where(answers.ranks < self.k, 1 / np.log2(answers.ranks + 2.0), 0.0)
        ideal = np.cumsum(1 / np.log2(np.arange(self.k) + 2.0))
        best: Floats = ideal[np.minimum(self.k, answers.relevant()) - 1]
        return answers.sums(gains) / best


class MRR(QueryMetric):
    """Reciprocal of the first relevant item's place in the full ranking:  1 / (rank_0 + 1).

    Source: Voorhees 1999, "The TREC-8 question answering track report".

    >>> MRR().values(Answers.of([[3, 8]])).tolist()
    [0.25]
    """

    title, decides = "mrr", True

    def values(self, answers: Answers) -> Floats:
        return 1 / (answers.first().astype(np.float64) + 1)


class MAP(AtK, QueryMetric):
    """Average precision of the first k:  Σ_{rank_j < k} (j+1)/(rank_j+1) / R,  j counted from 0, best first.

    R even if it exceeds k, as trec_eval's `map_cut` and RecTools have it, so that more than k relevant items keep even
    a perfect list below 1.

    Source: Buckley & Voorhees 2000, "Evaluating evaluation measure stability".

    >>> MAP(3).values(Answers.of([[0, 2], [1, 3]])).tolist()
    [0.8333333333333333, 0.25]
    """

    title, decides = "map", True

    def values(self, answers: Answers) -> Floats:
        precision = (answers.nth() + 1.0) / (answers.ranks + 1.0)
        return answers.sums(np.where(answers.ranks < self.k, precision, 0.0)) / answers.relevant()


class AUC(QueryMetric):
    """Chance that a relevant item stands above another one of the catalogue:  1 - Σ_j (rank_j - j) / (R·N).

    N: the items that are neither relevant nor hidden; 1 where there are none. Half is what chance gives, but a tie
    counts against the model, as everywhere, so that a constant score earns 0.

    Source: Hanley & McNeil 1982, "The meaning and use of the area under a receiver operating characteristic curve".

    >>> answers = Answers(np.array([1, 2]), np.array([0, 2]), np.empty((1, 0), np.int32), np.array([0]), 6)
    >>> AUC().values(answers).tolist()
    [0.75]
    """

    title, decides = "auc", True

    def values(self, answers: Answers) -> Floats:
        above = answers.sums(answers.ranks - answers.nth())
        below: Floats = 1 - above / np.maximum(answers.relevant() * answers.candidates, 1)
        return below
