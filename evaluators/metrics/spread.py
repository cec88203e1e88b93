"""How a model spreads its lists over the catalogue, and over people."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Floats, Ints
from evaluators.metrics.answers import Answers
from evaluators.metrics.base import AtK, QueryMetric, RunMetric


class Coverage(AtK, RunMetric):
    """Share of the catalogue that a list of k showed to anyone:  |∪_q shown_q[:k]| / I.

    Source: Ge, Delgado-Battenfeld & Jannach 2010, "Beyond accuracy: evaluating recommender systems by
    coverage and serendipity".

    The interval is a delete-one-user jackknife. Users drawn with replacement are only about 63 % distinct,
    show fewer items, and would put the interval below the figure itself. Leaving out user u loses just the
    q_u items that nobody else was shown, so the replicates need no drawing:  se² = (U-1)/U · Σ_u (q_u - q̄)²
    / I²,  interval = figure ± z·se within [0, 1] (Heltshe & Forrester 1983, "Estimating species richness
    using the jackknife procedure"). The jackknife's variance is never too small on average (Efron & Stein
    1981), so the interval errs on the wide side.

    >>> shown = np.array([[0, 1], [0, 2], [0, 1]])
    >>> Coverage(2).mean(Answers(np.zeros(3, int), np.arange(4), shown, np.array([5, 6, 5]), 10))
    0.3
    """

    title, reads_list, own_interval = "coverage", True, "jackknife over users"

    def mean(self, answers: Answers) -> float:
        shown = answers.shown[:, : self.k]
        return len(np.unique(shown[shown >= 0])) / answers.catalogue

    def deviation(self, answers: Answers) -> float:
        users, code = np.unique(answers.users, return_inverse=True)
        shown = answers.shown[:, : self.k]
        # One entry per user and item.
        pairs = np.unique((code[:, None] * answers.catalogue + shown)[shown >= 0])
        audience = np.bincount(pairs % answers.catalogue, minlength=answers.catalogue)
        alone = pairs[audience[pairs % answers.catalogue] == 1] // answers.catalogue
        lost = np.bincount(alone, minlength=len(users)) / answers.catalogue
        return float(np.sqrt((len(users) - 1) / len(users) * ((lost - lost.mean()) ** 2).sum()))


class UserCoverage(AtK, QueryMetric):
    """Share of queries that were shown anything among the first k.

    Source: Ge, Delgado-Battenfeld & Jannach 2010, "Beyond accuracy", prediction coverage.

    >>> shown = np.array([[0, -1], [-1, -1]])
    >>> UserCoverage(2).values(Answers(np.zeros(2, int), np.arange(3), shown, np.array([5, 6]), 10)).tolist()
    [1.0, 0.0]
    """

    title, reads_list = "user_coverage", True

    def values(self, answers: Answers) -> Floats:
        covered: Floats = ((answers.shown[:, : self.k] >= 0).sum(axis=1) > 0).astype(np.float64)
        return covered


class _Exposure(AtK, RunMetric):
    """A figure of how often each item was shown: a subclass gives `figure` and `slope`.

    The interval is an infinitesimal jackknife over users. With n_ui how often user u was shown item i, and slope_i the
    figure's derivative by item i's count, user u moves the figure by d_u = Σ_i n_ui·slope_i:  se² = U/(U-1) · Σ_u
    (d_u - d̄)²  (Efron 1982, "The jackknife, the bootstrap and other resampling plans", 6; Langel & Tillé 2013,
    "Variance estimation of the Gini index").
    """

    reads_list, own_interval = True, "linearised over users"

    @abstractmethod
    def figure(self, counts: Floats) -> float:
        """counts [I] of an item shown at all -> the figure."""

    @abstractmethod
    def slope(self, counts: Floats) -> Floats:
        """-> [I] the derivative of `figure` by each count."""

    def mean(self, answers: Answers) -> float:
        counts = self._counts(answers)
        return self.figure(counts) if counts.any() else float("nan")

    def deviation(self, answers: Answers) -> float:
        users, code = np.unique(answers.users, return_inverse=True)
        counts = self._counts(answers)
        if len(users) < 2 or not counts.any():
            return 0.0
        shown = answers.shown[:, : self.k]
        moved = np.where(shown >= 0, self.slope(counts)[shown], 0.0).sum(1)
        by_user = np.bincount(code, moved, minlength=len(users))
        return float(np.sqrt(len(users) / (len(users) - 1) * ((by_user - by_user.mean()) ** 2).sum()))

    def _counts(self, answers: Answers) -> Floats:
        shown: NDArray[np.int32] = answers.shown[:, : self.k]
        return np.bincount(shown[shown >= 0], minlength=answers.catalogue).astype(np.float64)


class Gini(_Exposure):
    """Inequality of how often the items of the catalogue are shown:  Σ_i (2i - I - 1)·c_(i) / (I·Σc),  c_(1) <= … <=
    c_(I) with i from 1; 0 where all are shown alike, 1 - 1/I where one is shown alone.

    Source: Fleder & Hosanagar 2009, "Blockbuster culture's next rise or fall"; Gini 1912.

    >>> shown = np.array([[0], [0], [0], [1]])
    >>> Gini(1).mean(Answers(np.zeros(4, int), np.arange(5), shown, np.arange(4), 2))
    0.25
    """

    title, better = "gini", "lower"

    def figure(self, counts: Floats) -> float:
        return gini(counts)

    def slope(self, counts: Floats) -> Floats:
        items, total = len(counts), counts.sum()
        slope: Floats = (2 * _middle_ranks(counts) - items - 1 - items * self.figure(counts)) / (
            items * total
        )
        return slope


class Entropy(_Exposure):
    """Shannon entropy of how often the items are shown, in bits:  -Σ_i p_i·log2 p_i,  p_i = c_i / Σc; 2^H items shown
    alike would have as much.

    Source: Shannon 1948; Adomavicius & Kwon 2012, "Improving aggregate recommendation diversity".

    >>> shown = np.array([[0], [0], [1], [1]])
    >>> Entropy(1).mean(Answers(np.zeros(4, int), np.arange(5), shown, np.arange(4), 9))
    1.0
    """

    title, bounds = "entropy", (0.0, np.inf)

    def figure(self, counts: Floats) -> float:
        p = counts[counts > 0] / counts.sum()
        return max(0.0, float(-(p * np.log2(p)).sum()))

    def slope(self, counts: Floats) -> Floats:
        p = counts / counts.sum()
        logs = np.log2(p, out=np.zeros_like(p), where=p > 0)
        slope: Floats = -(logs + self.figure(counts)) / counts.sum()
        return slope


def gini(counts: Floats) -> float:
    """Gini coefficient of counts [I], one of them above 0.

    >>> gini(np.array([1.0, 1.0, 1.0]))
    0.0
    >>> gini(np.array([0.0, 0.0, 3.0]))  # the most unequal three can be: 1 − 1/I
    0.6666666666666666
    """
    items = len(counts)
    return float((2 * np.arange(1, items + 1) - items - 1) @ np.sort(counts) / (items * counts.sum()))


def _middle_ranks(values: Floats) -> Floats:
    """[I] -> [I] ranks from 1, the middle one among equals.

    >>> _middle_ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    ends: Ints = np.cumsum(size)
    middle: Floats = (ends - (size - 1) / 2)[group]
    return middle
