"""The gate: may a candidate replace what is live? Every answer comes with its figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluators import Audit, Evaluation, paired
from harness.settings import GateSettings


@dataclass(frozen=True)
class Decision:
    """What the gate said.

    Attributes:
        promoted: whether the candidate may become champion.
        against: what it was compared with: `none`, or `champion v3`.
        metric: what was compared; `difference, low, high, p` are candidate minus other, paired by query.
        reasons: one line for each rule, kept or broken.
    """

    promoted: bool
    against: str
    metric: str
    difference: float
    low: float
    high: float
    p: float
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "reasons": list(self.reasons)}


def decide(
    gate: GateSettings,
    metric: str,
    candidate: Evaluation,
    other: Evaluation,
    users: npt.NDArray[np.integer],
    *,
    against: str,
    audit: Audit,
    saw_test: str | None = None,
) -> Decision:
    """Compare two evaluations of the same queries.

    Args:
        candidate, other: of the same queries, with `metric` and a coverage.
        users: [Q] whose query it is.
        audit: of the split; a leaking split decides nothing.
        saw_test: why the other model's figures cannot be trusted on these queries, if so.
    """
    found = paired(candidate.values[metric], other.values[metric], users, gate.level)
    checks = [
        (
            found.low > gate.margin,
            f"the {gate.level:.0%} interval of {metric} over {against}, {found.difference:+.4f} [{found.low:+.4f}, "
            f"{found.high:+.4f}], {{}} above {gate.margin:g}",
        )
    ]
    mine, theirs = candidate.means(), other.means()
    for name in mine:
        if name.startswith("coverage"):
            least = theirs[name] * (1 - gate.coverage_loss)
            checks.append(
                (
                    mine[name] >= least,
                    f"{name} {mine[name]:.3f} {{}} at or above {least:.3f} (of {theirs[name]:.3f})",
                )
            )
    reasons = [text.format("is" if passed else "is not") for passed, text in checks]
    if audit.leaks:
        reasons.append(f"no decision is taken on a split that leaks: {audit.verdict}")
    if saw_test:
        reasons.append(saw_test)
    promoted = all(passed for passed, _ in checks) and not audit.leaks and saw_test is None
    return Decision(
        promoted, against, metric, found.difference, found.low, found.high, found.p, tuple(reasons)
    )
