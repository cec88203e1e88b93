"""What runs elsewhere, or is started for a run: Ray, the storage that its nodes share, MLflow."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import source_digest
from harness.doctor.check import Check, Unwell
from harness.settings import RunSettings
from trainers.storage.place import Place, StorageError, is_uri

RAY_MEND = "RAY_ADDRESS must name the head of a running cluster of the same Ray and Python, or be unset"
IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


def _ray(settings: RunSettings) -> str:
    import ray

    from trainers import cluster

    cluster.connect()
    cpus, gpus = cluster.processors(), cluster.processors("GPU")
    return f"{len(_nodes())} node(s), {cpus} CPUs, {gpus} GPUs, Ray {ray.__version__}"


def _nodes() -> list[dict[str, Any]]:
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def _workers(settings: RunSettings) -> str:
    """The cluster has room for the workers without which no fit begins; Ray would wait for it without end."""
    from trainers import cluster

    train = settings.train
    if not train.workers:
        return "none: fits run in this process"
    kind = "GPU" if train.gpu else "CPU"
    cluster.connect()
    room = cluster.processors(kind)
    if room < train.fewest:
        raise Unwell(
            f"`train.workers` needs {train.fewest} {kind}s, and the cluster has {room}",
            f"set train.workers to at most {room}, or add nodes (an autoscaler may do so when a fit begins)",
        )
    return f"room for {min(room, train.most)} of {train.most}"


def _code(settings: RunSettings) -> str:
    """Results are kept by the code that made them: what a node with other code finishes is never found."""
    from trainers import cluster

    cluster.connect()
    mine = its_code()
    other = [address for address, digest in on_each(_nodes(), its_code) if digest != mine]
    if other:
        raise Unwell(
            f"{', '.join(other)} has another Lethe than this process", "install the same Lethe on every node"
        )
    return f"the same on {len(_nodes())} node(s)"


def its_code() -> str:
    """Names the Lethe that a process has."""
    return source_digest()


def _shared(settings: RunSettings) -> str:
    """What the driver writes, every node reads: fits, packed data and trials travel as files.

    With the store in object storage fits travel through that; trials still lie in `work`."""
    from trainers import cluster

    cluster.connect()
    if len(_nodes()) < 2:
        return "not needed: one node"
    remote = is_uri(settings.data.store)
    if remote and (denied := _who_cannot_read(settings.data.store)):
        raise Unwell(
            f"`data.store`: {denied}",
            "give every node the credentials, in the environment of its `ray start`",
        )
    folders = () if remote else (("data.store", settings.data.store),)
    works = () if remote and settings.search is None else (("work", settings.work),)
    for name, place in (*works, *folders):
        folder = Path(place).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            blind = [address for address, seen in on_each(_nodes(), os.path.exists, file.name) if not seen]
        if blind:
            raise Unwell(
                f"`{name}` ({folder}) is not seen from {', '.join(blind)}",
                f"set `{name}` to a folder on storage that all nodes mount at the same place",
            )
    return f"seen from {len(_nodes())} nodes"


def _who_cannot_read(uri: str) -> str | None:
    """The first node that cannot read what this process writes at a place, and why."""
    place, name = Place(uri), f".doctor-{uuid.uuid4().hex}"
    place.write(name, [b"lethe doctor was here"])
    try:
        told = on_each(_nodes(), reads, uri, name)
    finally:
        place.delete(name)
    return next((f"{address} cannot read it: {said}" for address, said in told if said), None)


def reads(uri: str, name: str) -> str | None:
    """What is wrong where a process reads an object; None where nothing is."""
    try:
        Place(uri).read(name)
    except (StorageError, ConnectionError) as error:
        return str(error)
    return None


def on_each(
    nodes: Sequence[dict[str, Any]], function: Callable[..., Any], *arguments: Any
) -> list[tuple[str, Any]]:
    """(address, what a function returns there) of each node."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    task = ray.remote(function)
    calls = [task.options(num_cpus=0, scheduling_strategy=each).remote(*arguments) for each in there]
    addresses = [node["NodeManagerAddress"] for node in nodes]
    return list(zip(addresses, ray.get(calls, timeout=120), strict=True))


@contextmanager
def _impatient() -> Iterator[None]:
    """MLflow's client waits minutes for a server that is not there; a look need not."""
    before = {name: os.environ.get(name) for name in IMPATIENT}
    os.environ.update({name: value for name, value in IMPATIENT.items() if before[name] is None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


def _mlflow(settings: RunSettings) -> str:
    """The tracking server or database answers; a database that is behind its MLflow says so itself."""
    import mlflow

    from harness.registry.registry import connect

    uri = connect()
    with _impatient():
        try:
            mlflow.search_experiments(max_results=1)
        except mlflow.MlflowException as error:
            text = " ".join(str(error).split())
            if "database schema" in text:
                raise Unwell(
                    f"the tables of {uri} are not those of MLflow {mlflow.__version__}",
                    f"take a backup, then: mlflow db upgrade {uri}",
                ) from None
            raise Unwell(
                text[:200], "MLFLOW_TRACKING_URI must name a server that runs, or be unset for ./mlflow.db"
            ) from None
    return str(uri)


def _artifacts(settings: RunSettings) -> str:
    """Write a file where this configuration's models will go, and take it away again."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    from harness.registry.registry import Registry

    if settings.registry is None:
        return "not needed: no `registry`"
    with _impatient(), tempfile.TemporaryDirectory() as folder:
        place = Registry(settings.registry.name).artifact_location()
        (Path(folder) / "doctor").write_text("lethe doctor was here")
        repository = get_artifact_repository(f"{place}/doctor-{uuid.uuid4().hex}")
        repository.log_artifact(str(Path(folder) / "doctor"))
        repository.delete_artifacts()
    return str(place)


SERVICES = (
    Check("ray", _ray, RAY_MEND),
    Check("workers", _workers, RAY_MEND),
    Check("code", _code, "install the same Lethe on every node"),
    Check("shared storage", _shared, "set `work` and `data.store` to storage that all nodes mount"),
    Check("mlflow", _mlflow, "MLFLOW_TRACKING_URI must name a server that runs, or be unset for ./mlflow.db"),
    Check(
        "artifacts",
        _artifacts,
        "let MLflow write there: for a server, --artifacts-destination and --serve-artifacts; else the folder's rights",
    ),
)
