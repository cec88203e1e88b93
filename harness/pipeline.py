"""The main job: from an event log to a registered, gated, explained model."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

from harness.choosing import choose
from harness.errors import ConfigurationError
from harness.judging import judge
from harness.progress import say
from harness.publishing import publish, write_json
from harness.registry import RUN_TAG, Registry
from harness.settings import RunSettings
from harness.workshop import Workshop

RESULT_FILE = "result.json"
RUN_FILE = "run.json"


def run(settings: RunSettings, config_path: Path, *, fresh: bool = False) -> dict[str, Any]:
    """Prepare, pretrain, search, fine-tune, evaluate, simulate the A/B test, register, report.

    A run that was killed goes on where it was; one that is done is found and returned as it is, unless `fresh`.

    Returns:
        The JSON of `lethe run`.

    Raises:
        ConfigurationError, DataError: wrong input. IncompleteError: a trial or a step did not finish.
    """
    if settings.registry is None:
        raise ConfigurationError(
            "`lethe run` needs `registry.name`: what the model is called in the registry."
        )
    started = time.monotonic()
    workshop = Workshop.open(settings)
    if fresh:
        shutil.rmtree(workshop.folder, ignore_errors=True)
    registry = Registry(settings.registry.name)
    token = _token(workshop.folder, settings)
    done = _done(workshop.folder, registry, token)
    if done is not None:
        say(f"run: found done in {workshop.folder}; `--fresh` does it again")
        return done
    chosen = choose(workshop)
    outcome = judge(workshop, chosen, registry, token)
    result = publish(workshop, chosen, outcome, registry, token, config_path, time.monotonic() - started)
    write_json(workshop.folder / RESULT_FILE, result)
    return result


def _token(folder: Path, settings: RunSettings) -> str:
    """What this run is called in MLflow: made once, kept with the run's work, gone with it.

    The work is shared by configurations that differ in what is told of it (metrics, the gate, the A/B test); each of
    those is another run."""
    told = settings.model_dump(mode="json", include={"evaluate", "ab", "registry"})
    file = folder / RUN_FILE
    found = json.loads(file.read_text()) if file.exists() else {}
    if found.get("told") != told:
        folder.mkdir(parents=True, exist_ok=True)
        found = {"token": uuid.uuid4().hex, "told": told}
        write_json(file, found)
    return str(found["token"])


def _done(folder: Path, registry: Registry, token: str) -> dict[str, Any] | None:
    """The result of this run, if it is done and its version is still in the registry."""
    file = folder / RESULT_FILE
    if not file.exists():
        return None
    if not any(version.tags.get(RUN_TAG) == token for version in registry.versions()):
        return None
    result: dict[str, Any] = json.loads(file.read_text())
    return result
