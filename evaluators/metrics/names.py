"""Metrics by the names that a configuration may say."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from evaluators.metrics.base import Metric
from evaluators.metrics.forgetting import Adaptation, CategoryStaleness, Freshness, ItemAge, Staleness
from evaluators.metrics.hits import CappedRecall, HitRate, Precision, Recall, RPrecision
from evaluators.metrics.order import AUC, MAP, MRR, NDCG
from evaluators.metrics.satisfaction import GradedNDCG, HitRating
from evaluators.metrics.spread import Coverage, Entropy, Gini, UserCoverage
from evaluators.metrics.surprise import MeanPopularity, Novelty, PopularityLift, Serendipity
from evaluators.metrics.variety import Calibration, Diversity, EmbeddingDiversity

KINDS: tuple[type[Metric], ...] = (
    Precision, Recall, NDCG, MRR, HitRate, MAP, RPrecision, CappedRecall, AUC, GradedNDCG, HitRating,
    Coverage, UserCoverage, Gini, Entropy, Novelty, MeanPopularity, PopularityLift, Serendipity,
    Diversity, EmbeddingDiversity, Calibration, Staleness, CategoryStaleness, ItemAge, Freshness, Adaptation,
)  # fmt: skip
METRICS: dict[str, type[Metric]] = {kind.title: kind for kind in KINDS}


def resolve(names: Iterable[str | Metric], ks: Sequence[int] = (10,)) -> list[Metric]:
    """Metrics for names in a configuration: ``ndcg`` at every k of `ks`, ``ndcg@5`` at 5 alone, an own
    `Metric` as it is.

    Raises ValueError on a name that no metric has, with the nearest, on a cut-off that is not a whole number
    >= 1, and on no metric at all.

    >>> from evaluators.metrics.spread import Coverage
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
