"""Could a model fitted on this split have seen the future of what it is asked? Counted, not assumed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Floats, Ints, owners
from evaluators.packed import moments
from evaluators.queries import Split, fitted_and_asked


@dataclass(frozen=True)
class Audit:
    """training_events, queries: counts; future_of_first, future_of_average: the share of training events at
    or after the earliest query, and that share averaged over queries; unknown_items: the share of events
    asked about whose item training never saw; duplicates: the share of log rows that repeat an earlier (user,
    item, time); straddling: the number of moments that are partly in training and partly not; leaks: whether
    any training event lies in a query's future; verdict: the same in a sentence. Shares are in [0, 1]."""

    training_events: int
    queries: int
    future_of_first: float
    future_of_average: float
    unknown_items: float
    duplicates: float
    straddling: int
    leaks: bool
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def audit(split: Split, offsets: Ints, items: NDArray[np.integer], times: Floats) -> Audit:
    """Audit a split against the packed log it was made from: offsets [U+1], items, times [N].

    Source: Ji, Sun, Zhang, Li 2023, "A critical study on data leakage in recommender system offline
    evaluation". Raises ValueError when the split was made from a log of another length.

    >>> from evaluators.queries import split
    >>> offsets, items = np.array([0, 3, 5]), np.array([0, 1, 0, 1, 0])
    >>> times = np.array([1.0, 2.0, 9.0, 10.0, 11.0])
    >>> made = split(offsets, items, times, 2, protocol="loo", stage="test", repeats=True)
    >>> audit(made, offsets, items, times).verdict
    'Leaks: for the average query 16.7 % of the 3 training events lie at or after its moment.'
    """
    if len(split.train) != len(items):
        raise ValueError(
            f"`len(split.train) == len(items)` must hold, but got ({len(split.train)}, {len(items)}); "
            "pass the split's own log."
        )
    fitted = np.sort(times[split.train])
    later = 1 - np.searchsorted(fitted, split.queries.time, side="left") / len(fitted)
    at = moments(offsets, times)
    inside = np.add.reduceat(split.train.astype(np.int64), at.first[:-1])
    straddling = int(((inside > 0) & (inside < np.diff(at.first))).sum())
    asked = np.repeat(
        fitted_and_asked(at, split.protocol, split.stage, split.start, split.stop)[1], np.diff(at.first)
    )
    same_moment = owners(at.first)
    twice = (items[1:] == items[:-1]) & (same_moment[1:] == same_moment[:-1])
    average = float(later.mean())
    leaks = average > 0
    return Audit(
        training_events=len(fitted),
        queries=len(split.queries),
        future_of_first=float(later.max()),
        future_of_average=average,
        unknown_items=float((split.column[items[asked]] < 0).mean()),
        duplicates=float(twice.sum() / len(items)),
        straddling=straddling,
        leaks=leaks,
        verdict=_sentence(leaks, average, straddling, len(fitted)),
    )


def _sentence(leaks: bool, average: float, straddling: int, fitted: int) -> str:
    if not leaks:
        return f"No leak: all {fitted:,} training events lie strictly before every query."
    parts = [
        f"for the average query {100 * average:.1f} % of the {fitted:,} training events lie "
        "at or after its moment"
    ]
    if straddling:
        parts.append(f"{straddling:,} moments are partly in training")
    return f"Leaks: {', and '.join(parts)}."
