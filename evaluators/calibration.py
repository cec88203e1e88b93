"""Whether scores mean what they say: shares made of them by a temperature, and how often those come true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logsumexp

from evaluators.arrays import Csr, Floats, Ints
from evaluators.intervals import CUSTOMARY, Estimate, Intervals

FACTOR = 1e4  # a temperature lies within this factor of the mean spread of the scores
SMALLEST = 1e-12  # a share that has log-odds
STEEPEST, FARTHEST = 4.0, 30.0  # a correction's log slope and its shift lie between −this and this


def shares(scores: NDArray[np.floating], temperature: float) -> Floats:
    """[Q, I] softmax(s / T) over the catalogue: the share of what comes next that a model gives each item.

    >>> shares(np.array([[0.0, np.log(3), -np.inf]]), 1.0).round(2).tolist()
    [[0.25, 0.75, 0.0]]
    """
    scaled = np.asarray(scores, np.float64) / temperature
    return np.exp(scaled - logsumexp(scaled, axis=1, keepdims=True))


def temperature(scores: NDArray[np.floating], relevant: Csr) -> float:
    """The T > 0 that minimises the mean over queries of −Σᵢ log softmax(s / T)ᵢ / n over their n relevant items.

    scores [Q, I], −inf for what may not be shown (a relevant item is never that); relevant: by query. Queries without a
    relevant item say nothing. Temperature scaling: Guo et al. 2017, "On calibration of modern neural networks"; one
    number, so that the order of no list changes.

    Raises ValueError where no query has a relevant item, or where all scores of each are the same.

    >>> scores = np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
    >>> round(temperature(scores, Csr(np.arange(5), np.array([0, 0, 0, 1]))), 3)  # three in four: 2 / T = log 3
    1.82
    """
    scores = np.asarray(scores, np.float64)
    counts = np.diff(relevant.offsets)
    owner = relevant.owners()
    own = scores[owner, relevant.columns]
    finite = np.isfinite(scores)
    spread = float(np.mean([row[known].std() for row, known in zip(scores, finite, strict=True)]))
    if not len(own) or not spread:
        raise ValueError(
            f"a temperature needs queries with relevant items and scores that differ, but got {len(own)} relevant "
            f"items and scores with a spread of {spread:g}."
        )
    asked = counts > 0
    weight = 1 / counts[owner] / asked.sum()

    def loss(log_t: float) -> float:
        t = np.exp(log_t)
        return float(logsumexp(scores[asked] / t, axis=1).mean() - (weight * own).sum() / t)

    middle, reach = np.log(spread), np.log(FACTOR)
    found = minimize_scalar(loss, bounds=(middle - reach, middle + reach), method="bounded")
    return float(np.exp(found.x))


@dataclass(frozen=True)
class Correction:
    """p ↦ σ(slope · log(p / (1 − p)) + shift), with a slope above 0: what was larger stays larger.

    >>> Correction(1.0, 0.0)(np.array([0.0, 0.25, 1.0])).round(6).tolist()
    [0.0, 0.25, 1.0]
    """

    slope: float
    shift: float

    def __call__(self, predicted: NDArray[np.floating]) -> Floats:
        """The corrected shares, of the same shape."""
        corrected: Floats = expit(self.slope * _log_odds(predicted) + self.shift)
        return corrected


def correction(predicted: NDArray[np.floating], observed: NDArray[np.floating]) -> Correction:
    """The slope and the shift under which shares that were found are likeliest: they minimise the mean of
    −y log p' − (1 − y) log(1 − p'), p' the corrected share. Logistic recalibration: Cox 1958, "Two further applications
    of a model for binary regression"; y may be any share (Papke & Wooldridge 1996).

    predicted, observed [n]: in [0, 1]. Raises ValueError where there are none.

    >>> found = correction(np.full(4, 0.5), np.array([0.0, 0.0, 0.0, 1.0]))
    >>> round(float(found(np.array([0.5]))[0]), 3)
    0.25
    """
    if not len(predicted):
        raise ValueError("a correction needs shares that were predicted, but got none.")
    odds, truth = _log_odds(predicted), np.asarray(observed, np.float64)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        slope = np.exp(parameters[0])
        at = slope * odds + parameters[1]
        apart = (expit(at) - truth) / len(odds)
        gradient = np.array([slope * (apart @ odds), apart.sum()])
        return float((np.logaddexp(0, at) - truth * at).mean()), gradient

    bounds = [(-STEEPEST, STEEPEST), (-FARTHEST, FARTHEST)]
    log_slope, shift = minimize(loss, np.zeros(2), jac=True, bounds=bounds, method="L-BFGS-B").x
    return Correction(float(np.exp(log_slope)), float(shift))


def _log_odds(predicted: NDArray[np.floating]) -> Floats:
    inside = np.clip(np.asarray(predicted, np.float64), SMALLEST, 1 - SMALLEST)
    odds: Floats = np.log(inside) - np.log1p(-inside)
    return odds


@dataclass(frozen=True)
class Bin:
    """Predictions of about one size: their mean, how many, and the mean of what came true with its interval."""

    predicted: float
    count: int
    observed: Estimate

    def to_dict(self) -> dict[str, Any]:
        found = self.observed.to_dict()
        return {
            "predicted": self.predicted,
            "count": self.count,
            "observed": found["mean"],
            "low": found["low"],
            "high": found["high"],
        }


def reliability(
    predicted: Floats, observed: Floats, users: Ints, bins: int = 10, how: Intervals = CUSTOMARY
) -> list[Bin]:
    """Predictions in groups of one size, the smallest first, each beside what came true.

    predicted, observed, users [n]: a share that was predicted, the share that it was, whose it is. Intervals resample
    users. Reliability diagram: DeGroot & Fienberg 1983; groups of one size, so that no point rests on few predictions.

    >>> groups = reliability(np.array([0.1, 0.4, 0.1, 0.4]), np.array([0.0, 0.5, 0.2, 0.5]), np.array([0, 1, 2, 3]), 2)
    >>> [(group.predicted, group.count, group.observed.mean) for group in groups]
    [(0.1, 2, 0.1), (0.4, 2, 0.5)]
    """
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return [
        Bin(float(predicted[at].mean()), len(at), how.of(observed[at], users[at])) for at in parts if len(at)
    ]


def error(bins: Sequence[Bin]) -> float:
    """Σ n/N · |predicted − observed|, the expected calibration error (Naeini et al. 2015); NaN without predictions.

    >>> error([Bin(0.1, 3, Estimate(0.2, 0, 1)), Bin(0.5, 1, Estimate(0.5, 0, 1))])
    0.07500000000000001
    """
    counts = np.array([each.count for each in bins], np.float64)
    apart = np.array([abs(each.predicted - each.observed.mean) for each in bins])
    return float(counts @ apart / counts.sum()) if len(bins) else float("nan")
