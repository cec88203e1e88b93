"""Lists from a live state, which takes in new events and is made of a registered version where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness.data import prepare
from harness.errors import ConfigurationError
from harness.progress import bar
from harness.recommend.moment import moment_of, told
from harness.serving.live import LiveState
from harness.serving.package import Reader
from harness.settings import RunSettings
from harness.steps.registered import registry_of
from harness.steps.workshop import Workshop

CHUNK = 1000  # events taken in at once


def recommend_live(
    settings: RunSettings,
    folder: Path,
    events: Path | None,
    user: str | None,
    at: str | None,
    k: int,
    which: str,
) -> dict[str, Any]:
    """The JSON of `lethe recommend --state`: how many events were taken in, and the list of `user`, if one is named."""
    moment = moment_of(at)
    live = _open(settings, folder, which)
    result: dict[str, Any] = {"state": str(folder), "model": live.about, "errors": live.model.errors}
    if events is not None:
        result |= _take(live, settings, events)
    if user is not None:
        items = [entry._asdict() for entry in live.recommend(user, moment, k)]
        result |= {
            "user": user,
            "at": told(moment),
            "events": live.journal.count(user, moment),
            "items": items,
        }
    return result


def _open(settings: RunSettings, folder: Path, which: str) -> LiveState:
    """The live state in `folder`, of the version that is asked for; made of it and of the log where there is none."""
    registry = registry_of(settings)
    version = registry.find(which)
    about = {"name": version.name, "version": version.version}
    if LiveState.whole(folder):
        live = LiveState.open(folder)
        if live.about != about:
            raise ConfigurationError(
                f"`--state` must be of version {version.version}, but {folder} is of {live.about['name']} "
                f"v{live.about['version']}; name another folder, or that version with `--model`."
            )
        return live
    package = registry.package(version)
    users = Reader(package, Workshop.open(settings).store).users()
    with bar("live state", len(users.ids)) as line:
        try:
            return LiveState.make(folder, package, users, about, progress=lambda done: line.update(done=done))
        except ValueError as error:
            raise ConfigurationError(f"`--state`: {error}") from error


def _take(live: LiveState, settings: RunSettings, events: Path) -> dict[str, int]:
    """Take in a file of events, in the order of time."""
    store = prepare(settings.data.model_copy(update={"events": str(events.absolute())}), lambda message: None)
    users = np.repeat(store.users, np.diff(store.offsets))
    order = np.argsort(store.times, kind="stable")
    new = 0
    with bar("events", len(order)) as line:
        for start in range(0, len(order), CHUNK):
            rows = order[start : start + CHUNK]
            columns = (
                users[rows],
                store.item_ids[store.items[rows]],
                store.times[rows],
                store.weights[rows],
                store.event_types[store.types[rows]],
            )
            new += live.update_all(zip(*(column.tolist() for column in columns), strict=True))
            line.update(done=start + len(rows))
    return {"taken": new, "known": len(order) - new}
