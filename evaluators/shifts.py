"""Where a person's interest turned: change points in what they take, found in the log and in no model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from evaluators.arrays import Bools, Floats, Ints
from evaluators.packed import moments

WINDOW = 10  # events compared on either side
EVIDENCE = 5.0  # log Bayes factor: "very strong" (Kass & Raftery 1995, "Bayes factors")


def shifts(offsets: Ints, labels: NDArray[np.integer], times: Floats) -> Bools:
    """Which events of a packed log are the first after a shift of their user's interest.

    offsets [U+1]; labels [N] what each event is about (the item's main category, or the item itself); times [N]
    ascending within a user; -> [N].

    At every moment, the labels of the 10 events before it and of the 10 from it on are explained by one multinomial or
    by two, each with a flat Dirichlet prior over the labels that occur in the 20; the log Bayes factor of two against
    one is closed-form, and pays for the second multinomial by itself (Barry & Hartigan 1993, "A Bayesian analysis for
    change point problems"). A shift is where it is above 5 and is the highest within 10 events. It may look ahead,
    since it judges the log and nothing that a model reads.

    >>> labels = np.repeat([0, 1], 15)
    >>> np.flatnonzero(shifts(np.array([0, 30]), labels, np.arange(30.0))).tolist()
    [15]
    """
    evidence = turned(labels)
    place = np.arange(len(labels))
    user = np.searchsorted(offsets, place, side="right") - 1
    inside = (place - WINDOW >= offsets[user]) & (place + WINDOW <= offsets[user + 1])
    opens = np.zeros(len(labels), dtype=bool)
    opens[moments(offsets, times).first[:-1]] = True
    evidence[~(inside & opens)] = -np.inf
    around = np.pad(evidence, WINDOW, constant_values=-np.inf)
    near = np.lib.stride_tricks.sliding_window_view(around, 2 * WINDOW + 1)
    before = near[:, :WINDOW].max(1, initial=-np.inf)
    after = near[:, WINDOW + 1 :].max(1, initial=-np.inf)
    found: Bools = (evidence > EVIDENCE) & (evidence > before) & (evidence >= after)
    return found


def since_shift(found: Bools, begin: Ints, end: Ints) -> Ints:
    """The events between each query's last shift and its moment: found [N] as of `shifts`, the history of a query is
    the rows [begin, end); -> [Q], 0 where the query itself is the first after the shift, -1 where there was none.

    >>> since_shift(np.array([False, True, False, True]), np.array([0, 0, 0]), np.array([1, 2, 3])).tolist()
    [0, 1, 0]
    """
    place = np.where(found, np.arange(len(found)), -1)
    last = np.maximum.accumulate(place)[np.minimum(end, len(found) - 1)]
    since: Ints = np.where(last >= begin, end - last, -1)
    return since


def turned(labels: NDArray[np.integer]) -> Floats:
    """labels [N] -> [N] the log Bayes factor of a turn right before each, -inf where not 10 are on either side."""
    found = np.full(len(labels), -np.inf)
    if len(labels) < 2 * WINDOW:
        return found
    (half, _), (whole, kinds) = _windows(labels, WINDOW), _windows(labels, 2 * WINDOW)
    two = half[: len(kinds)] + half[WINDOW : WINDOW + len(kinds)] - 2 * _norm(kinds, WINDOW)
    found[WINDOW : WINDOW + len(kinds)] = two - whole + _norm(kinds, 2 * WINDOW)
    return found


def _windows(labels: NDArray[np.integer], size: int) -> tuple[Floats, Ints]:
    """Of every window of `size` labels: Σ log of how often its label has occurred by then, and how many kinds occur."""
    count = len(labels) - size + 1
    repeats, kinds = np.zeros(count), np.zeros(count, dtype=np.int64)
    for late in range(size):
        mine = labels[late : late + count]
        earlier = np.zeros(count, dtype=np.int8)
        for early in range(late):
            earlier += labels[early : early + count] == mine
        repeats += np.log(earlier + 1.0)
        kinds += earlier == 0
    return repeats, kinds


def _norm(kinds: Ints, size: int) -> Floats:
    """log Π_{i < size} (kinds + i): what a flat Dirichlet-multinomial divides by."""
    ratio: Floats = gammaln(kinds + size) - gammaln(kinds)
    return ratio
