"""Choose a rival's settings on validation, read test once, keep what was measured."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import evaluators
from benchmarks.rivals.base import Floats, Rival, Scores
from benchmarks.rivals.grids import Steps
from harness.stage import Stage

METRIC = "ndcg@10"
RESULTS = Path(__file__).parent.parent / "results"


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class RivalScorer:
    """A fitted rival asked about a stage's queries, as `Stage.evaluate` asks."""

    stage: Stage
    rival: Rival

    def score(self, index: slice) -> Scores:
        return self.rival.score(self.stage.histories(index))


def values(stage: Stage, scorer: Any) -> Floats:
    """[Q] NDCG@10 of each query."""
    found: Floats = stage.evaluate(scorer, (METRIC,), ()).values[METRIC]
    return found


def chosen(
    rival: type[Rival], steps: Steps, stage: Stage, note: Callable[[str], None] = say
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The settings that validation prefers, and all that were tried: `[{"settings", "val"}, …]`."""
    fitted: dict[tuple[Any, ...], Rival] = {}
    tried: dict[str, tuple[float, dict[str, Any]]] = {}

    def tell(settings: dict[str, Any]) -> float:
        name = json.dumps(settings, sort_keys=True)
        if name not in tried:
            asked = rival(**settings)
            if asked.key() not in fitted:
                fitted.clear()  # one matrix of the catalogue at a time
                asked.fit(stage.training)
                fitted[asked.key()] = asked
            served = fitted[asked.key()].serving(asked)
            tried[name] = float(values(stage, RivalScorer(stage, served)).mean()), settings
            note(f"  val {tried[name][0]:.4f} {name}")
        return tried[name][0]

    best = rival().settings()
    for setting, choices in steps:
        kept = best[setting]  # it is fitted already, and wins a tie
        ordered = [kept, *(choice for choice in choices if choice != kept)]
        best = max(({**best, setting: choice} for choice in ordered), key=tell)
    return best, [{"settings": settings, "val": val} for val, settings in tried.values()]


def measured(rival: type[Rival], steps: Steps, val: Stage, test: Stage) -> tuple[dict[str, Any], Floats]:
    """The entry of a closed-form rival, and [Q] its NDCG@10 on test."""
    start = time.perf_counter()
    settings, grid = chosen(rival, steps, val)
    searched = time.perf_counter()
    final = rival(**settings)
    final.fit(test.training)
    fitted = time.perf_counter()
    ndcg = values(test, RivalScorer(test, final))
    done = time.perf_counter()
    entry = {
        "settings": settings,
        "val": next(trial["val"] for trial in grid if trial["settings"] == settings),
        "grid": grid,
        "seconds": {
            "search": round(searched - start, 1),
            "fit": round(fitted - searched, 1),
            "test": round(done - fitted, 1),
        },
    }
    return entry, ndcg


class Book:
    """The figures of one data set: a JSON file to read and publish, and the values per query beside the runs.

    What is measured already is found: an entry is named by the data, the split, and what its rival is.
    """

    def __init__(self, name: str, test: Stage, values: Path) -> None:
        self.path = RESULTS / f"rivals-{name}.json"
        self.values = values / name
        self.test = test
        split = test.split
        self.head: dict[str, Any] = {
            "data": name,
            "protocol": split.protocol,
            "repeats": test.repeats,
            "queries": len(split.queries),
            "users": len(np.unique(split.queries.user)),
            "catalogue": len(split.catalogue),
            "metric": METRIC,
        }
        self.origin = [test.store.fingerprint, split.protocol, split.start, test.repeats]
        if ahead := test.settings.ahead():
            self.origin += [ahead.moments, ahead.days]
        self.entries: dict[str, dict[str, Any]] = {}
        if self.path.exists():
            read = json.loads(self.path.read_text())
            self.entries = read["rivals"]
            if "lethe" in read:
                self.head["lethe"] = read["lethe"]

    def key(self, content: Any) -> str:
        return hashlib.sha256(json.dumps([self.origin, content], sort_keys=True).encode()).hexdigest()[:16]

    def found(self, name: str, key: str) -> Floats | None:
        """[Q] the values of an entry that was measured as `key` says."""
        file = self.values / f"{key}.npz"
        if self.entries.get(name, {}).get("key") != key or not file.exists():
            return None
        ndcg: Floats = np.load(file)["ndcg"]
        return ndcg

    def write(self, name: str, key: str, entry: dict[str, Any], ndcg: Floats) -> None:
        self.values.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(self.values / f"{key}.npz", ndcg=ndcg, users=self.test.users)
        estimate = evaluators.interval(ndcg, self.test.users).to_dict()
        self.entries[name] = {"key": key, "test": estimate, **entry}
        self._save()

    def compare(self, name: str, model: Floats) -> None:
        """Lethe's model minus the rival, paired on the same queries, with an interval that resamples users."""
        ndcg = self.found(name, self.entries[name]["key"])
        if ndcg is None:
            return
        difference = evaluators.paired(model, ndcg, self.test.users).to_dict()
        self.entries[name]["lethe minus rival"] = difference
        self._save()

    def model(self, name: str, ndcg: Floats) -> None:
        """What the rivals are compared with."""
        self.head["lethe"] = {"model": name, "test": evaluators.interval(ndcg, self.test.users).to_dict()}
        self._save()

    def _save(self) -> None:
        RESULTS.mkdir(exist_ok=True)
        self.path.write_text(json.dumps({**self.head, "rivals": self.entries}, indent=1) + "\n")
