"""What a metric is: a small class that says what it needs, what its figure may be and how sure it is of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

import numpy as np

from evaluators.arrays import Floats
from evaluators.intervals import CUSTOMARY, Estimate, Intervals
from evaluators.metrics.answers import Answers
from evaluators.metrics.facts import Facts

Better = Literal["higher", "lower", "neither"]


class Metric(ABC):
    """A figure of a model over queries.

    title: what configurations and reports call it; needs: the parts of `Facts` that it reads; better: which way is
    good; bounds: the least and the most it can be; decides: whether a choice may rest on it, since every query has a
    value and more is better; own_interval: the one interval it has, whichever is asked for, or "" if it has that;
    depth: the length of the shown lists it reads, 0 for none.
    """

    title: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    better: ClassVar[Better] = "higher"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    decides: ClassVar[bool] = False
    own_interval: ClassVar[str] = ""
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
        """-> [Q] a value per query (NaN: it says nothing), or None where the figure belongs to the whole run."""
        return None

    @abstractmethod
    def mean(self, answers: Answers) -> float:
        """The figure alone; NaN where no query says anything."""

    @abstractmethod
    def estimate(self, answers: Answers, how: Intervals = CUSTOMARY) -> Estimate:
        """The figure with an interval over users."""

    def kind(self, how: Intervals) -> str:
        """Which interval `estimate` really gives when asked for `how`."""
        return self.own_interval or how.method


class QueryMetric(Metric):
    """A metric that is a mean over queries: a subclass gives `title` and `values`."""

    @abstractmethod
    def values(self, answers: Answers) -> Floats: ...

    def mean(self, answers: Answers) -> float:
        return mean_of(self.values(answers))

    def estimate(self, answers: Answers, how: Intervals = CUSTOMARY) -> Estimate:
        return how.of(self.values(answers), answers.users)


class RunMetric(Metric):
    """A metric of all answers together, without a value per query: a subclass gives `mean`, `deviation` and
    `own_interval`, which says where the deviation comes from: the interval is figure ± z·deviation within `bounds`.
    """

    @abstractmethod
    def deviation(self, answers: Answers) -> float:
        """The standard error of the figure over users."""

    def estimate(self, answers: Answers, how: Intervals = CUSTOMARY) -> Estimate:
        return how.around(self.mean(answers), self.deviation(answers), self.bounds)


class AtK(Metric):
    """A metric of the first k places; `reads_list` where it looks at what is shown there."""

    reads_list: ClassVar[bool] = False

    def __init__(self, k: int) -> None:
        self.k = cut_off(k)
        self.depth = self.k if self.reads_list else 0

    @property
    def name(self) -> str:
        return f"{self.title}@{self.k}"

    @classmethod
    def at(cls, ks: Sequence[int]) -> list[Metric]:
        return [cls(k) for k in ks]


def mean_of(values: Floats) -> float:
    """The mean over the queries that say something; values [Q].

    >>> mean_of(np.array([1.0, np.nan, 0.5]))
    0.75
    """
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def cut_off(k: int) -> int:
    """k as a whole number; ValueError unless it is one of at least 1."""
    if int(k) != k or k < 1:
        raise ValueError(
            f"`k >= 1` must hold and k be whole, but got (k={k}); pass the length of the list, as in 10."
        )
    return int(k)


def check_needs(metrics: Iterable[Metric], facts: Facts) -> None:
    """Raise ValueError where a metric needs what is not known.

    >>> from evaluators.metrics.satisfaction import HitRating
    >>> check_needs([HitRating(3)], Facts(weights=lambda: np.ones(2)))
    >>> check_needs([HitRating(3)], Facts())  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: `hit_rating@3` needs the weights or ratings of events, but that is not known here; leave it out...
    """
    for metric in metrics:
        for name in sorted(metric.needs - facts.known):
            raise ValueError(
                f"`{metric.name}` needs {Facts.parts[name]}, but that is not known here; "
                f"leave it out, or give `{name}`."
            )
