"""From scores to a policy: the probability of every action in every round."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Floats
from evaluators.ranks import top as best


def softmax(scores: NDArray[Any], temperature: float = 1.0) -> Floats:
    """π(a|x) = exp(s_a / T) / Σ_b exp(s_b / T).

    scores [Q, A], -inf for an action that must not be taken; temperature T > 0, in the units of the scores:
    towards 0 the best action alone, large ones all alike. -> [Q, A], rows sum to 1.

    Raises ValueError on T <= 0, on a score that is NaN or +inf, and on a row without an action.

    >>> softmax(np.log([[1.0, 3.0]])).round(2).tolist(), softmax(np.log([[1.0, 3.0]]), 0.5).round(2).tolist()
    ([[0.25, 0.75]], [[0.1, 0.9]])
    """
    if not 0 < temperature < np.inf:
        raise ValueError(
            f"`temperature > 0` must hold, but got (temperature={temperature}); small ones follow the scores."
        )
    scores = _takeable(scores)
    raised = np.exp((scores - scores.max(1, keepdims=True)) / temperature)
    found: Floats = raised / raised.sum(1, keepdims=True)
    return found


def epsilon_greedy(scores: NDArray[Any], epsilon: float = 0.1, top: int = 1) -> Floats:
    """π(a|x) = (1 - ε) 1{a among the top N} / N + ε / A: one of the N best, or with ε any action.

    scores [Q, A], -inf for an action that must not be taken (A counts the others); epsilon in [0, 1]; top N:
    fewer where a row has fewer, ties by column order. -> [Q, A], rows sum to 1.

    Raises ValueError as `softmax`, and on ε or N out of their range.

    >>> epsilon_greedy(np.array([[0.1, 0.5, 0.3, -np.inf]]), 0.3, top=2).round(2).tolist()
    [[0.1, 0.45, 0.45, 0.0]]
    """
    if not (0 <= epsilon <= 1 and top >= 1):
        raise ValueError(
            f"`0 <= epsilon <= 1` and `top >= 1` must hold, but got (epsilon={epsilon}, top={top})."
        )
    scores = _takeable(scores)
    allowed = np.isfinite(scores)
    shown = best(scores, top)
    row, place = np.nonzero(shown >= 0)
    chosen = np.zeros(scores.shape)
    chosen[row, shown[row, place]] = 1.0
    chosen /= chosen.sum(1, keepdims=True)
    found: Floats = (1 - epsilon) * chosen + epsilon * allowed / allowed.sum(1, keepdims=True)
    return found


def _takeable(scores: NDArray[Any]) -> Floats:
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or np.isnan(scores).any() or (scores == np.inf).any():
        raise ValueError(
            f"scores must be [Q, A] numbers or -inf, but got shape {scores.shape} with "
            f"{int((np.isnan(scores) | (scores == np.inf)).sum())} that are neither; mend the model."
        )
    if (scores == -np.inf).all(1).any():
        raise ValueError("each row must have an action that may be taken, but one has none.")
    return scores
