"""A small store, a small fitted package, the command line as a function, and one main job that many tests look at."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluators import Audit, Finding
from harness import report
from harness.data import ColumnSettings, DataSettings, Store, prepare
from harness.job import pipeline
from harness.registry import registry as registry_module
from harness.registry.registry import Registry
from harness.serving.package import Package
from harness.settings import load
from harness.splits import SplitSettings
from harness.stage import Stage
from tests.conftest import simulated_log
from tests.harness.report.sample import summary
from trainers.fitting.fits import fit_model
from trainers.model import ModelSettings

TINY = """
data: {events: events.csv, repeats: true}
model:
  terms:
    - {kind: own, forgetting: {family: exponential, half_life: 5}}
    - {kind: linear, l2: 50, weight: 0.3}
    - {kind: trend, weight: 0.1}
    - {kind: mlp, weight: 0.05, dim: 8, hidden: 16, training: {epochs: 2}}
search:
  trials: 24
  space:
    own+linear: {forgetting: {clock: [time], half_life: {time: [1, 50]}}}
    linear: {l2: [20, 100], weight: {low: 0.05, high: 1, log: true}}
finetune: {window_days: 10, epochs: 1}
evaluate: {k: [5, 10]}
registry: {name: tiny}
"""
"""The main job, small: four kinds of terms, 24 trials and as many under `none`, one epoch of fine-tuning."""

CLOSED = """
data: {events: events.csv, repeats: true}
model:
  terms:
    - {kind: own, forgetting: {family: exponential, half_life: 5}}
    - {kind: trend, weight: 0.1}
evaluate: {k: [5, 10]}
registry: {name: closed}
"""
"""No search and nothing neural: a run of seconds."""


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object that stdout must be."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def last(self) -> str:
        return self.err.strip().splitlines()[-1]


Command = Callable[..., Said]


@pytest.fixture
def lethe(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """The command line, in this process: `lethe("prepare", "c.yaml", "--json")`."""
    from harness import cli

    def call(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["lethe", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main()
        out, err = capfd.readouterr()
        return Said(int(left.value.code or 0), out, err)

    return call


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database that has its tables and nothing else: making one takes seconds, copying it none."""
    from mlflow.tracking import MlflowClient

    file = tmp_path_factory.mktemp("registry") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments(max_results=1)
    return file


@pytest.fixture
def work(work: Path, empty_registry: Path) -> Path:
    shutil.copy(empty_registry, work / "mlflow.db")
    return work


@pytest.fixture(scope="session")
def fading_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with enough users that forgetting, which made it, is found."""
    path = tmp_path_factory.mktemp("fading") / "events.csv"
    simulated_log(users=120, moments=40).to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def store(small_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("store")
    return prepare(DataSettings(events=str(small_log), repeats=True, store=str(folder)), lambda message: None)


def with_arrays(store: Store, **arrays: Any) -> Store:
    """The same store with other events."""
    changed = replace(store)
    vars(changed)["arrays"] = store.arrays | arrays
    return changed


def packaged(store: Store, terms: list[dict[str, Any]], *, stage: Stage | None = None) -> Package:
    """A model fitted before the test cut (or on another stage), packaged."""
    stage = stage or Stage.of(store, SplitSettings(), "test", True)
    model = fit_model(ModelSettings.model_validate({"terms": terms}), stage.training, repeats=True)
    about = {
        "repeats": True,
        "trained_until": stage.training.end,
        "fingerprint": store.fingerprint,
        "leaks": False,
    }
    return Package.of(model, store, stage.split.catalogue, about)


@pytest.fixture(scope="session")
def package(store: Store) -> Package:
    forgetting = {"family": "exponential", "half_life": 5.0}
    return packaged(
        store,
        [
            {"kind": "own", "forgetting": forgetting},
            {"kind": "linear", "l2": 50.0, "weight": 0.3, "forgetting": forgetting},
            {"kind": "trend", "weight": 0.1},
        ],
    )


@pytest.fixture(scope="session")
def grouped(small_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The small log with two event types in turn, and three categories of its items; every fourth item has none."""
    folder = tmp_path_factory.mktemp("grouped")
    log = pd.read_csv(small_log)
    log.assign(what=np.where(np.arange(len(log)) % 2, "view", "buy")).to_csv(
        folder / "events.csv", index=False
    )
    ids = sorted(log.item_id.unique())
    kinds = [["", "tea|hot", "cake", "milk|cold"][number % 4] for number in range(len(ids))]
    pd.DataFrame({"item_id": ids, "categories": kinds}).to_csv(folder / "items.csv", index=False)
    settings = DataSettings(
        events=str(folder / "events.csv"),
        items=str(folder / "items.csv"),
        columns=ColumnSettings(event_type="what"),
        repeats=True,
        store=str(folder / "store"),
    )
    return prepare(settings, lambda message: None)


@pytest.fixture(scope="session")
def grouped_package(grouped: Store) -> Package:
    return packaged(grouped, [{"kind": "own", "forgetting": {"family": "exponential", "half_life": 5.0}}])


