"""What a run tells of its candidate beside the other models, and what the gate made of that, as plain data."""

from __future__ import annotations

from typing import Any

import evaluators
from evaluators import Intervals
from harness.steps.judging import Outcome
from harness.story.model import half_life_words


def comparisons(outcome: Outcome, metric: str, how: Intervals) -> list[dict[str, Any]]:
    """Candidate minus each other model, paired by query, for every metric that has a value a query."""
    names = {"champion": f"champion v{outcome.champion.version}"} if outcome.champion else {}
    entries = []
    for name, other in outcome.evaluations.items():
        if name == "candidate":
            continue
        entry: dict[str, Any] = {"against": names.get(name, name)}
        for which in dict.fromkeys([metric, *outcome.candidate.values]):
            a, b, users = outcome.candidate.shared(other, which)
            if len(users):
                entry[which] = evaluators.difference(a, b, users, how).to_dict()
        entries.append(entry)
    return entries


def verdict(outcome: Outcome, evaluation: dict[str, Any], metric: str) -> dict[str, Any]:
    """Whether the gate opened, in one sentence with the figures, and by which rules."""
    return {
        "promoted": outcome.decision.promoted,
        "sentence": _sentence(outcome, evaluation, metric),
        "reasons": list(outcome.decision.reasons),
    }


def _sentence(outcome: Outcome, evaluation: dict[str, Any], metric: str) -> str:
    decision = outcome.decision
    figure = evaluation["metrics"][metric]
    than = "the same model without forgetting" if decision.against == "none" else decision.against
    gain = f"{decision.difference:+.4f} [{decision.low:+.4f}, {decision.high:+.4f}]"
    head = "Promoted to champion" if decision.promoted else "Not promoted"
    text = (
        f"{head}: {metric} {figure['mean']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}] on "
        f"{evaluation['queries']:,} test queries, {gain} against {than}"
    )
    words = half_life_words(outcome.package.model)
    return f"{text}; {words}." if words else f"{text}."
