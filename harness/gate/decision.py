"""The gate: may a candidate replace what is live? Every answer comes with its figures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from evaluators import Audit, Evaluation, paired
from harness.gate.settings import GateSettings
from trainers.log import DAY

Pair = tuple[Evaluation, Evaluation]
"""Candidate and other, of the same queries."""


@dataclass(frozen=True)
class Check:
    """One rule of the gate, kept or broken, in words and in figures."""

    rule: str
    passed: bool
    sentence: str
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """What the gate said.

    Attributes:
        against: what it was compared with: `none`, or `champion v3`.
        metric: what was compared; `difference, low, high, p` are candidate minus other, paired by query.
        mode, margin, level: of the comparison.
        checks: each rule, kept or broken.
        decided: when, ISO 8601.
    """

    against: str
    metric: str
    mode: str
    margin: float
    level: float
    difference: float
    low: float
    high: float
    p: float
    checks: tuple[Check, ...]
    decided: str

    @property
    def promoted(self) -> bool:
        """Whether the candidate may become champion: every rule is kept."""
        return all(check.passed for check in self.checks)

    @property
    def reasons(self) -> tuple[str, ...]:
        """One line for each rule, kept or broken."""
        return tuple(check.sentence for check in self.checks)

    def refused(self, rule: str, why: str) -> Decision:
        """The same, kept shut by one rule more."""
        return replace(self, checks=(*self.checks, Check(rule, False, why)))

    def to_dict(self) -> dict[str, Any]:
        """As it is stored with a version."""
        plain = asdict(self) | {"checks": [asdict(check) for check in self.checks]}
        return {"promoted": self.promoted, **plain, "reasons": list(self.reasons)}


def decide(
    gate: GateSettings,
    metric: str,
    candidate: Evaluation,
    other: Evaluation,
    *,
    against: str,
    audit: Audit,
    trained_until: float,
    segments: Mapping[str, Mapping[str, Pair]] | None = None,
    saw_test: str | None = None,
    now: float | None = None,
) -> Decision:
    """Compare two evaluations of the same queries.

    Args:
        candidate, other: of the same queries, with `metric` and what the guardrails name.
        audit: of the split; a leaking split decides nothing.
        trained_until: the candidate's newest event, unix seconds.
        segments: of each kind in `gate.worst_segment`, the pairs by segment (`harness.gate.segments.pairs`).
        saw_test: why the other model's figures cannot be trusted on these queries, if so.
        now: unix seconds; this moment where it is left out.
    """
    now = time.time() if now is None else now
    found = paired(*candidate.shared(other, metric), gate.level)
    passed = found.low > gate.bound
    checks = [
        Check(
            "metric",
            passed,
            f"the {gate.level:.0%} interval of {metric} over {against}, {found.difference:+.4f} [{found.low:+.4f}, "
            f"{found.high:+.4f}], {_is(passed)} above {gate.bound:g}",
            {**found.to_dict(), "bound": gate.bound},
        ),
        *_guardrails(gate, candidate, other),
        *_segments(gate, metric, segments or {}),
    ]
    if gate.freshness_days is not None:
        checks.append(_fresh(gate.freshness_days, (now - trained_until) / DAY))
    if audit.leaks:
        checks.append(Check("audit", False, f"no decision is taken on a split that leaks: {audit.verdict}"))
    if saw_test:
        checks.append(Check("unseen", False, saw_test))
    return Decision(
        against,
        metric,
        gate.mode,
        gate.margin,
        gate.level,
        found.difference,
        found.low,
        found.high,
        found.p,
        tuple(checks),
        datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
    )


def guards(name: str, metric: str) -> bool:
    """Whether a guardrail of this name speaks of a metric: `coverage` of every `coverage@k`, `coverage@5` of one."""
    return name in (metric, metric.partition("@")[0])


def _guardrails(gate: GateSettings, candidate: Evaluation, other: Evaluation) -> Iterator[Check]:
    mine, theirs = candidate.means(), other.means()
    for name, share in gate.guardrails.items():
        for metric in candidate.metrics:
            if guards(name, metric.name):
                yield _guarded(metric.name, metric.better, mine[metric.name], theirs[metric.name], share)


def _guarded(name: str, better: str, mine: float, theirs: float, share: float) -> Check:
    """No more may be lost than this share of the other's mean; what says nothing does not pass."""
    if np.isnan([mine, theirs]).any():
        return Check("guardrail", False, f"{name} says nothing on these queries, so nothing guards it")
    sign = -1 if better == "lower" else 1
    bound = theirs - sign * share * abs(theirs)
    passed = sign * mine >= sign * bound
    side = "at or above" if sign > 0 else "at or below"
    sentence = f"{name} {mine:.3f} {_is(passed)} {side} {bound:.3f} (of {theirs:.3f})"
    return Check(
        "guardrail", passed, sentence, {"metric": name, "mean": mine, "other": theirs, "bound": bound}
    )


def _segments(gate: GateSettings, metric: str, segments: Mapping[str, Mapping[str, Pair]]) -> Iterator[Check]:
    for kind, loss in gate.worst_segment.items():
        figures = {}
        for name, (mine, theirs) in segments.get(kind, {}).items():
            shared = mine.shared(theirs, metric)
            if len(shared[-1]) >= gate.segment_queries:
                figures[name] = {"queries": len(shared[-1]), **paired(*shared, gate.level).to_dict()}
        if not figures:
            yield Check("segment", True, f"no segment by {kind} has {gate.segment_queries} queries", {})
            continue
        worst = min(figures, key=lambda name: figures[name]["low"])
        found = figures[worst]
        passed = found["low"] > -loss
        yield Check(
            "segment",
            passed,
            f"{metric} in the worst segment by {kind}, {worst} ({found['queries']:,} queries), "
            f"{found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}], {_is(passed)} above {-loss:g}",
            {"kind": kind, "worst": worst, "bound": -loss, "segments": figures},
        )


def _fresh(allowed: float, age: float) -> Check:
    passed = age <= allowed
    sentence = (
        f"the newest event of the training data, {age:.1f} days old, {_is(passed)} within {allowed:g} days"
    )
    return Check("freshness", passed, sentence, {"days": age, "bound": allowed})


def _is(passed: bool) -> str:
    return "is" if passed else "is not"
