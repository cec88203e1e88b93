"""Recommend to a user of the log, and say what holds each item up."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import numpy as np

from harness.errors import ConfigurationError
from harness.evaluating import registry_of
from harness.package import Package, Reader
from harness.settings import RunSettings
from harness.workshop import Workshop
from trainers.histories import Histories
from trainers.log import Queries
from trainers.model import scaled

EVENTS_SHOWN = 5


def recommend_to(
    settings: RunSettings, user: str, at: str | None, k: int, which: str, explain: bool
) -> dict[str, Any]:
    """The JSON of `lethe recommend`: items with scores, and with `explain` the terms and events behind them.

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
    moment = datetime.now(UTC).timestamp() if at is None else _moment(at)
    begin, stop = int(store.offsets[found[0]]), int(store.offsets[found[0] + 1])
    end = begin + int(np.searchsorted(store.times[begin:stop], moment, side="left"))
    empty = np.zeros(0, np.int64)
    query = Queries(np.array([moment]), np.array([begin]), np.array([end]), np.zeros(2, np.int64), empty)
    histories = Reader(package, store).histories(query)
    columns, scores = package.top(histories, k)
    items = []
    for column, score in zip(columns[0].tolist(), scores[0].tolist(), strict=True):
        if column >= 0:
            entry = {"item": package.items[column], "title": package.titles[column], "score": score}
            items.append(entry | (_explanation(package, histories, column) if explain else {}))
    return {
        "user": user,
        "at": datetime.fromtimestamp(moment, UTC).isoformat(),
        "model": {"name": version.name, "version": version.version},
        "events": end - begin,
        "items": items,
    }


def _explanation(package: Package, histories: Histories, column: int) -> dict[str, Any]:
    """The score of an item as a sum over terms, and the events that add most to it."""
    terms = {}
    events: dict[int, dict[str, Any]] = {}
    for term, encoder in zip(package.model.settings.terms, package.model.encoders, strict=True):
        if term.weight == 0:
            continue
        terms[term.label] = term.weight * float(scaled(term, encoder.score(histories))[0, column])
        split = encoder.event_scores(histories, column) if term.scale == "raw" else None
        if split is None:
            continue
        left = encoder.left(histories)
        for event in np.argsort(-np.abs(split), kind="stable")[:EVENTS_SHOWN].tolist():
            if split[event]:
                entry = events.setdefault(
                    event,
                    {
                        "item": package.items[histories.columns[event]],
                        "title": package.titles[histories.columns[event]],
                        "age_days": float(histories.days[event]),
                        "left": {},
                        "adds": {},
                    },
                )
                entry["left"][term.label] = float(left[event])
                entry["adds"][term.label] = term.weight * float(split[event])
    ranked = sorted(events.values(), key=lambda entry: -abs(sum(entry["adds"].values())))
    return {"terms": terms, "events": ranked[:EVENTS_SHOWN]}


def _moment(text: str) -> float:
    with contextlib.suppress(ValueError, OverflowError, OSError):  # no number, or none that is a date
        return datetime.fromtimestamp(float(text), UTC).timestamp()
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"`--at` must be a date and time as in 2011-12-01T09:30, or unix seconds, but got {text!r}."
        ) from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
