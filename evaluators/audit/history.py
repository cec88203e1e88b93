"""Checks of the histories: rows of the query's own user, all strictly before its moment."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evaluators.arrays import Ints, owners, ranges
from evaluators.audit.evidence import Evidence
from evaluators.audit.findings import Finding


def histories(seen: Evidence) -> Iterator[Finding]:
    """Rows [begin, end) of each query, against where its user's rows and its moment lie in the log."""
    asked = seen.split.queries
    begin, end = asked.begin, asked.end
    first, last = seen.offsets[asked.user], seen.offsets[asked.user + 1]
    strange = (end > begin) & ((begin < first) | (end > last))
    if strange.any():
        count = int(strange.sum())
        yield Finding("history_of_others", count, f"{count:,} histories hold rows of another user")
    if len(seen.unordered):
        return  # then no row of a history is before or after another
    known = seen.moment >= 0  # another check names the others
    place, last = seen.moment[known], last[known]
    begin, stop = begin[known], np.minimum(end[known], last)
    at, after = np.maximum(seen.at.first[place], begin), np.maximum(seen.at.first[place + 1], begin)
    late = stop > after
    if late.any():
        count, events = int(late.sum()), int((stop - after)[late].sum())
        yield Finding(
            "history_after_moment",
            count,
            f"{count:,} histories hold {events:,} events after their query's moment",
        )
    answered, beside = _at_moment(seen, np.flatnonzero(known), at, np.minimum(stop, after))
    if answered:
        yield Finding(
            "answer_in_history", answered, f"{answered:,} histories hold an event that their query asks about"
        )
    if beside:
        yield Finding(
            "history_at_moment",
            beside,
            f"{beside:,} histories hold other events of their query's own moment, which are not before it",
        )


def _at_moment(seen: Evidence, queries: Ints, begin: Ints, end: Ints) -> tuple[int, int]:
    """How many histories hold, of their query's own moment, an item that is asked for, and how many another one.

    begin, end: the rows of its own moment that the history of each of the queries holds.
    """
    split = seen.split
    end = np.maximum(begin, end)
    rows, query = ranges(begin, end), np.repeat(queries, end - begin)
    width = len(split.catalogue) + 1
    column = split.column[seen.items[rows]].astype(np.int64)
    wanted = owners(split.queries.relevant_offsets) * width + split.queries.relevant
    asked = (column >= 0) & np.isin(query * width + column, wanted)
    return len(np.unique(query[asked])), len(np.unique(query[~asked]))
