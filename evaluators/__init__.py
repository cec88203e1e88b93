"""Evaluation that cannot see the future: queries, ranks, metrics, significance, segments, audits, simulated
A/B tests.

Works on arrays. A model is anything that scores (`Scorer`); nothing here knows how it was made.
"""

from evaluators.ab import Experiment, simulate
from evaluators.aging import trend
from evaluators.arrays import Csr
from evaluators.audit import Audit, Events, Finding, audit
from evaluators.evaluation import Evaluation, evaluate
from evaluators.intervals import Estimate, Intervals, Method, interval, over_seeds
from evaluators.metrics import (
    METRICS,
    MRR,
    NDCG,
    Answers,
    Coverage,
    Facts,
    HitRate,
    Metric,
    Precision,
    QueryMetric,
    Recall,
    RunMetric,
    check_needs,
    resolve,
)  # fmt: skip
from evaluators.queries import (
    PROTOCOLS,
    Horizon,
    LeaveOneOut,
    Protocol,
    Queries,
    Rolling,
    Seen,
    Split,
    Successive,
    rolls,
    split,
)  # fmt: skip
from evaluators.ranks import ranks, top
from evaluators.scorer import Scorer, blocks
from evaluators.segments import segments
from evaluators.significance import (
    Difference,
    benjamini_hochberg,
    detectable,
    difference,
    holm,
    paired,
    wilcoxon,
)  # fmt: skip

__all__ = [
    "METRICS",
    "MRR",
    "NDCG",
    "PROTOCOLS",
    "Answers",
    "Audit",
    "Coverage",
    "Csr",
    "Difference",
    "Estimate",
    "Evaluation",
    "Events",
    "Experiment",
    "Facts",
    "Finding",
    "HitRate",
    "Horizon",
    "Intervals",
    "LeaveOneOut",
    "Method",
    "Metric",
    "Precision",
    "Protocol",
    "Queries",
    "QueryMetric",
    "Recall",
    "Rolling",
    "RunMetric",
    "Scorer",
    "Seen",
    "Split",
    "Successive",
    "audit",
    "benjamini_hochberg",
    "blocks",
    "check_needs",
    "detectable",
    "difference",
    "evaluate",
    "holm",
    "interval",
    "over_seeds",
    "paired",
    "ranks",
    "resolve",
    "rolls",
    "segments",
    "simulate",
    "split",
    "top",
    "trend",
    "wilcoxon",
]
