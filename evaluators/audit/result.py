"""The audit of a split: every check, the figures, and what they say together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Floats, Ints
from evaluators.audit import clock, history, training
from evaluators.audit.evidence import Events, Evidence
from evaluators.audit.findings import LEAKS, Finding
from evaluators.queries import Queries, Split

CHECKS: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    clock.times,
    clock.asked_moments,
    training.later_events,
    training.asked_and_trained,
    training.foreign_events,
    training.vocabulary,
    history.histories,
    clock.periods,
    clock.ties,
    clock.twice,
    training.near_duplicates,
)


@dataclass(frozen=True)
class Audit:
    """What was counted, and what leaks.

    training_events, queries: counts; future_of_first, future_of_average: the share of training events at or after
    the earliest query, and that share averaged over queries; in_training_period: the share of queries that are not
    after the last training event; unknown_items, unknown_moments: the share of events asked about whose item
    training never saw, and of moments all of whose items it never saw; duplicates: the share of log rows that
    repeat an earlier (user, item, time); straddling: the number of moments that are partly in training and partly
    not; leaks: what a model or a choice saw that it should not have, by the names of `LEAKS`; notices: what else is
    worth knowing, by those of `NOTICES`; verdict: a sentence. Shares are in [0, 1].
    """

    training_events: int
    queries: int
    future_of_first: float
    future_of_average: float
    in_training_period: float
    unknown_items: float
    unknown_moments: float
    duplicates: float
    straddling: int
    leaks: tuple[Finding, ...]
    notices: tuple[Finding, ...]
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types: `leaks` says whether there is any, `findings` and `notices` list what was found."""
        listed = {
            "findings": [each.to_dict() for each in self.leaks],
            "notices": [each.to_dict() for each in self.notices],
        }
        return {**asdict(self), "leaks": bool(self.leaks), **listed}


def audit(
    split: Split,
    offsets: Ints,
    items: NDArray[np.integer],
    times: Floats,
    *,
    training_events: Events | None = None,
    tuned_on: Queries | None = None,
    popularity: Ints | None = None,
) -> Audit:
    """Audit a split against the packed log it was made from: offsets [U+1], items, times [N].

    The split may come from anywhere: it is plain arrays. training_events: what was fitted on, where that is not
    simply the rows `split.train`; tuned_on: the queries that choices were made on (of a test split: validation's);
    popularity [V]: how many events of each item the model was told of. Raises ValueError when the split was made
    from a log of another length.

    >>> from evaluators.queries import split
    >>> offsets, items = np.array([0, 3, 5]), np.array([0, 1, 0, 1, 0])
    >>> times = np.array([1.0, 2.0, 9.0, 10.0, 11.0])
    >>> made = split(offsets, items, times, 2, protocol="loo", stage="test", repeats=True)
    >>> found = audit(made, offsets, items, times)
    >>> found.verdict
    'Leaks (leave_one_out): for the average query 16.7 % of the 3 training events lie at or after its moment.'
    >>> [(each.name, each.count) for each in found.leaks]
    [('leave_one_out', 1)]
    """
    if not len(split.train) == len(split.asked) == len(items):
        raise ValueError(
            f"`len(split.train) == len(split.asked) == len(items)` must hold, but got ({len(split.train)}, "
            f"{len(split.asked)}, {len(items)}); pass the split's own log."
        )
    seen = Evidence(split, offsets, items, times, training_events, tuned_on, popularity)
    found = [finding for check in CHECKS for finding in check(seen)]
    leaks = tuple(finding for finding in found if finding.name in LEAKS)
    later, fitted = training.future(seen), len(seen.fitted.time)
    twice = (np.diff(items) == 0) & (np.diff(times) == 0) & (np.diff(seen.user) == 0)
    unknown_items, unknown_moments = _unknown(seen)
    return Audit(
        training_events=fitted,
        queries=len(split.queries),
        future_of_first=float(later.max()),
        future_of_average=float(later.mean()),
        in_training_period=float((split.queries.time <= seen.fitted.time.max()).mean()),
        unknown_items=unknown_items,
        unknown_moments=unknown_moments,
        duplicates=float(twice.sum() / len(items)),
        straddling=int(training.straddling(seen).sum()),
        leaks=leaks,
        notices=tuple(finding for finding in found if finding.name not in LEAKS),
        verdict=_sentence(leaks, float(later.mean()), fitted),
    )


def _unknown(seen: Evidence) -> tuple[float, float]:
    """The share of the events asked about whose item training never saw, and of moments with no other items."""
    asked = seen.split.asked
    unknown = seen.trained[seen.items] == 0
    first = seen.at.first[:-1]
    whole, strange = np.add.reduceat(asked, first), np.add.reduceat(asked & unknown, first)
    return float(unknown[asked].mean()), float((strange == whole)[whole > 0].mean())


def _sentence(leaks: tuple[Finding, ...], average: float, fitted: int) -> str:
    if not leaks:
        return f"No leak: all {fitted:,} training events lie strictly before every query."
    parts = []
    if average > 0:
        parts.append(
            f"for the average query {100 * average:.1f} % of the {fitted:,} training events lie at or after its moment"
        )
    told = {"leave_one_out", "per_user_cut", "others_future"} if parts else set()
    parts += [finding.sentence for finding in leaks if finding.name not in told]
    return f"Leaks ({', '.join(finding.name for finding in leaks)}): {'; '.join(parts)}."
