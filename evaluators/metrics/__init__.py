"""Metrics of a ranking: a value per query first, the mean and its interval second.

A metric is a small class that declares what it needs (`Metric.needs`, parts of `Facts`) and reads `Answers`. One of
your own is a subclass of `QueryMetric` with a `title` and `values`, passed to `resolve` or `evaluate` as an instance.
"""

from evaluators.metrics.answers import Answers
from evaluators.metrics.base import AtK, Metric, QueryMetric, RunMetric, check_needs
from evaluators.metrics.facts import Categories, Dates, Facts, Histories, Popularity
from evaluators.metrics.hits import CappedRecall, HitRate, Precision, Recall, RPrecision
from evaluators.metrics.names import METRICS, resolve
from evaluators.metrics.order import AUC, MAP, MRR, NDCG
from evaluators.metrics.satisfaction import GradedNDCG, HitRating
from evaluators.metrics.spread import Coverage, Entropy, Gini, UserCoverage

__all__ = [
    "AUC",
    "MAP",
    "METRICS",
    "MRR",
    "NDCG",
    "Answers",
    "AtK",
    "CappedRecall",
    "Categories",
    "Coverage",
    "Dates",
    "Entropy",
    "Facts",
    "Gini",
    "GradedNDCG",
    "Histories",
    "HitRate",
    "HitRating",
    "Metric",
    "Popularity",
    "Precision",
    "QueryMetric",
    "RPrecision",
    "Recall",
    "RunMetric",
    "UserCoverage",
    "check_needs",
    "resolve",
]
