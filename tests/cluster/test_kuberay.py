"""The RayJob of configs/cluster against the schema of its CRD, and against the rest of the repository."""

from __future__ import annotations

import copy
import json
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml

from harness.settings import load
from tests.cluster import compose
from tests.conftest import ROOT

MANIFEST = ROOT / "configs/cluster/kuberay-rayjob.yaml"
SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("rayjob-v1.7.0.json").read_text())


@pytest.fixture
def job() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(MANIFEST.read_text())
    return copy.deepcopy(found)


def pods(job: dict[str, Any]) -> list[dict[str, Any]]:
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def test_it_is_what_the_operator_takes(job: dict[str, Any]) -> None:
    jsonschema.validate(job, SCHEMA)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["spec", "entryPoint"], "lethe run", "'entryPoint' was unexpected"),
        (["spec", "backoffLimit"], "2", "'2' is not of type 'integer'"),
        (["spec", "rayClusterSpec", "authOptions", "mode"], "tokens", "'tokens' is not one of"),
        (["spec", "rayClusterSpec", "headGroupSpec", "rayStartParams", "num-cpus"], 0, "0 is not of type 'string'"),
        (["spec", "rayClusterSpec", "workerGroupSpecs", 0, "groupName"], None, "None is not of type 'string'"),
    ],
)  # fmt: skip
def test_the_schema_refuses_what_the_operator_would(
    job: dict[str, Any], place: list[Any], value: Any, message: str
) -> None:
    node = job
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value
    with pytest.raises(jsonschema.ValidationError, match=message):
        jsonschema.validate(job, SCHEMA)


def test_its_quantities_are_quantities(job: dict[str, Any]) -> None:
    pods(job)[0]["containers"][0]["resources"]["limits"]["memory"] = "4 GB"
    with pytest.raises(jsonschema.ValidationError, match="does not match"):
        jsonschema.validate(job, SCHEMA)


def test_it_runs_the_versions_of_this_repository(job: dict[str, Any]) -> None:
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == ray.__version__
    images = {container["image"].rpartition("/")[2] for pod in pods(job) for container in pod["containers"]}
    services = compose.read({"POSTGRES_PASSWORD": "x", "RAY_AUTH_TOKEN": "x"})["services"]
    assert images == {services["head"]["image"]}


def test_its_job_is_a_run_and_a_shape_on_storage_that_all_pods_mount(job: dict[str, Any]) -> None:
    lethe, command, config, option, shape = shlex.split(job["spec"]["entrypoint"])
    assert (lethe, command, option) == ("lethe", "run", "--with")
    mounted = "/mnt/lethe/"
    assert config.startswith(mounted)
    assert shape.startswith(mounted)
    settings = load(ROOT / config.removeprefix(mounted), shapes=[ROOT / shape.removeprefix(mounted)])
    assert settings.work.startswith(mounted)
    assert settings.data.store.startswith(mounted)
    for pod in pods(job):
        claims = {volume["name"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume}
        for container in pod["containers"]:
            assert {"name": "work", "mountPath": mounted.rstrip("/")} in container["volumeMounts"]
            assert {mount["name"] for mount in container["volumeMounts"]} >= claims == {"work"}
    (workers,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    cpus = int(pods(job)[1]["containers"][0]["resources"]["limits"]["cpu"])
    assert settings.train.fewest <= workers["minReplicas"] * cpus
    assert settings.train.most <= workers["maxReplicas"] * cpus


def test_its_pods_have_limits_and_no_rights(job: dict[str, Any]) -> None:
    for pod in pods(job):
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            assert set(container["resources"]["limits"]) == {"cpu", "memory"}
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
