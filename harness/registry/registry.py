"""The MLflow registry: versions, their aliases, and what is written about them."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType
from typing import Any

import mlflow
from mlflow.entities import Metric, Param, RunTag
from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING
from mlflow.exceptions import MlflowException
from mlflow.store.entities import PagedList
from mlflow.tracking import MlflowClient

from harness.errors import ConfigurationError, IncompleteError
from harness.gate.decision import Decision
from harness.masking import masked
from harness.registry.nested import Below
from harness.registry.parts import parts
from harness.registry.promotion import CHAMPION, LOCK_TAG, SINCE_TAG, Overtaken, alone, champions
from harness.serving.package import ARTIFACT, Package

CANDIDATE = "candidate"
RUN_TAG = "lethe.run"  # what a run of Lethe calls itself: it is registered under it once
DECISION_TAG = "lethe.decision"
STORY_FILE = "story.json"  # with the run: everything that its report tells
DEFAULT_URI = "sqlite:///mlflow.db"


def connect() -> str:
    """Point MLflow at `MLFLOW_TRACKING_URI`, or at `mlflow.db` of the working directory; returns the URI."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    # MLflow speaks of migrations and type hints; a person who runs Lethe has asked for neither.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"mlflow\..*")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # stdout belongs to results
    mlflow.set_tracking_uri(uri)
    return uri


@dataclass(frozen=True)
class Version:
    """A registered version as tables show it."""

    name: str
    version: int
    aliases: tuple[str, ...]
    created: int
    tags: dict[str, str]
    run_id: str
    description: str

    @property
    def decision(self) -> dict[str, Any] | None:
        """What the gate said last, with its figures; None where it was not asked."""
        told: dict[str, Any] | None = json.loads(self.tags.get(DECISION_TAG, "null"))
        return told

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "aliases": list(self.aliases),
            "live_since": self.tags.get(SINCE_TAG) if CHAMPION in self.aliases else None,
            "created": self.created,
            "run_id": self.run_id,
            "tags": self.tags,
        }


