"""How much of one list is in another: what would change for people if another model answered them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Floats, Ints

PERSISTENCE = 0.9  # of a reader who goes on to the next place: ten places hold two thirds of the weight


def overlap(a: NDArray[np.integer], b: NDArray[np.integer]) -> Floats:
    """[Q] the share of the items of two lists of k that both have: |A ∩ B| / k.

    a, b [Q, k]: items, best first, −1 where a list is over: k is then the length of the longer one, and two empty lists
    agree.

    >>> overlap(np.array([[1, 2], [1, 2], [-1, -1]]), np.array([[2, 3], [2, 1], [-1, -1]])).tolist()
    [0.5, 1.0, 1.0]
    """
    length = np.maximum((a >= 0).sum(1), (b >= 0).sum(1))
    return np.where(length > 0, _shared(a, b)[:, -1] / np.maximum(length, 1), 1.0)


def rank_biased_overlap(a: NDArray[np.integer], b: NDArray[np.integer], p: float = PERSISTENCE) -> Floats:
    """[Q] how much two rankings agree, the top weighing most, 0 … 1:

        RBO = A_k pᵏ + (1 − p)/p · Σ_{d ≤ k} A_d pᵈ,   A_d = |A₁…d ∩ B₁…d| / d

    extrapolated from the k places that are known; a, b [Q, k], −1 where a list is over, which agrees with nothing.
    Webber, Moffat & Zobel 2010, "A similarity measure for indefinite rankings" (equation 23).

    Raises ValueError where p is not between 0 and 1, or where the lists have not one shape.

    >>> rank_biased_overlap(np.array([[1, 2], [1, 2], [1, 2]]), np.array([[1, 2], [2, 1], [3, 4]]), p=0.5).tolist()
    [1.0, 0.5, 0.0]
    """
    if not 0 < p < 1:
        raise ValueError(f"`p` must lie between 0 and 1, but got {p}; {PERSISTENCE} is customary.")
    if a.shape != b.shape:
        raise ValueError(f"two lists must have as many places, but got {a.shape} and {b.shape}.")
    depth = np.arange(1, a.shape[1] + 1)
    agreed = _shared(a, b) / depth
    found: Floats = agreed[:, -1] * p ** depth[-1] + (1 - p) / p * (agreed * p**depth).sum(1)
    return found


def _shared(a: NDArray[np.integer], b: NDArray[np.integer]) -> NDArray[Any]:
    """[Q, k] how many items the first d places of both lists share."""
    same = (a[:, :, None] == b[:, None, :]) & (a[:, :, None] >= 0)
    places = np.arange(a.shape[1])
    found: NDArray[Any] = same.cumsum(1).cumsum(2)[:, places, places]
    return found


def moved(before: Ints, after: Ints) -> list[int | None]:
    """[k] by how many places each item of `after` rose from `before` (fell, below 0), None for one that is new.

    >>> moved(np.array([7, 8, 9]), np.array([9, 7, 5]))
    [2, -1, None]
    """
    place = {int(item): rank for rank, item in enumerate(before) if item >= 0}
    return [place[int(item)] - rank if int(item) in place else None for rank, item in enumerate(after)]
