"""The main job: from an event log to a registered, gated, explained model."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.cost import Meter
from harness.data.disk import locked
from harness.errors import ConfigurationError
from harness.files import write_json
from harness.job.publishing import publish
from harness.progress import say
from harness.registry.live import Live
from harness.registry.registry import RUN_TAG, Registry
from harness.settings import RunSettings
from harness.steps.choosing import choose
from harness.steps.judging import judge
from harness.steps.workshop import Workshop
from harness.story.run import run_story

RESULT_FILE = "result.json"
RUN_FILE = "run.json"
COST_FILE = "cost.json"
"""What the starts of a run have cost so far: made with the first, gone with the run."""


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
    registry = Registry(settings.registry.name)
    registry.versions()  # one that cannot be reached is said now, not after the search
    workshop = Workshop.open(settings)
    # The same run started twice waits, and finds it done.
    with locked(workshop.folder.parent, workshop.key, "work"):
        if fresh:
            workshop.forget()
        token = _token(workshop.told)
        done = _done(workshop.told, registry, token)
        if done is not None:
            say(f"run: found done in {workshop.folder}; `--fresh` does it again")
            return done
        begun = datetime.now(UTC).isoformat(timespec="minutes")[:16]
        file = workshop.told / COST_FILE
        with Meter(file) as meter, registry.run(token, f"{registry.name} {begun}", watched=True) as run_id:
            workshop.spent = meter.add
            with Live(registry.below(run_id, token), settings.metric) as live:
                chosen = choose(workshop, live.over)
                outcome = judge(workshop, chosen, registry, token)
            story = run_story(workshop, chosen, outcome, config_path)
            cost = meter.read().to_dict()
            story |= {"seconds": cost["seconds"], "cost": cost}
            result = publish(workshop, outcome, story, registry, token, run_id)
        write_json(workshop.told / RESULT_FILE, result)
    return result


def _token(folder: Path) -> str:
    """What this run is called in MLflow: made once, kept with what is told of the run, gone with it."""
    file = folder / RUN_FILE
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, {"token": uuid.uuid4().hex})
    return str(json.loads(file.read_text())["token"])


def _done(folder: Path, registry: Registry, token: str) -> dict[str, Any] | None:
    """The result of this run, if it is done and its version is still in the registry."""
    file = folder / RESULT_FILE
    if not file.exists():
        return None
    for version in registry.versions():
        if version.tags.get(RUN_TAG) == token:
            result: dict[str, Any] = json.loads(file.read_text())
            result["model"]["aliases"] = list(version.aliases)  # they may have moved since
            return result
    return None
