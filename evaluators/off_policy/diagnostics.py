"""Whether the log can carry a figure: what would have to be trusted, counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Floats
from evaluators.intervals import Estimate, interval
from evaluators.off_policy.base import Estimator
from evaluators.off_policy.logged import Logged


@dataclass(frozen=True)
class Limits:
    """When a figure counts as supported. How often the 95 % intervals of figures that these defaults let pass hold the
    truth of simulated logs, benchmarks/off_policy.md shows.

    effective: the least effective sample; rewarded: the least effective number of rewarded rounds; share: the
    largest part of all weight that one user's rounds may have; outside: the largest share of the policy outside
    the logged support; level: of the interval of the mean weight, which must hold 1; bias: the part of the
    figure's own half-width that its bias must be shown to stay below.
    """

    effective: float = 50.0
    rewarded: float = 30.0
    share: float = 0.1
    outside: float = 0.01
    level: float = 0.99
    bias: float = 0.25


@dataclass(frozen=True)
class Diagnostics:
    """Of one figure.

    effective: (Σ w)² / Σ w², over users where a user has several rounds (Kish 1965): how many rounds with equal
    weights would tell as much; rewarded: the same of w·|r|: how many rewarded rounds the figure rests on;
    largest: the largest weight; share: the part of all weight that the heaviest user has; outside: the share of
    the policy on actions that the log never shows; mean_weight: of w before any limit, which is 1 where
    propensities are right and nothing is outside; left_out: what the estimator ignored of the rewards, and so
    its bias, None where it ignores nothing; reasons: why the figure is not supported, none where it is. Where
    something is ignored, effective and rewarded are of w, by which alone the bias can be judged.
    """

    effective: float
    rewarded: float
    largest: float
    share: float
    outside: float
    mean_weight: Estimate
    left_out: Estimate | None
    reasons: tuple[str, ...]

    @property
    def supported(self) -> bool:
        return not self.reasons

    def to_dict(self) -> dict[str, Any]:
        return {
            "effective_sample": self.effective,
            "rewarded_sample": self.rewarded,
            "largest_weight": self.largest,
            "largest_share": self.share,
            "outside_support": self.outside,
            "mean_weight": self.mean_weight.to_dict(),
            "left_out": None if self.left_out is None else self.left_out.to_dict(),
        }


def effective(parts: Floats, owner: NDArray[Any]) -> float:
    """(Σ t)² / Σ t² over the totals t of each owner; 0 of nothing.

    >>> effective(np.array([1.0, 1.0, 2.0]), np.array([0, 0, 1])), effective(np.zeros(2), np.arange(2))
    (2.0, 0.0)
    """
    totals = np.bincount(np.unique(owner, return_inverse=True)[1], parts)
    return float(totals.sum() ** 2 / (totals**2).sum()) if totals.any() else 0.0


def outside(logged: Logged) -> float:
    """The mean probability that the policy takes an action which the logging policy never takes: by its
    probabilities where they are known, else by what was never logged (in the round's `cell`).

    >>> outside(Logged(np.array([0, 0]), np.zeros(2), np.ones(2), np.array([[0.75, 0.25], [0.75, 0.25]])))
    0.25
    """
    if logged.logging is not None:
        return float((logged.policy * (logged.logging == 0)).sum(1).mean())
    cell = np.zeros(len(logged), np.int64)
    if logged.cell is not None:
        cell = np.unique(logged.cell, return_inverse=True)[1]
    never = np.ones((int(cell.max()) + 1, logged.actions), bool)
    never[cell, logged.action] = False
    return float(sum(logged.policy[cell == c][:, never[c]].sum() for c in range(len(never))) / len(logged))


def diagnose(estimator: Estimator, logged: Logged, limits: Limits | None = None) -> Diagnostics:
    """Count what a figure rests on, and say in a sentence each what it lacks."""
    limits = limits or Limits()
    owner, ignored = logged.owner, estimator.left_out(logged)
    weight = estimator.weights(logged) if ignored is None else logged.weight
    totals = np.bincount(np.unique(owner, return_inverse=True)[1], weight)
    own = _interval(estimator.values(logged), owner, 0.95)
    found = Diagnostics(
        effective=effective(weight, owner),
        rewarded=effective(weight * np.abs(logged.reward), owner),
        largest=float(weight.max()),
        share=float(totals.max() / totals.sum()) if totals.any() else 1.0,
        outside=outside(logged),
        mean_weight=_interval(logged.weight, owner, limits.level),
        left_out=None if ignored is None else _interval(ignored, owner, 0.95),
        reasons=(),
    )
    uneven = estimator.uniform_only and bool(np.ptp(logged.propensity) > 1e-6)
    return Diagnostics(
        **(vars(found) | {"reasons": tuple(_reasons(found, limits, uneven, own.high - own.mean))})
    )


def _interval(values: Floats, owner: NDArray[Any], level: float) -> Estimate:
    """Without draws; of one user alone there is none, and `effective` says that it is one."""
    alone = len(np.unique(owner)) < 2
    return interval(values, owner, level, method="percentile" if alone else "robust")


def _reasons(found: Diagnostics, limits: Limits, uneven: bool, half: float) -> list[str]:
    weight, left = found.mean_weight, found.left_out
    bias = 0.0 if left is None else max(-left.low, left.high)
    rules = [
        (
            uneven,
            "the logging policy preferred some actions to others, and this estimator takes all as alike",
        ),
        (
            found.effective < limits.effective,
            f"the weighted log is worth {found.effective:.0f} equal rounds, and {limits.effective:.0f} are needed",
        ),
        (
            found.rewarded < limits.rewarded,
            f"it rests on {found.rewarded:.0f} rewarded rounds, and {limits.rewarded:.0f} are needed",
        ),
        (found.share > limits.share, f"one user has {found.share:.0%} of all weight"),
        (
            found.outside > limits.outside,
            f"{found.outside:.1%} of the policy is on actions that the log never shows",
        ),
        (
            not weight.low <= 1 <= weight.high,
            f"the mean weight is {weight.mean:.2f} [{weight.low:.2f}, {weight.high:.2f}] and not 1: propensities "
            "are wrong, or the policy leaves the logged support",
        ),
        (
            bias > limits.bias * half,
            f"its bias may be as large as {bias:.2g}, and its interval of ±{half:.2g} does not have that in it",
        ),
    ]
    return [sentence for broken, sentence in rules if broken]
