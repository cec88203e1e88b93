"""Sample-ratio mismatch: arms of the wrong size say that something other than chance dealt the users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import special

from evaluators.ab.assignment import check_shares
from evaluators.arrays import Floats, Ints

MISMATCH = 0.001  # a sample ratio less likely than this stops an experiment
CONCENTRATION = 100.0  # shares about sqrt(θ(1-θ) / 100), five points of a hundred, off the plan


@dataclass(frozen=True)
class SampleRatio:
    """Users seen per arm against those expected from the shares; p of the chi-square test."""

    users: tuple[int, ...]
    expected: tuple[float, ...]
    p: float
    mismatch: bool


@dataclass(frozen=True)
class SequentialRatio:
    """p: the always-valid p-value after the last user; mismatch: whether it ever fell below 0.001; users: how many had
    come when it first did (None where it never did)."""

    p: float
    mismatch: bool
    users: int | None


def sample_ratio(users: Sequence[int], shares: Sequence[float]) -> SampleRatio:
    """Whether the arms are as large as their shares say: chi-square with K-1 degrees of freedom, flagged at p < 0.001.

    users, shares [K]. To be looked at once; `sequential_ratio` may be looked at after every user.

    Source: Fabijan et al. 2019, "Diagnosing sample ratio mismatch in online controlled experiments".

    >>> sample_ratio((5000, 5300), (0.5, 0.5)).mismatch, sample_ratio((5000, 5400), (0.5, 0.5)).mismatch
    (False, True)
    """
    check_shares(shares)
    expected = tuple(share * sum(users) for share in shares)
    p = float(scipy.stats.chisquare(users, expected).pvalue)
    return SampleRatio(tuple(users), expected, p, p < MISMATCH)


def ratio_path(counts: NDArray[Any], shares: Sequence[float], concentration: float = CONCENTRATION) -> Floats:
    """The always-valid p-value of the shares at every look: the sequential multinomial test.

    counts [..., T, K]: users per arm by each look; -> [..., T]. With a Dirichlet prior α = concentration · shares over
    other shares, the Bayes factor of n users against the planned shares θ is

        BF_n = Γ(Σα)/Γ(Σα + n) · Π_k Γ(α_k + n_k)/Γ(α_k) / θ_k^{n_k},      p_n = min(1, min_{m ≤ n} 1 / BF_m).

    BF is a martingale of mean 1 where users are dealt by θ, so P(any p_n ≤ a) ≤ a (Ville 1939): looked at after every
    user, for as long as one likes, it gives a false alarm with no more than that chance.

    Source: Lindon & Malek 2022, "Anytime-valid inference for multinomial count data".

    >>> round(float(ratio_path(np.array([[1, 0]]), (0.5, 0.5), 2.0)[0]), 6)  # one user: BF = (1/2) / (1/2)
    1.0
    >>> ratio_path(np.array([[300, 200], [600, 400]]), (0.5, 0.5))[-1] < 1e-6
    np.True_
    """
    check_shares(shares)
    if concentration <= 0:
        raise ValueError(
            f"`concentration > 0` must hold, but got (concentration={concentration}); {CONCENTRATION:g} is the default."
        )
    n = np.asarray(counts, np.float64)
    theta = np.asarray(shares)
    prior = concentration * theta
    log_factor = (
        special.gammaln(concentration)
        - special.gammaln(concentration + n.sum(-1))
        + (special.gammaln(prior + n) - special.gammaln(prior) - n * np.log(theta)).sum(-1)
    )
    best = np.maximum.accumulate(np.maximum(log_factor, 0.0), axis=-1)
    return np.exp(-best).astype(np.float64)


def sequential_ratio(
    arm: Ints, shares: Sequence[float], concentration: float = CONCENTRATION, stop_at: float = MISMATCH
) -> SequentialRatio:
    """The sequential test of `ratio_path`, looked at after every user: arm [U], in the order in which users came.

    >>> sequential_ratio(np.tile([0, 1], 400), (0.5, 0.5)).mismatch
    False
    >>> sequential_ratio(np.zeros(400, int), (0.5, 0.5)).users
    45
    """
    counts = np.cumsum(np.asarray(arm)[:, None] == np.arange(len(shares)), axis=0)
    path = ratio_path(counts, shares, concentration)
    alarmed = np.flatnonzero(path < stop_at)
    users = int(alarmed[0]) + 1 if len(alarmed) else None
    return SequentialRatio(float(path[-1]), users is not None, users)
