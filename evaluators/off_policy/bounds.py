"""Intervals that hold at any number of rounds, or at every number of rounds at once; the bootstrap's hold at many."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evaluators.arrays import Floats
from evaluators.intervals import Estimate
from evaluators.off_policy.logged import Logged

STEEPEST = 0.5
"""The largest bet λ; psi below explodes at 1."""


def empirical_bernstein(values: Floats, low: float, high: float, level: float = 0.95) -> Estimate:
    """mean ± sqrt(2 V ln(4/δ) / N) + 7 (high - low) ln(4/δ) / (3 (N - 1)) with δ = 1 - level and V the sample
    variance (Maurer & Pontil 2009, "Empirical Bernstein bounds and sample-variance penalization", theorem 4,
    for both sides at once). Holds at every N for independent rounds.

    values [N] in [low, high], a range known without them.

    Raises ValueError on fewer than 2 values and on one outside the range.

    >>> found = empirical_bernstein(np.array([0.0, 1.0] * 500), 0.0, 1.0)
    >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3)
    (0.5, 0.443, 0.557)
    """
    if len(values) < 2 or not low <= values.min() <= values.max() <= high:
        raise ValueError(
            f"at least 2 values in [low, high] = [{low}, {high}] are needed, but got {len(values)} in "
            f"[{values.min(initial=np.inf)}, {values.max(initial=-np.inf)}]; give the range they can have."
        )
    rounds, log = len(values), np.log(4 / (1 - level))
    half = np.sqrt(2 * values.var(ddof=1) * log / rounds) + 7 * (high - low) * log / (3 * (rounds - 1))
    mean = float(values.mean())
    return Estimate(mean, mean - float(half), mean + float(half))


class Sequence(NamedTuple):
    """low, high [N]: the bounds after each round."""

    low: Floats
    high: Floats


def confidence_sequence(
    logged: Logged,
    level: float = 0.95,
    *,
    top: float = 1.0,
    cap: float = 10.0,
    least_propensity: float | None = None,
) -> Sequence:
    """Bounds of V(π) that hold after every round at once, so that one may look at any time and stop.

    Rounds in the order of time; rewards in [0, top]. Of each round a pseudo-outcome is formed,

        φ = Σ_a π(a|x) q(x, a) + w (r - q(x, a)) >= -cap,

    with rewards over top and q = c(x)·q̂, made small enough (c <= 1) that no weight which is possible at x
    takes φ below -cap. With ξ = φ / (cap + 1) and bets λ that only read the past,

        L_t = (cap + 1) (Σ λ ξ - ln(2/δ) - Σ ψ(λ) (ξ - ξ̂)²) / Σ λ,   ψ(λ) = -ln(1 - λ) - λ,

    and U_t = 1 - L_t of the mirrored rewards 1 - r (Waudby-Smith, Wu, Ramdas, Karampatziakis & Mineiro 2022,
    "Anytime-valid off-policy inference for contextual bandits"; the process is a supermartingale by Howard,
    Ramdas, McAuliffe & Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences"). Where
    V changes with time, the bounds are of its mean by λ.

    `logged.expected` must have been fitted on what came before each round. q̂ is only used where it is known how
    large a weight can become: by `logged.logging`, or by `least_propensity`, which the logging policy is known
    never to go below; else q = 0. cap: larger ones use more of q̂, and pay for it in the first rounds.

    Raises ValueError on rewards outside [0, top], and on cap < 0.

    >>> fair = Logged(np.arange(4000) % 2, (np.arange(4000) % 4 == 0) * 1.0, np.full(4000, 0.5),
    ...               np.full((4000, 2), 0.5))
    >>> low, high = confidence_sequence(fair)
    >>> bool(low[-1] < 0.25 < high[-1]), bool(high[-1] - low[-1] < 0.15)
    (True, True)
    """
    if not 0 <= logged.reward.min() <= logged.reward.max() <= top:
        raise ValueError(
            f"rewards must be in [0, {top}], but got [{logged.reward.min()}, {logged.reward.max()}]; "
            "say the largest that a reward can be."
        )
    if cap < 0:
        raise ValueError(f"`cap >= 0` must hold, but got (cap={cap}); 0 uses no reward model.")
    reward, alpha = logged.reward / top, (1 - level) / 2
    largest = _largest_weight(logged, least_propensity)
    expected = np.zeros((len(logged), 1)) if largest is None else np.clip(logged.model() / top, 0, 1)
    mirrored = np.zeros((len(logged), 1)) if largest is None else 1 - expected
    if largest is None:
        cap = 0.0
    low = _lower(_outcomes(logged, reward, expected, largest, cap), cap, alpha)
    high = 1 - _lower(_outcomes(logged, 1 - reward, mirrored, largest, cap), cap, alpha)
    return Sequence(np.clip(low, 0, 1) * top, np.clip(high, 0, 1) * top)


def _largest_weight(logged: Logged, least_propensity: float | None) -> Floats | None:
    """[N] the largest weight that was possible in each round, None where it is not known or of no use."""
    if logged.expected is None:
        return None
    if logged.logging is not None:
        there = logged.logging > 0
        ratio: Floats = np.where(there, logged.policy / np.where(there, logged.logging, 1), 0).max(1)
        return ratio
    if least_propensity is None:
        return None
    if least_propensity > logged.propensity.min():
        raise ValueError(
            f"`least_propensity <= {logged.propensity.min()}` must hold, the smallest in the log, but got "
            f"{least_propensity}."
        )
    found: Floats = logged.policy.max(1) / least_propensity
    return found


def _outcomes(logged: Logged, reward: Floats, model: Floats, largest: Floats | None, cap: float) -> Floats:
    """[N] unbiased for V, at least -cap; model [N, A], or [N, 1] zeros."""
    if largest is None:
        return logged.weight * reward
    reach = largest * model.max(1)
    model = model * np.minimum(1, np.divide(cap, reach, out=np.ones_like(reach), where=reach > 0))[:, None]
    surprise = reward - model[np.arange(len(model)), logged.action]
    found: Floats = (logged.policy * model).sum(1) + logged.weight * surprise
    return found


def _lower(outcomes: Floats, cap: float, alpha: float) -> Floats:
    """[N] lower bounds of the mean of outcomes >= -cap, each at level 1 - alpha, all at once."""
    scaled = outcomes / (cap + 1)
    count = np.arange(1, len(scaled) + 1)
    mean = np.minimum(np.cumsum(scaled) / count, 1 / (cap + 1))  # higher, and ξ - ξ̂ could fall below -1
    guess = np.concatenate(([0.0], mean[:-1]))
    apart = (scaled - guess) ** 2
    spread = (0.25 / (cap + 1) ** 2 + np.concatenate(([0.0], np.cumsum(apart)[:-1]))) / count
    bet = np.minimum(np.sqrt(2 * np.log(1 / alpha) / (spread * count * np.log1p(count))), STEEPEST)
    penalty = np.cumsum(_price(bet) * apart)
    found: Floats = (cap + 1) * (np.cumsum(bet * scaled) - np.log(1 / alpha) - penalty) / np.cumsum(bet)
    return found


def _price(bet: Floats) -> Floats:
    """ψ(λ), the least for which exp(λ y - ψ(λ) y²) <= 1 + λ y wherever y >= -1 (Fan, Grama & Liu 2015, "Exponential
    inequalities for martingales with applications", lemma 4.1): with y = ξ - ξ̂ that makes a supermartingale."""
    found: Floats = -np.log1p(-bet) - bet
    return found
