"""p-values and intervals that hold however often one looks, and whenever one stops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from evaluators.ab.arms import Arms
from evaluators.arrays import Floats


@dataclass(frozen=True)
class Confidence:
    """An asymptotic confidence sequence for each lift, and the p-value that goes with it.

    tightest: the number of users (of the two arms compared) at which the interval is as narrow as this kind can be; it
    must be chosen before the data are seen, as the number planned. level: of the whole sequence: with this chance the
    lift is inside at all looks.

    With n users, lift Δ, its variance V and r = n·ρ²:

        Δ ± sqrt(V · (r + 1)/r · log((r + 1)/α²)),     Λ = (r + 1)^{-1/2} · exp(r/(r + 1) · Δ²/(2V)),
        p_n = min(1, min_{m ≤ n} 1/Λ_m),               ρ² = r* / tightest,  r* = -W_{-1}(-α²/e) - 1.

    Λ is the mixture likelihood ratio of a normal prior around no lift (mSPRT). The price at `tightest` is an interval
    about half as wide again as the fixed one; p < α says exactly that an interval so far has left 0 out.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, "Time-uniform central limit theory and asymptotic
    confidence sequences" (2021 as a preprint); Johari, Koomen, Pekelis & Walsh 2017, "Peeking at A/B tests" (mSPRT).
    Asymptotic: it wants some dozens of users an arm at the first look, and outcomes that are complete when counted, one
    a user. Where the lift changes over time the interval holds the running mean of it.

    >>> arms = Arms(np.array([500.0, 500.0]), np.array([1.0, 1.2]), np.array([1.0, 1.0]))
    >>> always = Confidence(tightest=1000)
    >>> low, high = always.interval(arms)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.008], [0.392])
    """

    tightest: float
    level: float = 0.95

    def __post_init__(self) -> None:
        if not self.tightest > 0 or not 0 < self.level < 1:
            raise ValueError(
                f"`tightest > 0` and `0 < level < 1` must hold, but got (tightest={self.tightest}, "
                f"level={self.level}); pass the users planned, and 0.95."
            )

    def half_width(self, arms: Arms) -> Floats:
        """-> [..., K-1] half the width of each interval; infinite where an arm has fewer than two users."""
        r = self._prior(arms.users)
        alpha = 1 - self.level
        widening = (r + 1) / r * np.log((r + 1) / alpha**2)
        return np.sqrt(arms.square_error * widening)

    def interval(self, arms: Arms) -> tuple[Floats, Floats]:
        """-> low, high [..., K-1]"""
        half = self.half_width(arms)
        return arms.lift - half, arms.lift + half

    def p(self, looks: Arms) -> Floats:
        """looks [..., T, K] -> [..., T, K-1] the smallest p-value so far."""
        r = self._prior(looks.users)
        strength = r / (r + 1) * looks.z() ** 2 / 2 - np.log1p(r) / 2
        return np.exp(-np.maximum.accumulate(np.maximum(strength, 0.0), axis=-2))

    def _prior(self, users: Floats) -> Floats:
        alpha = 1 - self.level
        best = -float(special.lambertw(-(alpha**2) / np.e, k=-1).real) - 1
        return np.maximum(users, 1) * best / self.tightest
