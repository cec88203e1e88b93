"""Guardrails: metrics that need not rise, but must not fall by more than a margin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from evaluators.ab.arms import Arms


@dataclass(frozen=True)
class Guarded:
    """A guardrail read for one arm against the first: difference, its one-sided lower bound, p of "fell by the margin
    or more", and whether that is ruled out."""

    metric: str
    margin: float
    difference: float
    low: float
    p: float
    held: bool


@dataclass(frozen=True)
class Guardrail:
    """A named metric that must not fall by more than `margin`, in its own units: a test of non-inferiority.

    held where  Δ - t_{level} · sqrt(σ_0²/n_0 + σ_k²/n_k) > -margin  (one-sided, Welch's degrees of freedom). An arm
    about which too little is known has not held: the burden is on the newcomer.

    Source: Kohavi, Tang & Xu 2020, "Trustworthy Online Controlled Experiments", 21; Wellek 2010, "Testing statistical
    hypotheses of equivalence and noninferiority".

    >>> arms = Arms(np.array([400.0, 400.0]), np.array([0.5, 0.49]), np.array([0.04, 0.04]))
    >>> [Guardrail("recall@10", margin).read(arms)[0].held for margin in (0.02, 0.05)]
    [False, True]
    """

    metric: str
    margin: float
    level: float = 0.95

    def __post_init__(self) -> None:
        if not self.margin > 0 or not 0 < self.level < 1:
            raise ValueError(
                f"`margin > 0` and `0 < level < 1` must hold, but got (margin={self.margin}, level={self.level}); "
                "no test shows that nothing at all was lost."
            )

    def read(self, arms: Arms) -> list[Guarded]:
        """arms [K] -> K-1 readings, each other arm's against the first."""
        degrees = arms.degrees()
        low = arms.lift - scipy.stats.t.ppf(self.level, degrees) * arms.error
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.where(
                arms.error > 0,
                (arms.lift + self.margin) / arms.error,
                np.inf * np.sign(arms.lift + self.margin),
            )
        p = np.asarray(scipy.stats.t.sf(np.nan_to_num(far, nan=0.0, posinf=np.inf, neginf=-np.inf), degrees))
        return [
            Guarded(self.metric, self.margin, float(gap), float(end), float(p_k), bool(end > -self.margin))
            for gap, end, p_k in zip(arms.lift, low, p, strict=True)
        ]
