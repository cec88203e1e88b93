"""Each check of `lethe doctor` is made to fail, and says what to mend."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import source_digest
from harness.doctor import log, machine, services
from harness.settings import load
from tests.storage import Storage

Entry = dict[str, Any]
Look = Callable[..., Entry]


@pytest.fixture
def look(config: Path) -> Look:
    """One check of the configuration under some changes."""
    checks = {
        check.name: check for check in (*machine.MACHINE, *machine.packages(), *log.LOG, *services.SERVICES)
    }

    def at(name: str, *changes: str) -> Entry:
        return checks[name].made(load(config, list(changes)))

    return at


def test_python(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look("python")["well"]
    monkeypatch.setattr("platform.python_version", lambda: "3.10.14")
    found = look("python")
    assert (found["well"], found["found"]) == (False, "3.10.14, and Lethe needs >=3.11")
    assert "make an environment with Python >=3.11" in found["mend"]


def test_every_requirement_is_a_check_and_none_of_an_extra() -> None:
    names = {check.name for check in machine.packages()}
    assert {"package ray", "package torch", "package pydantic", "package jinja2"} <= names
    assert not names & {"package pytest", "package mypy", "package psycopg2-binary"}


def test_packages(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(machine, "version", lambda name: "2.59.9")
    found = look("package ray")
    assert (found["well"], found["found"]) == (False, "2.59.9, and Lethe needs >=2.60")
    assert found["mend"].startswith("pip install")
    monkeypatch.setattr(machine, "version", absent)
    assert (look("package ray")["well"], look("package ray")["found"]) == (False, "not installed")


def test_a_version_that_is_not_the_pinned_one_is_told(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "version", lambda name: "2.99.0")
    pinned = next(line for line in machine.PINS.read_text().splitlines() if line.startswith("ray=="))
    assert look("package ray")["well"]
    assert look("package ray")["found"] == f"2.99.0, tested with {pinned.removeprefix('ray==')}"


@pytest.mark.parametrize("setting", ["work", "data.store"])
def test_disk(look: Look, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    assert look("disk")["well"]
    found = look("disk", f"{setting}=events.csv/runs")  # below a file
    assert not found["well"]
    assert f"`{setting}` cannot be written" in found["found"]
    assert f"set `{setting}`" in found["mend"]
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=2**30))
    full = look("disk")
    assert not full["well"]
    assert "has 1.0 GiB free, and 2 are needed" in full["found"]


def test_gpu(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert look("gpu") == {"check": "gpu", "well": True, "found": "0 seen, none needed"}
    monkeypatch.setattr("torch.version.cuda", None)
    built = look("gpu", "train.gpu=true")
    assert (built["well"], built["found"]) == (False, "`train.gpu` is set, but torch is built without CUDA")
    monkeypatch.setattr("torch.version.cuda", "13.0")
    blind = look("gpu", "train.gpu=true")
    assert (blind["well"], blind["found"]) == (False, "`train.gpu` is set, but torch sees no GPU")
    assert "train.gpu=false" in blind["mend"]
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")  # the GPUs are elsewhere
    assert look("gpu", "train.gpu=true")["well"]


def test_collective(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look("collective")["found"] == "not needed: at most one worker"
    assert look("collective", "train.workers=2")["found"] == "Gloo"
    assert look("collective", "train.workers=[1, 2]")["found"] == "Gloo"
    monkeypatch.setattr("torch.distributed.is_nccl_available", lambda: False)
    nccl = look("collective", "train.workers=2", "train.gpu=true")
    assert (nccl["well"], nccl["found"]) == (False, "torch is built without NCCL")

    def unresolved(*anything: Any) -> None:
        raise RuntimeError("unable to resolve hostname")

    monkeypatch.setattr("torch.distributed.all_reduce", unresolved)
    name = look("collective", "train.workers=2")
    assert (name["well"], name["found"]) == (False, "unable to resolve hostname")
    assert "GLOO_SOCKET_IFNAME" in name["mend"]
    monkeypatch.undo()
    monkeypatch.setattr("torch.distributed.is_gloo_available", lambda: False)
    assert not look("collective", "train.workers=2")["well"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "events.csv"),
        ("user_id,item,timestamp\nu,i,1600000000\n", "has no `item_id`"),
        ("user_id,item_id,timestamp\n", "has no rows"),
        ("user_id,item_id,timestamp\nu,i,yesterday\nu,j,1600000000\n", "1 of the first 2 rows"),
    ],
    ids=["missing", "column", "empty", "bad"],
)
def test_data(look: Look, config: Path, content: str | None, found: str) -> None:
    assert look("data")["well"]
    events = config.with_name("events.csv")
    events.unlink() if content is None else events.write_text(content)
    entry = look("data")
    assert not entry["well"]
    assert found in entry["found"]
    assert entry["mend"]


def test_items(look: Look, config: Path) -> None:
    assert look("items")["found"] == "none"
    items = config.with_name("items.csv")
    items.write_text("item_id,title\ni1,tea\ni2,cake\n")
    assert look("items", "data.items=items.csv")["found"].endswith("items.csv: 2 items")
    items.write_text("sku,title\ni1,tea\n")
    entry = look("items", "data.items=items.csv")
    assert not entry["well"]
    assert "no `item_id`" in entry["found"]


def test_ray_that_is_not_there(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise ConnectionError("Could not find any running Ray instance.\nat 10.0.0.1:6379")

    monkeypatch.setattr("trainers.cluster.connect", away)
    for name in ("ray", "code", "shared storage"):
        assert not look(name)["well"]
    found = look("ray")
    assert found["found"] == "Could not find any running Ray instance."
    assert found["mend"].startswith("RAY_ADDRESS must name the head of a running cluster")


def test_room_for_the_workers(look: Look, ray_session: str) -> None:
    assert look("workers")["found"] == "none: fits run in this process"
    assert look("workers", "train.workers=2")["found"] == "room for 2 of 2"
    assert look("workers", "train.workers=[1, 8]")["found"] == "room for 2 of 8"
    few = look("workers", "train.workers=[3, 8]")
    assert (few["well"], few["found"]) == (False, "`train.workers` needs 3 CPUs, and the cluster has 2")
    assert few["mend"].startswith("set train.workers to at most 2, or add nodes")
    assert look("workers", "train.workers=1", "train.gpu=true")["found"].endswith(
        "GPUs, and the cluster has 0"
    )


def test_a_node_with_other_code(look: Look, ray_session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look("code")["found"] == "the same on 1 node(s)"
    (node,) = services._nodes()
    assert services.on_each([node], services.its_code) == [(node["NodeManagerAddress"], source_digest())]
    monkeypatch.setattr(services, "on_each", lambda nodes, function: [("10.0.0.7", "what it has")])
    other = look("code")
    assert (other["well"], other["found"]) == (False, "10.0.0.7 has another Lethe than this process")
    assert other["mend"] == "install the same Lethe on every node"


def test_storage_that_a_node_does_not_see(
    look: Look, work: Path, ray_session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look("shared storage")["found"] == "not needed: one node"
    (node,) = services._nodes()
    monkeypatch.setattr(services, "_nodes", lambda: [node, node])
    assert look("shared storage")["found"] == "seen from 2 nodes"
    # On this machine all is seen; a file that is gone before the node looks is what another machine would see.
    monkeypatch.setattr(services, "tempfile", _Gone)
    blind = look("shared storage")
    assert not blind["well"]
    assert f"`work` ({work}/.lethe/runs) is not seen from {node['NodeManagerAddress']}" in blind["found"]
    assert "storage that all nodes mount" in blind["mend"]


def test_object_storage(look: Look, storage: Storage, tmp_path: Path) -> None:
    assert look("object storage")["found"] == "not needed: `data.store` is a folder"
    uri = storage.uri(f"{tmp_path.name}/stores")
    found = look("object storage", f"data.store={uri}")
    assert (found["well"], found["found"]) == (True, f"written and read at {uri}")
    assert storage.names(tmp_path.name) == []
    assert str(tmp_path / "cache") in look("disk", f"data.store={uri}")["found"]
    missing = look("object storage", f"data.store={storage.uri('stores', bucket='nowhere')}")
    assert not missing["well"]
    assert missing["found"].startswith("The bucket of a place must exist")
    storage.fault = lambda method, path: "deny" if method == "PUT" else None
    denied = look("object storage", f"data.store={uri}")
    assert "is denied to them" in denied["found"]
    assert "credentials" in denied["mend"]


def test_a_node_that_cannot_read_the_store(
    look: Look, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, denied = {"NodeID": "n", "NodeManagerAddress": "10.0.0.7"}, False

    def on_each(nodes: list[Any], run: Callable[..., Any], *given: Any) -> list[tuple[str, Any]]:
        """As a node with other credentials would answer."""
        storage.fault = lambda method, path: "deny" if denied else None
        try:
            return [(each["NodeManagerAddress"], run(*given)) for each in nodes]
        finally:
            storage.fault = lambda method, path: None

    monkeypatch.setattr(services, "_nodes", lambda: [node, node])
    monkeypatch.setattr(services, "on_each", on_each)
    monkeypatch.setattr("trainers.cluster.connect", lambda: None)
    change = f"data.store={storage.uri(f'{tmp_path.name}/stores')}"
    assert look("shared storage", change)["found"] == "seen from 2 nodes"
    denied = True
    blind = look("shared storage", change)
    assert not blind["well"]
    assert "10.0.0.7 cannot read it: The credentials of the environment" in blind["found"]
    assert "`ray start`" in blind["mend"]


class _Gone:
    """`tempfile`, whose files other machines do not see."""

    class NamedTemporaryFile:
        def __init__(self, dir: Path) -> None:
            self.name = str(dir / "gone")

        def __enter__(self) -> _Gone.NamedTemporaryFile:
            return self

        def __exit__(self, *error: object) -> None:
            pass


def test_mlflow_that_is_not_there(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look("mlflow")["well"]
    for uri in ("http://127.0.0.1:1", "nowhere://at.all"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        found = look("mlflow")
        assert not found["well"]
        assert "MLFLOW_TRACKING_URI must name a server that runs" in found["mend"]


def test_mlflow_with_tables_of_another_version(look: Look, config: Path) -> None:
    database = config.with_name("mlflow.db")
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    found = look("mlflow")
    assert not found["well"]
    assert found["found"].startswith(f"the tables of sqlite:///{database} are not those of MLflow")
    assert found["mend"] == f"take a backup, then: mlflow db upgrade sqlite:///{database}"


def test_artifacts_that_cannot_be_written(look: Look, config: Path) -> None:
    place = config.with_name("mlartifacts") / "closed"
    assert look("artifacts")["found"] == place.as_uri()
    assert list(place.iterdir()) == []  # nothing is left behind
    shutil.rmtree(place.parent)
    place.parent.write_text("a file where a folder should be")
    found = look("artifacts")
    assert not found["well"]
    assert "--artifacts-destination" in found["mend"]