def an_audit(*, leaks: bool = False) -> Audit:
    verdict = "Leaks (per_user_cut): 12 % of training lies ahead." if leaks else "No leak."
    found = (
        (Finding("per_user_cut", 3, "3 queries have later events of others in training"),) if leaks else ()
    )
    return Audit(100, 10, 0.1 * leaks, 0.1 * leaks, 0.0, 0.0, 0.0, 0.0, 0, found, (), verdict)


@dataclass(frozen=True)
class Finished:
    """A main job that is done, in its folder."""

    folder: Path
    result: dict[str, Any]

    @property
    def config(self) -> Path:
        return self.folder / "tiny.yaml"

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder}/mlflow.db"

    def there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Work in its folder and with its registry, for the length of a test."""
        monkeypatch.chdir(self.folder)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", self.uri)


@pytest.fixture(scope="session")
def finished(
    ray_session: str, fading_log: Path, empty_registry: Path, tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    """The main job of `TINY`, done once; tests only look at it."""
    from harness.job import pipeline
    from harness.settings import load

    folder = tmp_path_factory.mktemp("finished")
    shutil.copy(empty_registry, folder / "mlflow.db")
    shutil.copy(fading_log, folder / "events.csv")
    (folder / "tiny.yaml").write_text(TINY)
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        os.chdir(folder)
        try:
            result = pipeline.run(load("tiny.yaml"), Path("tiny.yaml"))
        finally:
            os.chdir(before)
    return Finished(folder, result)


SECRETS = {
    "MLFLOW_TRACKING_PASSWORD": "mlf10w-pa55",
    "AWS_SECRET_ACCESS_KEY": "aw5-5ecret",
    "RAY_AUTH_TOKEN": "r4y-t0ken",
}
LOGIN, KEY = "ann:pa55w0rd", "wJalrXUtnFEMI"
"""A secret in the environment, in the tracking URI and in the data's URI: `whispered` is told all of them."""


@dataclass(frozen=True)
class Whispered:
    """Two runs that were told secrets: version 1 is champion, version 2, popularity alone, was refused."""

    folder: Path
    printed: str
    results: tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="session")
def whispered(fading_log: Path, empty_registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Whispered:
    """Made once; tests only look at it. What fading it shows is invented, and nothing is drawn: both take long."""
    folder = tmp_path_factory.mktemp("whispered")
    shutil.copy(empty_registry, folder / "mlflow.db")
    shutil.copy(fading_log, folder / "events.csv")
    uri = f"'file://{folder}/events.csv?secret_key={KEY}'"
    config = CLOSED.replace("events: events.csv", f"events: {uri}")
    (folder / "closed.yaml").write_text(config)
    own = "    - {kind: own, forgetting: {family: exponential, half_life: 5}}\n"
    (folder / "popular.yaml").write_text(f"{config.replace(own, '')}seed: 7\n")
    before, printed, connect = Path.cwd(), io.StringIO(), registry_module.connect

    def connected() -> str:
        connect()
        return f"postgresql://{LOGIN}@db/mlflow"

    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.setattr(registry_module, "connect", connected)
        patch.setattr("harness.story.run.fading", lambda workshop: summary()["fading"])
        patch.setattr(report, "figures", lambda story: {})
        os.chdir(folder)
        try:
            with contextlib.redirect_stderr(printed):
                results = run_main("closed.yaml"), run_main("popular.yaml")
        finally:
            os.chdir(before)
    return Whispered(folder, printed.getvalue(), results)


def run_main(config: str, *changes: str, fresh: bool = False) -> dict[str, Any]:
    """`lethe run`, in this process."""
    return pipeline.run(load(config, list(changes)), Path(config), fresh=fresh)


@pytest.fixture
def closed(work: Path, fading_log: Path) -> Path:
    """A folder with a configuration that needs no search."""
    shutil.copy(fading_log, work / "events.csv")
    (work / "closed.yaml").write_text(CLOSED)
    return work


@pytest.fixture
def tiny(work: Path, fading_log: Path, ray_session: str) -> Path:
    """A folder with the main job, nothing done."""
    shutil.copy(fading_log, work / "events.csv")
    (work / "tiny.yaml").write_text(TINY)
    return work


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No drawing: most of a small run's time goes into its figures."""
    monkeypatch.setattr(report, "figures", lambda story: {})
    monkeypatch.setattr(report, "write", lambda story, text, path: Path(path).write_text(text))


@pytest.fixture
def config(work: Path, small_log: Path) -> Path:
    shutil.copy(small_log, work / "events.csv")
    path = work / "closed.yaml"
    path.write_text(CLOSED)
    return path


@pytest.fixture
def shop(config: Path, store: Store, package: Package) -> Registry:
    """Three versions: a champion that remembers everything by popularity, two candidates that do better."""
    registry = Registry("closed")
    popular = packaged(store, [{"kind": "trend"}])
    for token, made in (("first", popular), ("second", package), ("third", package)):
        with registry.run(token, token) as run_id:
            registry.register(run_id, token, made, {"metrics": token})
    registry.promote(registry.find("1"), {"promoted": True})
    return registry
