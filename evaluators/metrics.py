"""Metrics of a ranking: a value per query first, the mean and its interval second."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Floats, Ints, offsets_of, owners
from evaluators.intervals import Estimate, Method, check_resampling, interval


@dataclass(frozen=True)
class Answers:
    """What a model did with Q queries, all that a metric may read.

    ranks [R], offsets [Q+1]: 0-based ranks of the relevant items, best first within a query, at least one
    each; shown [Q, depth]: the columns shown, -1 for nothing; users [Q]; catalogue: the number of items I.
    """

    ranks: Ints
    offsets: Ints
    shown: NDArray[np.int32]
    users: Ints
    catalogue: int

    @classmethod
    def of(cls, ranks: Sequence[Sequence[int]]) -> Answers:
        """Ranks alone, one list per query, each query another user's: to try a metric by hand.

        >>> Answers.of([[0, 2], [9]]).offsets.tolist()
        [0, 2, 3]
        """
        flat = np.array([rank for query in ranks for rank in query], dtype=np.int64)
        offsets = offsets_of(np.array([len(query) for query in ranks]))
        return cls(flat, offsets, np.empty((len(ranks), 0), np.int32), np.arange(len(ranks)), 0)

    def sums(self, gains: NDArray[np.generic]) -> Floats:
        """gains [R], one per relevant item -> [Q], their sum per query."""
        return np.bincount(owners(self.offsets), gains, minlength=len(self.users)).astype(np.float64)

    def relevant(self) -> Ints:
        """-> [Q] the number of relevant items."""
        return np.diff(self.offsets)


class Metric(ABC):
    """A figure of a model over queries. `depth`: the length of the shown lists it reads, 0 for none."""

    title: ClassVar[str]
    depth: int = 0

    @property
    def name(self) -> str:
        """What reports call it, as in ``ndcg@10``."""
        return self.title

    @classmethod
    def at(cls, ks: Sequence[int]) -> list[Metric]:
        """What a bare name in a configuration means: one metric per cut-off, or just one if it has none."""
        return [cls()]

    def values(self, answers: Answers) -> Floats | None:
        """-> [Q] a value per query, or None where the figure belongs to the whole run."""
        return None

    @abstractmethod
    def mean(self, answers: Answers) -> float:
        """The figure alone."""

    @abstractmethod
    def estimate(
        self,
        answers: Answers,
        level: float = 0.95,
        n: int = 1000,
        seed: int = 0,
        method: Method = "percentile",
    ) -> Estimate:
        """The figure with an interval over users; `method` as in `interval`, for means over queries."""


class QueryMetric(Metric):
    """A metric that is a mean over queries: a subclass gives `title` and `values`."""

    @abstractmethod
    def values(self, answers: Answers) -> Floats: ...

    def mean(self, answers: Answers) -> float:
        return float(self.values(answers).mean())

    def estimate(
        self,
        answers: Answers,
        level: float = 0.95,
        n: int = 1000,
        seed: int = 0,
        method: Method = "percentile",
    ) -> Estimate:
        return interval(self.values(answers), answers.users, level, n, seed, method)


def _cut_off(k: int) -> int:
    if int(k) != k or k < 1:
        raise ValueError(
            f"`k >= 1` must hold and k be whole, but got (k={k}); pass the length of the list, as in 10."
        )
    return int(k)


class _AtK(QueryMetric):
    def __init__(self, k: int) -> None:
        self.k = _cut_off(k)

    @property
    def name(self) -> str:
        return f"{self.title}@{self.k}"

    @classmethod
    def at(cls, ks: Sequence[int]) -> list[Metric]:
        return [cls(k) for k in ks]


class Precision(_AtK):
    """Share of the k places that hold a relevant item:  |{j : rank_j < k}| / k  (k even if fewer are
    relevant).

    Source: Herlocker et al. 2004, "Evaluating collaborative filtering recommender systems".

    >>> Precision(4).values(Answers.of([[0, 2, 9]])).tolist()
    [0.5]
    """

    title = "precision"

    def values(self, answers: Answers) -> Floats:
        return answers.sums(answers.ranks < self.k) / self.k


class Recall(_AtK):
    """Share of the relevant items among the first k:  |{j : rank_j < k}| / R  (R even if it exceeds k).

    Source: Herlocker et al. 2004, "Evaluating collaborative filtering recommender systems".

    >>> Recall(4).values(Answers.of([[0, 2, 5, 9]])).tolist()
    [0.5]
    """

    title = "recall"

    def values(self, answers: Answers) -> Floats:
        return answers.sums(answers.ranks < self.k) / answers.relevant()


class HitRate(_AtK):
    """Share of queries with a relevant item among the first k:  1 if rank_0 < k, else 0.

    Source: Deshpande & Karypis 2004, "Item-based top-N recommendation algorithms".

    >>> HitRate(4).values(Answers.of([[2, 3], [9]])).tolist()
    [1.0, 0.0]
    """

    title = "hit_rate"

    def values(self, answers: Answers) -> Floats:
        return (answers.ranks[answers.offsets[:-1]] < self.k).astype(np.float64)


class NDCG(_AtK):
    """Discounted gain of the first k over the best attainable:  Σ_{rank_j < k} 1/log2(rank_j+2) / Σ_{i <
    min(k,R)} 1/log2(i+2).

    Source: Järvelin & Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques"; gains are 0 or 1.

    >>> NDCG(3).values(Answers.of([[0], [5]])).tolist()
    [1.0, 0.0]
    """

    title = "ndcg"

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

    title = "mrr"

    def values(self, answers: Answers) -> Floats:
        first: Floats = answers.ranks[answers.offsets[:-1]].astype(np.float64)
        return 1 / (first + 1)


class Coverage(Metric):
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

    title = "coverage"

    def __init__(self, k: int) -> None:
        self.k = self.depth = _cut_off(k)

    @property
    def name(self) -> str:
        return f"{self.title}@{self.k}"

    @classmethod
    def at(cls, ks: Sequence[int]) -> list[Metric]:
        return [cls(k) for k in ks]

    def mean(self, answers: Answers) -> float:
        shown = answers.shown[:, : self.k]
        return len(np.unique(shown[shown >= 0])) / answers.catalogue

    def estimate(
        self,
        answers: Answers,
        level: float = 0.95,
        n: int = 1000,
        seed: int = 0,
        method: Method = "percentile",
    ) -> Estimate:
        check_resampling(level, n)
        users, code = np.unique(answers.users, return_inverse=True)
        shown = answers.shown[:, : self.k]
        pairs = np.unique(
            (code[:, None] * answers.catalogue + shown)[shown >= 0]
        )  # one entry per user and item
        audience = np.bincount(pairs % answers.catalogue, minlength=answers.catalogue)
        alone = pairs[audience[pairs % answers.catalogue] == 1] // answers.catalogue
        lost = np.bincount(alone, minlength=len(users)) / answers.catalogue
        deviation = np.sqrt((len(users) - 1) / len(users) * ((lost - lost.mean()) ** 2).sum())
        mean = float((audience > 0).sum()) / answers.catalogue
        reach = NormalDist().inv_cdf((1 + level) / 2) * float(deviation)
        return Estimate(mean, max(0.0, mean - reach), min(1.0, mean + reach))


METRICS: dict[str, type[Metric]] = {
    kind.title: kind for kind in (Precision, Recall, NDCG, MRR, HitRate, Coverage)
}  # what a configuration file may say


def resolve(names: Iterable[str | Metric], ks: Sequence[int] = (10,)) -> list[Metric]:
    """Metrics for names in a configuration: ``ndcg`` at every k of `ks`, ``ndcg@5`` at 5 alone, an own
    `Metric` as it is.

    Raises ValueError on a name that no metric has, with the nearest, on a cut-off that is not a whole number
    >= 1, and on no metric at all.

    >>> [metric.name for metric in resolve(["ndcg", "mrr", "recall@20", Coverage(3)], ks=[5, 10])]
    ['ndcg@5', 'ndcg@10', 'mrr', 'recall@20', 'coverage@3']
    """
    found: dict[str, Metric] = {}
    for entry in names:
        for metric in _named(entry, ks) if isinstance(entry, str) else [entry]:
            found.setdefault(metric.name, metric)
    if not found:
        raise ValueError(
            "at least one metric must be named, but got none; name one of " + ", ".join(METRICS) + "."
        )
    return list(found.values())


def _named(text: str, ks: Sequence[int]) -> list[Metric]:
    title, _, cut = text.partition("@")
    if title not in METRICS:
        near = difflib.get_close_matches(title, METRICS, n=1, cutoff=0)
        raise ValueError(
            f"a metric must be one of {', '.join(METRICS)}, but got {text!r}; did you mean {near[0]!r}?"
        )
    if cut and not cut.isdecimal():
        raise ValueError(
            f"a cut-off must be a whole number >= 1, but got {text!r}; write it as in '{title}@10'."
        )
    made = METRICS[title].at([int(cut)] if cut else ks)
    if cut and made[0].name != text:
        raise ValueError(f"{title} has no cut-off, but got {text!r}; write {title!r}.")
    return made
