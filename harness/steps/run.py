"""A run: what it is known by, where its steps lie, and the stages that its models are fitted and asked on.

A run is known by its content: the configuration (what matters of it), the data's fingerprint and Lethe's version. Its
folder holds the steps; each is written whole or not at all, so a run that was killed goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from harness import source_digest
from harness.data import Store
from harness.settings import RunSettings
from harness.stage import Stage, StageName
from harness.steps.warm import TRIALS
from trainers.spent import Spent, unspent

_TOLD = "told-"


class Run:
    """One run's settings, data, folder and stages.

    Attributes:
        spent: told of what workers on other machines spent.
    """

    def __init__(self, settings: RunSettings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.spent: Callable[[Spent], None] = unspent

    @cached_property
    def key(self) -> str:
        """Names the run by what decides its results."""
        whole = dict.fromkeys(
            ("data", "work", "train", "registry", "report", "ab", "evaluate", "off_policy"), True
        )
        exclude: Any = {**whole, "search": dict.fromkeys(("max_failed", "concurrent", "trial"), True)}
        content = [
            source_digest(),
            self.store.fingerprint,
            self.settings.data.repeats,
            self.settings.model_dump(mode="json", exclude=exclude),
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @cached_property
    def folder(self) -> Path:
        return (Path(self.settings.work) / self.key).absolute()

    @cached_property
    def told(self) -> Path:
        """Where what is told of the run lies: runs that differ in metrics, gate or A/B test share all other work."""
        told = self.settings.model_dump(mode="json", include={"evaluate", "ab", "registry", "report"})
        return self.folder / f"{_TOLD}{digest(told)}"

    def forget(self) -> None:
        """Remove its steps and what is told of it; what is told of others that share the steps stays."""
        for entry in self.folder.glob("*"):
            if entry == self.told or not entry.name.startswith(_TOLD):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    @cached_property
    def val(self) -> Stage:
        return self._stage("val")

    @cached_property
    def test(self) -> Stage:
        return self._stage("test")

    def _stage(self, name: StageName) -> Stage:
        return self._measured(Stage.of(self.store, self.settings.split, name, self.settings.data.repeats))

    def rolls(self, name: StageName) -> list[Stage]:
        """A stage for each cut of a rolling protocol; the first is fitted as the whole stage is."""
        stages = Stage.rolls(self.store, self.settings.split, name, self.settings.data.repeats)
        return [self._measured(stage) for stage in stages]

    def _measured(self, stage: Stage) -> Stage:
        """A stage that knows what metrics need of the configuration."""
        return replace(stage, half_life=self.settings.evaluate.half_life)

    @property
    def trials(self) -> Path:
        """Where the searches keep what is finished."""
        return self.folder / TRIALS


def digest(content: Any) -> str:
    """Names what JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
