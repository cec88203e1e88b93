"""Recommend to a user of the log, and say what holds each item up."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.errors import ConfigurationError
from harness.recommend.moment import moment_of, told
from harness.serving.expected import expected
from harness.serving.package import Package, Reader
from harness.settings import RunSettings
from harness.steps.registered import registry_of
from harness.steps.workshop import Workshop
from trainers.explanation import Share, explain
from trainers.histories import Histories


def recommend_to(
    settings: RunSettings, user: str, at: str | None, k: int, which: str, explained: bool
) -> dict[str, Any]:
    """The JSON of `lethe recommend`: items with scores, and where `explained` the terms and events behind them,
    and, of a version that knows it, `expected`: the share of what the user takes next that each item is expected to be.

    Raises:
        ConfigurationError: the user or the version is not known, or the moment is not readable.
    """
    registry = registry_of(settings)
    version = registry.find(which)
    package = registry.package(version)
    store = Workshop.open(settings).store
    found = np.flatnonzero(store.users == user)
    if not len(found):
        raise ConfigurationError(f"`--user` must be a user id of the log, but there is no {user!r}.")
    moment = moment_of(at)
    query = store.log.asked(found, np.array([moment]))
    return {
        "user": user,
        "at": told(moment),
        "model": {"name": version.name, "version": version.version},
        "events": int((query.end - query.begin)[0]),
        "items": _items(package, Reader(package, store).histories(query), k, explained),
    }


def _items(package: Package, histories: Histories, k: int, explained: bool) -> list[dict[str, Any]]:
    """The best items, their scores the exact sums of what holds them up, best first."""
    columns = [column for column in package.top(histories, k)[0][0].tolist() if column >= 0]
    known = expected(package, histories) if explained else None
    items = []
    for column, shares in zip(columns, explain(package.model, histories, columns), strict=True):
        entry = _named(package, column) | {"score": sum(share.total for share in shares)}
        if known is not None:
            entry["expected"] = float(known[0, column])
        items.append(entry | (_explanation(package, histories, shares) if explained else {}))
    return sorted(items, key=lambda entry: -entry["score"])


def _explanation(package: Package, histories: Histories, shares: list[Share]) -> dict[str, Any]:
    """What each term adds; the events, those that add most first; and what no event adds by itself."""
    adding = np.any([share.events != 0 for share in shares], axis=0)
    events = []
    for event in np.flatnonzero(adding).tolist():
        here = [share for share in shares if share.events[event] != 0]
        events.append(
            _named(package, int(histories.columns[event]))
            | {
                "at": told(float(histories.times[event])),
                "age_days": float(histories.days[event]),
                "age_moments": int(histories.moments[event]),
                "left": {share.label: float(share.left[event]) for share in here},
                "adds": {share.label: float(share.events[event]) for share in here},
            }
        )
    return {
        "terms": {share.label: share.total for share in shares},
        "events": sorted(events, key=lambda entry: -abs(sum(entry["adds"].values()))),
        "rest": {share.label: share.rest for share in shares if share.rest != 0},
    }


def _named(package: Package, column: int) -> dict[str, Any]:
    return {"item": package.items[column], "title": package.titles[column]}
