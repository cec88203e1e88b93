"""Every estimator's figure of one policy, with its intervals and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluators.intervals import Estimate, Method, interval
from evaluators.off_policy.base import Estimator
from evaluators.off_policy.bounds import empirical_bernstein
from evaluators.off_policy.diagnostics import Diagnostics, Limits, diagnose
from evaluators.off_policy.logged import Logged


@dataclass(frozen=True)
class Figure:
    """What one estimator says of a policy, in the units of the reward.

    value: the estimate with its interval over users; gain: the same of the policy's value less the mean
    logged reward, paired by round; bernstein: an interval that holds at any number of rounds, where the values
    of a round have a range and users one round each; settings: what was chosen from the data.
    """

    value: Estimate
    gain: Estimate
    bernstein: Estimate | None
    diagnostics: Diagnostics
    settings: dict[str, float]

    @property
    def supported(self) -> bool:
        return self.diagnostics.supported

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.value.to_dict(),
            "gain": self.gain.to_dict(),
            "bernstein": None if self.bernstein is None else self.bernstein.to_dict(),
            "supported": self.supported,
            "why": "; ".join(self.diagnostics.reasons) or None,
            "diagnostics": self.diagnostics.to_dict(),
            "settings": self.settings,
        }


def judge(
    logged: Logged,
    estimators: Sequence[Estimator],
    level: float = 0.95,
    *,
    top: float = 1.0,
    least_propensity: float | None = None,
    limits: Limits | None = None,
    method: Method = "percentile",
    n: int = 1000,
) -> dict[str, Figure]:
    """-> by the estimator's name, its figure of the policy in question.

    level, method, n: of the intervals over users (`interval`); top: the largest possible reward (the least is
    0); least_propensity: what the logging policy never goes below, the smallest in the log where left out, which
    only the empirical Bernstein interval reads.

    >>> import numpy as np
    >>> from evaluators.off_policy.weighting import IPS
    >>> taken = np.arange(400) % 2
    >>> logged = Logged(taken, (taken == 1) * 1.0, np.full(400, 0.5), np.tile([0.25, 0.75], (400, 1)))
    >>> found = judge(logged, [IPS()])["ips"]
    >>> found.supported, found.value.low < 0.75 < found.value.high
    (True, True)
    """
    least = float(logged.propensity.min()) if least_propensity is None else least_propensity
    largest = float(logged.policy.max()) / least
    alone = len(set(logged.owner.tolist())) == len(logged)
    figures = {}
    for estimator in estimators:
        values = estimator.values(logged)
        span = estimator.span(logged, largest, top) if alone else None
        figures[estimator.name] = Figure(
            value=interval(values, logged.owner, level, n, method=method),
            gain=interval(values - logged.reward, logged.owner, level, n, method=method),
            bernstein=None if span is None else empirical_bernstein(values, *span, level),
            diagnostics=diagnose(estimator, logged, limits),
            settings=estimator.settings(logged),
        )
    return figures
