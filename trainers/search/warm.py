"""A former search on the same data: its trials are known to a new one from the start."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from trainers.model import ModelSettings
from trainers.search.ledger import ABOUT_FILE, STOPPED
from trainers.search.objective import Subject


class Unlike(ValueError):
    """A former search whose values are of something else: other data, other cuts, another metric."""


@dataclass(frozen=True)
class Known:
    """What a space contains of a former search.

    Attributes:
        trials: finished ones, as Optuna takes them in.
        skipped: how many others there are: of another space or model, or stopped early.
        where: the former search.
    """

    trials: list[FrozenTrial]
    skipped: int
    where: str


@dataclass(frozen=True)
class Former:
    """A former search: what its values are of, and its trials, `{params, value, model}` each.

    Attributes:
        where: as it was asked for.
        about: as `Objective.about` gave it.
    """

    where: str
    about: dict[str, Any]
    trials: list[dict[str, Any]]

    @classmethod
    def of_folder(cls, folder: Path, where: str) -> Former:
        """Read the ledger of a search, finished or not.

        Raises:
            ValueError: there is none.
        """
        try:
            about = json.loads((folder / ABOUT_FILE).read_text())
        except (OSError, ValueError):
            raise ValueError(
                f"`search.warm_start` must be a former search (the id or path of its run's folder, or a version of the "
                f"registry), but {where!r} has none in `{folder}`."
            ) from None
        return cls(where, about, list(_entries(folder)))

    @classmethod
    def of_record(cls, record: dict[str, Any], where: str) -> Former:
        """What `record` made."""
        return cls(where, record["about"], record["trials"])

    def record(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {"about": self.about, "trials": self.trials}

    def check(self, about: dict[str, Any]) -> None:
        """Raise `Unlike` where values of the new search would be of something else."""
        for name, mine in about.items():
            if (theirs := self.about.get(name)) != mine:
                raise Unlike(
                    f"`search.warm_start` must be a search with the same {name}, but {self.where!r} had {theirs} and "
                    f"this one has {mine}; leave it out."
                )

    def known(self, subject: Subject) -> Known:
        """The trials that the subject's space contains: there, the same parameters make the same model."""
        found: dict[str, FrozenTrial] = {}
        for trial in self.trials:
            if (taken := _taken(trial, subject)) is not None:
                found.setdefault(json.dumps(trial["params"], sort_keys=True), taken)
        ordered = [found[key] for key in sorted(found)]
        return Known(ordered, len(self.trials) - len(ordered), self.where)


def _taken(trial: dict[str, Any], subject: Subject) -> FrozenTrial | None:
    params, value = trial["params"], trial["value"]
    if value is None or not params:
        return None
    fixed = optuna.trial.FixedTrial(params)
    try:
        # It warns of a value beyond its range, which `create_trial` refuses.
        with warnings.catch_warnings(action="ignore"):
            inside = subject.space.suggest(fixed) == params
        taken = optuna.trial.create_trial(params=params, distributions=fixed.distributions, value=value)
        same = subject.at(params) == ModelSettings.model_validate(trial["model"])
    except ValueError:  # a parameter that the space does not have, or a value that it does not reach
        return None
    return taken if inside and same else None


def _entries(folder: Path) -> Iterable[dict[str, Any]]:
    """The entries of a ledger that can be read, in an order that does not depend on the disk."""
    for file in sorted(folder.glob("*.json")):
        if file.name.endswith(STOPPED) and (folder / file.name.replace(STOPPED, ".json")).exists():
            continue
        try:
            content = json.loads(file.read_text())
            yield {name: content[name] for name in ("params", "value", "model")}
        except (OSError, ValueError, KeyError, TypeError):
            continue
