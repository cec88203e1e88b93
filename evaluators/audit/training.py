"""Checks of what was fitted on: nothing of what is asked, nothing later, nothing that only the future knows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evaluators.arrays import Bools, Floats
from evaluators.audit.evidence import Evidence
from evaluators.audit.findings import Finding

NEAR = 60.0
"""Seconds within which a repeat of the same item by the same user looks like one event logged twice."""


def future(seen: Evidence) -> Floats:
    """[Q] the share of training events at or after each query's moment.

    Source: Ji, Sun, Zhang, Li 2023, "A critical study on data leakage in recommender system offline evaluation".
    """
    times = np.sort(seen.fitted.time)
    share: Floats = 1 - np.searchsorted(times, seen.split.queries.time, side="left") / len(times)
    return share


def later_events(seen: Evidence) -> Iterator[Finding]:
    """Whose later events are trained on: the user's own, or others', and then by which kind of cut."""
    fitted, queries = seen.fitted, len(seen.split.queries)
    later = np.rint(future(seen) * len(fitted.time)).astype(np.int64)
    place = seen.places
    own = place.end - place.after
    others = later - (place.end - place.at)
    if own.any():
        yield Finding(
            "own_future",
            int((own > 0).sum()),
            f"{(own > 0).sum():,} of {queries:,} queries have later events of their own user in training",
        )
    if others.any():
        name = "others_future" if own.any() else "leave_one_out" if _once_each(seen) else "per_user_cut"
        said = {
            "others_future": "",
            "leave_one_out": "; each user is asked at one moment, and trained on up to it",
            "per_user_cut": "; each user is cut at another time",
        }[name]
        yield Finding(
            name,
            int((others > 0).sum()),
            f"{(others > 0).sum():,} of {queries:,} queries have events of other users at or after their moment in "
            f"training{said}",
        )


def _once_each(seen: Evidence) -> bool:
    """Whether every user who is asked about is so at one moment: rows asked, sampled or not."""
    asked = np.add.reduceat(seen.split.asked, seen.at.first[:-1]) > 0
    return len(np.unique(seen.at.user[asked])) == int(asked.sum())


def asked_and_trained(seen: Evidence) -> Iterator[Finding]:
    """The same event, a copy of it, or another event of its moment on both sides."""
    log, fitted, asked = seen.copies
    surplus = np.clip(fitted + asked - log, 0, asked)
    copied = (fitted > 0) & (surplus < asked) & (fitted > surplus)
    if surplus.any():
        yield Finding(
            "answers_in_training",
            int(surplus.sum()),
            f"{surplus.sum():,} of the {asked.sum():,} events asked about are trained on",
        )
    if copied.any():
        yield Finding(
            "duplicates_across_cut",
            int(copied.sum()),
            f"{copied.sum():,} events asked about have another row of the same user, item and time in training",
        )
    known = seen.moment >= 0
    size = np.diff(seen.at.first)[seen.moment[known]]
    place = seen.places
    inside = (place.after - place.at)[known]
    partly = int(((inside > 0) & (inside < size)).sum())
    if partly:
        yield Finding(
            "straddling_moments", partly, f"{partly:,} queries ask about a moment that is partly in training"
        )


def straddling(seen: Evidence) -> Bools:
    """[M] which moments are partly in training and partly not."""
    inside = np.add.reduceat(seen.split.train.astype(np.int64), seen.at.first[:-1])
    return (inside > 0) & (inside < np.diff(seen.at.first))


def foreign_events(seen: Evidence) -> Iterator[Finding]:
    """Training that was given apart from the log and is not of it."""
    if seen.training is None:
        return
    given = seen.training
    both = np.column_stack(
        [
            np.concatenate([given.user, seen.user]),
            np.concatenate([given.item, seen.items]),
            np.unique(np.concatenate([given.time, seen.times]), return_inverse=True)[1],
        ]
    )
    codes = np.unique(both, axis=0, return_inverse=True)[1]
    missing = int((~np.isin(codes[: len(given.time)], codes[len(given.time) :])).sum())
    if missing:
        yield Finding(
            "training_not_in_log",
            missing,
            f"{missing:,} of the {len(given.time):,} training events are no events of the log",
        )


def vocabulary(seen: Evidence) -> Iterator[Finding]:
    """Items, and counts of items, that only later events know."""
    trained = seen.trained
    listed = np.union1d(np.flatnonzero(seen.split.column >= 0), seen.split.catalogue)
    unknown = int((trained[listed] == 0).sum())
    if unknown:
        yield Finding(
            "future_vocabulary",
            unknown,
            f"{unknown:,} of the {len(listed):,} items of the catalogue have no training event",
        )
    if seen.popularity is None:
        return
    more = int((np.asarray(seen.popularity) > trained).sum())
    if more:
        yield Finding(
            "future_popularity",
            more,
            f"the popularity of {more:,} items counts events that training does not have",
        )


def near_duplicates(seen: Evidence) -> Iterator[Finding]:
    """Asked events that repeat a training event of the same user and item within `NEAR` seconds."""
    rows = np.flatnonzero(seen.times >= seen.since - NEAR)
    order = rows[np.lexsort((seen.times[rows], seen.items[rows], seen.user[rows]))]
    user, item, time = seen.user[order], seen.items[order], seen.times[order]
    same = (user[1:] == user[:-1]) & (item[1:] == item[:-1]) & (time[1:] > time[:-1])
    near = same & (time[1:] - time[:-1] <= NEAR)
    count = int((near & seen.asked[order][1:] & seen.split.train[order][:-1]).sum())
    if count:
        yield Finding(
            "near_duplicates",
            count,
            f"{count:,} events asked about repeat a training event of the same user and item within a minute",
        )