class Registry:
    """One registered model and its versions."""

    def __init__(self, name: str) -> None:
        self.uri = connect()
        self.name = name
        self.client = MlflowClient()

    def versions(self) -> list[Version]:
        """All versions, newest first; none where the model does not exist."""
        try:
            model = self.client.get_registered_model(self.name)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return []
            raise
        aliases: dict[int, list[str]] = {}
        for alias, number in model.aliases.items():
            aliases.setdefault(int(number), []).append(alias)
        found: list[Version] = []
        token: str | None = None
        while True:
            page: PagedList[Any] = self.client.search_model_versions(
                f"name = '{self.name}'", page_token=token
            )
            for entry in page:
                number = int(entry.version)
                found.append(
                    Version(
                        self.name,
                        number,
                        tuple(sorted(aliases.get(number, ()))),
                        entry.creation_timestamp,
                        dict(entry.tags),
                        entry.run_id,
                        entry.description or "",
                    )
                )
            token = page.token
            if not token:
                return sorted(found, key=lambda version: -version.version)

    def find(self, which: str) -> Version:
        """The version of this number or alias; ConfigurationError where there is none."""
        versions = self.versions()
        for version in versions:
            if str(version.version) == which.removeprefix("v") or which in version.aliases:
                return version
        known = ", ".join(f"{v.version}" + "".join(f" @{a}" for a in v.aliases) for v in versions) or "none"
        raise ConfigurationError(
            f"`{self.name}` must have the version or alias {which!r}, but it has {known} at {masked(self.uri)}; "
            "`lethe models` lists them."
        )

    def aliased(self, alias: str) -> Version | None:
        return next((version for version in self.versions() if alias in version.aliases), None)

    def rival(self, token: str) -> Version | None:
        """The champion that a run of Lethe has to beat: the present one, or, where that is the run's own version (it
        was interrupted after its promotion), the one that it replaced."""
        champion = self.aliased(CHAMPION)
        if champion is None or champion.tags.get(RUN_TAG) != token:
            return champion
        before = champions(self.client.get_registered_model(self.name))[:-1]
        return self.find(str(before[-1])) if before else None

    def package(self, version: Version) -> Package:
        """Download a version and open it; ConfigurationError where it is damaged, or is no package of Lethe."""
        folder = mlflow.artifacts.download_artifacts(f"models:/{self.name}/{version.version}")
        try:
            return Package.load(Path(folder) / "artifacts" / ARTIFACT)
        except (ValueError, FileNotFoundError) as error:
            raise ConfigurationError(
                f"version {version.version} of `{self.name}` cannot be opened: {error}"
            ) from None

    @contextlib.contextmanager
    def run(self, token: str, title: str, *, watched: bool = False) -> Iterator[str]:
        """The MLflow run of a run of Lethe; one that was interrupted is taken up again, not doubled.

        Args:
            watched: with MLflow's system metrics (processor, memory, disk, network, GPU), where `psutil` is installed;
                MLflow's own environment variables say how often, or that they are not wanted.
        """
        experiment = self.experiment()
        begun = self.client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{token}'", max_results=1)
        metrics = _system_metrics() if watched else False
        if begun:
            run = mlflow.start_run(run_id=begun[0].info.run_id, log_system_metrics=metrics)
        else:
            run = mlflow.start_run(
                experiment_id=experiment, run_name=title, tags={RUN_TAG: token}, log_system_metrics=metrics
            )
        try:
            yield run.info.run_id
        except BaseException:
            with contextlib.suppress(MlflowException):  # what failed is told, not that MLflow is away too
                mlflow.end_run("FAILED")
            raise
        mlflow.end_run()

    def experiment(self) -> str:
        """Its runs' experiment, by its number; made where there is none."""
        found = self.client.get_experiment_by_name(self.name)
        if found is not None:
            return str(found.experiment_id)
        return str(self.client.create_experiment(self.name, artifact_location=self._own_location()))

    def _own_location(self) -> str | None:
        """For a database file, beside it, not in the `mlruns` that flips MLflow's default; None where a server says."""
        if not self.uri.startswith("sqlite:///"):
            return None
        folder = Path(self.uri.removeprefix("sqlite:///")).absolute().parent / "mlartifacts" / self.name
        return folder.as_uri()

    def artifact_location(self) -> str:
        """The folder or URI below which the artifacts of this model's runs lie, or will lie."""
        found = self.client.get_experiment_by_name(self.name)
        if found is not None:
            return str(found.artifact_location)
        return self._own_location() or str(self.client.get_experiment("0").artifact_location)

    def log(
        self, run_id: str, params: dict[str, Any], metrics: dict[str, float], tags: dict[str, str]
    ) -> None:
        """Parameters, metrics and tags of a run in one call. Metrics have one timestamp and step, so logging a run
        that was taken up again changes nothing."""
        run = self.client.get_run(run_id)
        logged = set(run.data.metrics)
        stamp = run.info.start_time
        self.client.log_batch(
            run_id,
            metrics=[Metric(name, value, stamp, 0) for name, value in metrics.items() if name not in logged],
            params=[
                Param(name, str(value)[:6000])
                for name, value in params.items()
                if name not in run.data.params
            ],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )

    def nest(self, run_id: str, token: str, story: dict[str, Any]) -> None:
        """The search with its trials, training and evaluation as runs below a run; each once, however often told."""
        self.below(run_id, token).write(parts(story))

    def below(self, run_id: str, token: str) -> Below:
        """The runs below a run."""
        return Below(self.client, self.experiment(), run_id, token)

    def register(self, run_id: str, token: str, package: Package, tags: dict[str, str]) -> Version:
        """Log the package as a model and make a version of it, once for each run of Lethe; alias it `candidate`."""
        for version in self.versions():
            if version.tags.get(RUN_TAG) == token:
                self.client.set_registered_model_alias(self.name, CANDIDATE, str(version.version))
                return self.find(str(version.version))
        from harness.serving import pyfunc

        with tempfile.TemporaryDirectory() as folder:
            package.save(Path(folder) / ARTIFACT)
            info = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(pyfunc.__file__).with_name("pyfunc_model.py")),
                artifacts={ARTIFACT: str(Path(folder) / ARTIFACT)},
                signature=pyfunc.SIGNATURE,
                input_example=example(package),
                pip_requirements=["lethe"],
            )
        try:
            self.client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        made = self.client.create_model_version(
            self.name, info.model_uri, run_id, tags={RUN_TAG: token, **tags}, model_id=info.model_id
        )
        self.client.set_registered_model_alias(self.name, CANDIDATE, made.version)
        return self.find(str(made.version))

    def describe(self, version: Version, text: str) -> None:
        self.client.update_model_version(self.name, str(version.version), description=text)

    def story(self, version: Version) -> dict[str, Any] | None:
        """What was told of the run that made a version; None where no `lethe run` did, or it was killed before."""
        if not version.run_id or all(
            file.path != STORY_FILE for file in self.client.list_artifacts(version.run_id)
        ):
            return None
        text = mlflow.artifacts.load_text(f"runs:/{version.run_id}/{STORY_FILE}")
        told: dict[str, Any] = json.loads(text)
        return told

    def retell(self, version: Version, tags: dict[str, str]) -> None:
        """Write tags of a version and of its run anew."""
        for name, value in tags.items():
            self.client.set_model_version_tag(self.name, str(version.version), name, value)
            self.client.set_tag(version.run_id, name, value)

    def settle(self, version: Version, decision: Decision, over: Version | None) -> Decision:
        """Do what the gate said and store it. Where the champion that it compared with, `over`, is champion no more,
        the gate stays shut: what is returned says so."""
        if decision.promoted:
            try:
                self.promote(version, decision.to_dict(), over.version if over else None)
                return decision
            except Overtaken as error:
                decision = decision.refused("champion", f"{error}; `lethe promote` compares anew")
        self.note(version, decision.to_dict())
        return decision

    def promote(
        self, version: Version, decision: dict[str, Any], over: int | EllipsisType | None = ...
    ) -> None:
        """Store why, and make a version champion; again, it stays what it is.

        Args:
            over: the version that must be champion now, None for nobody; whoever it is where it is left out.

        Raises:
            Overtaken: another is champion, and stays it.
        """
        with alone(self.client, self.name) as champions:
            if champions.present not in (version.version, over) and over is not ...:
                raise Overtaken(
                    f"the champion of `{self.name}` was {_said(over)} when the gate compared and is "
                    f"{_said(champions.present)} now"
                )
            self.note(version, decision)
            if champions.present != version.version:
                champions.add(version.version)

    def note(self, version: Version, decision: dict[str, Any]) -> None:
        """Store a decision of the gate, yes or no, with its figures."""
        self.client.set_model_version_tag(self.name, str(version.version), DECISION_TAG, json.dumps(decision))

    def rollback(self) -> tuple[Version, Version]:
        """Make the champion before this one champion again; returns (the one that was, the one that is)."""
        was = self.aliased(CHAMPION)
        if was is None:
            raise ConfigurationError(
                f"`{self.name}` has no champion to roll back; `lethe promote` makes one."
            )
        with alone(self.client, self.name) as champions:
            if champions.present != was.version:
                raise IncompleteError(
                    f"version {was.version} of `{self.name}` is champion no more: another process replaced it."
                )
            if len(champions.numbers) < 2:
                raise ConfigurationError(
                    f"version {was.version} of `{self.name}` replaced no champion to go back to."
                )
            self.find(str(champions.numbers[-2]))
            champions.back()
            return was, self.find(str(champions.present))


def _said(number: int | EllipsisType | None) -> str:
    return "nobody" if number is None else f"v{number}"


def _system_metrics() -> bool | None:
    """Whether they are logged; None leaves it to MLflow's own variable."""
    if MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING.is_set():
        return None
    return importlib.util.find_spec("psutil") is not None


def names() -> list[str]:
    """All registered models."""
    connect()
    found = MlflowClient().search_registered_models(max_results=1000)
    return [model.name for model in found if LOCK_TAG not in model.tags]


def example(package: Package) -> Any:
    """A query such as the served model takes."""
    import pandas as pd

    moment = int(package.about["trained_until"]) + 86_400
    items = package.items[:2]
    return pd.DataFrame({"items": [items], "times": [[moment - 172_800] * len(items)], "at": [moment]})
