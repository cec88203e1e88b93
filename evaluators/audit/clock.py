"""Checks of the clock and of the periods: order, units, moments, cuts, and which queries choices were made on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evaluators.arrays import Floats
from evaluators.audit.evidence import Evidence
from evaluators.audit.findings import Finding
from evaluators.queries import Queries

MILLISECONDS = 1e11
"""As seconds, later than the year 5000; as milliseconds, before 1974."""


def times(seen: Evidence) -> Iterator[Finding]:
    """Rows out of order, and seconds mixed with milliseconds."""
    if len(seen.unordered):
        count = len(seen.unordered)
        yield Finding(
            "unordered_times",
            count,
            f"{count:,} rows are earlier than the row before them of the same user",
        )
    every = np.concatenate([seen.times, seen.fitted.time, seen.split.queries.time])
    large = int((np.abs(every) >= MILLISECONDS).sum())
    if 0 < large < len(every):
        yield Finding(
            "mixed_units",
            large,
            f"{large:,} of {len(every):,} timestamps of the log, the training events and the queries are too large to "
            "be seconds like the others",
        )


def asked_moments(seen: Evidence) -> Iterator[Finding]:
    """Queries at moments that their user has not."""
    missing = int((seen.moment < 0).sum())
    if missing:
        yield Finding(
            "moments_not_in_log",
            missing,
            f"{missing:,} of {len(seen.moment):,} queries ask about a time at which their user has no event",
        )


def twice(seen: Evidence) -> Iterator[Finding]:
    """Moments that are asked more than once."""
    known = seen.moment[seen.moment >= 0]
    count = len(known) - len(np.unique(known))
    if count:
        yield Finding(
            "asked_twice", count, f"{count:,} queries ask about a moment that another one asks about"
        )


def ties(seen: Evidence) -> Iterator[Finding]:
    """Events at the very second of the cut."""
    count = int((seen.times == seen.split.start).sum())
    if count > 1:
        yield Finding(
            "ties_at_cut", count, f"{count:,} events have exactly the cut's timestamp; none is trained on"
        )


def periods(seen: Evidence) -> Iterator[Finding]:
    """Choices made on the test period, and answers from beyond the period that is asked about."""
    split = seen.split
    beyond = int((seen.times[seen.asked] >= split.stop).sum())
    if beyond:
        yield Finding(
            "answers_after_stop",
            beyond,
            f"{beyond:,} of the events asked about lie at or after the end of the {split.stage} period",
        )
    if seen.tuned_on is None or split.stage != "test":
        return
    start = min(split.start, float(split.queries.time.min(initial=np.inf)))
    inside = int((_latest(seen.tuned_on, seen) >= start).sum())
    if inside:
        yield Finding(
            "validation_in_test",
            inside,
            f"{inside:,} of the {len(seen.tuned_on):,} validation queries lie in the test period",
        )


def _latest(queries: Queries, seen: Evidence) -> Floats:
    """[Q] the time of the last event that each query asks about."""
    if queries.until is None:
        return queries.time
    return np.maximum(queries.time, seen.times[queries.until - 1])
