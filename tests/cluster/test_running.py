"""The cluster of docker-compose.yml, started as processes of this machine, does the main job that its head is given."""

from __future__ import annotations

import contextlib
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import compose, local

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster")]  # one cluster, in one process

PASSWORD = "a/p@ss w%rd:#1"  # whatever a person may think of: none of it is special to the file's commands
TOKEN = "0123456789abcdef" * 4
SMALLER = ("search.trials=4", "model.terms.3.training.epochs=2", "finetune.epochs=1")


@pytest.fixture(scope="module")
def cluster() -> Iterator[local.Cluster]:
    if reason := local.missing():
        pytest.skip(reason)
    with local.started({"POSTGRES_PASSWORD": PASSWORD, "RAY_AUTH_TOKEN": TOKEN}) as running:
        yield running


@pytest.fixture(scope="module")
def said(cluster: local.Cluster) -> str:
    """What the documented command prints, on a smaller search."""
    command = compose.submit()
    for change in SMALLER:
        command += ["--set", change]
    done = cluster.execute("head", command, timeout=1500)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def get(url: str, **headers: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return json.load(answer)


def refused(url: str, **headers: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(url, **headers)
    return caught.value.code


def test_the_nodes_are_those_of_the_file_and_ask_for_the_token(cluster: local.Cluster) -> None:
    url = cluster.url("8265", "/api/v0/nodes?detail=1")
    assert refused(url) == 401
    assert refused(url, Authorization="Bearer no") == 403
    nodes = get(url, Authorization=f"Bearer {TOKEN}")["data"]["result"]["result"]
    assert sorted(node["resources_total"].get("CPU", 0) for node in nodes) == [0, 2]
    assert all(node["state"] == "ALIVE" for node in nodes)


def test_only_the_named_hosts_are_answered(cluster: local.Cluster) -> None:
    """A page that rebinds its name to this machine gets nothing from the registry."""
    url = cluster.url("5000", "/api/2.0/mlflow/registered-models/search")
    assert get(url).keys() <= {"registered_models"}
    assert refused(url, Host="evil.example:5000") == 403


def test_the_doctor_finds_head_and_worker_well(cluster: local.Cluster) -> None:
    asked = ["ray", "job", "submit", "--", "lethe", "doctor", "configs/quickstart.yaml"]
    said = cluster.execute("head", asked, timeout=600)
    assert said.returncode == 0, said.stdout[-4000:] + said.stderr[-4000:]
    assert "2 node(s), 2 CPUs" in said.stdout
    assert "seen from 2 nodes" in said.stdout
    assert "mlflow-artifacts:/" in said.stdout


def test_the_job_reaches_registry_and_report(cluster: local.Cluster, said: str) -> None:
    query = "/api/2.0/mlflow/registered-models/get?name=online-retail"
    model = get(cluster.url("5000", query))["registered_model"]
    assert {entry["alias"] for entry in model["aliases"]} == {"candidate", "champion"}
    (version,) = model["latest_versions"]
    run = get(cluster.url("5000", f"/api/2.0/mlflow/runs/get?run_id={version['run_id']}"))["run"]
    assert run["info"]["status"] == "FINISHED"
    metrics = {entry["key"]: entry["value"] for entry in run["data"]["metrics"]}
    row = "  ".join(f"{metrics[name]:.4f}" for name in ("ndcg_10", "ndcg_10_low", "ndcg_10_high"))
    assert re.search(rf"ndcg@10 +{re.escape(row)}", said)
    assert "online-retail v1 (candidate, champion)" in said
    # The page that MLflow serves is the page that the run wrote, on the volume of artifacts and on that of the work.
    (served,) = cluster.inside("/artifacts").rglob("report.html")
    (written,) = cluster.inside("/lethe/.lethe/runs").rglob("report.html")
    assert served.read_text() == written.read_text()
    relative = served.relative_to(cluster.inside("/artifacts"))
    with urllib.request.urlopen(
        cluster.url("5000", f"/api/2.0/mlflow-artifacts/artifacts/{relative}"), timeout=30
    ) as page:
        assert page.read().decode() == served.read_text()


def test_the_registry_lies_in_postgresql(cluster: local.Cluster, said: str) -> None:
    with contextlib.closing(cluster.database("mlflow")) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT name, version FROM model_versions")
        assert cursor.fetchall() == [("online-retail", 1)]


def test_the_same_command_again_finds_the_run_done(cluster: local.Cluster, said: str) -> None:
    command = compose.submit()
    for change in SMALLER:
        command += ["--set", change]
    again = cluster.execute("head", command, timeout=600)
    assert again.returncode == 0
    assert "run: found done" in again.stdout + again.stderr
