"""What docker-compose.yml promises, read from the file; `test_running.py` starts what it names."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest

from harness import __version__
from tests.cluster import compose
from tests.conftest import ROOT

SECRET, TOKEN = "s3cret-of-this-test", "t0ken-of-this-test"
SECRETS = {"POSTGRES_PASSWORD": SECRET, "RAY_AUTH_TOKEN": TOKEN}
SERVICES = ("postgres", "mlflow", "head", "worker")


@pytest.fixture(scope="module")
def tree() -> dict[str, Any]:
    return compose.read(SECRETS)


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest, tree: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = tree["services"][request.param]
    return found


def test_these_are_all_services(tree: dict[str, Any]) -> None:
    assert set(tree["services"]) == set(SERVICES)


def test_ports_are_published_on_loopback_alone(tree: dict[str, Any]) -> None:
    published = {name: service.get("ports", []) for name, service in tree["services"].items()}
    assert published == {
        "postgres": [],
        "mlflow": ["127.0.0.1:5000:5000"],
        "head": ["127.0.0.1:8265:8265"],
        "worker": [],
    }


def test_the_database_is_reached_by_mlflow_alone(tree: dict[str, Any]) -> None:
    there = [name for name, service in tree["services"].items() if "database" in service.get("networks", [])]
    assert there == ["postgres", "mlflow"]
    assert tree["services"]["postgres"]["networks"] == ["database"]
    assert tree["networks"]["database"]["internal"] is True


def test_every_service_is_watched_limited_and_restarted(service: dict[str, Any]) -> None:
    assert service["healthcheck"]["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])
    assert {"cpus", "memory"} == set(service["deploy"]["resources"]["limits"])
    assert service["restart"] == "unless-stopped"
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_images_are_pinned_to_a_version(service: dict[str, Any]) -> None:
    assert re.fullmatch(r"[a-z]+:\d+(\.\d+)+(-[a-z]+)?(@sha256:[0-9a-f]{64})?", service["image"])


def test_our_image_carries_our_version(tree: dict[str, Any]) -> None:
    ours = {name: service for name, service in tree["services"].items() if "build" in service}
    assert set(ours) == {"mlflow", "head", "worker"}
    assert {service["image"] for service in ours.values()} == {f"lethe:{__version__}"}
    assert all(service["cap_drop"] == ["ALL"] for service in ours.values())


def test_nodes_share_their_work_and_have_room_for_objects(tree: dict[str, Any]) -> None:
    for name in ("head", "worker"):
        node = tree["services"][name]
        assert "work:/lethe/.lethe" in node["volumes"]  # `work` and `data.store` lie in .lethe by default
        (store,) = [int(word.rpartition("=")[2]) for word in node["command"] if "object-store" in word]
        assert node["shm_size"] == "1g"
        assert store < 2**30
    assert {"work", "artifacts", "database"} == set(tree["volumes"])


def test_health_is_waited_for_in_order(tree: dict[str, Any]) -> None:
    waits = {name: service.get("depends_on", {}) for name, service in tree["services"].items()}
    healthy = {"condition": "service_healthy"}
    assert waits == {
        "postgres": {},
        "mlflow": {"postgres": healthy},
        "head": {"mlflow": healthy},
        "worker": {"head": healthy},
    }


def test_no_secret_stands_in_the_file_or_on_a_command_line(tree: dict[str, Any]) -> None:
    found = dict(re.findall(r"^ +(\w*(?:PASSWORD|TOKEN)\w*): *(.*)", compose.text(), re.M))
    assert set(found) == {"POSTGRES_PASSWORD", "PGPASSWORD", "RAY_AUTH_TOKEN"}
    for name, value in found.items():
        assert value.startswith("${RAY_AUTH_TOKEN:?" if name == "RAY_AUTH_TOKEN" else "${POSTGRES_PASSWORD:?")
    for service in tree["services"].values():
        public = str(service["command"]) + str(service["healthcheck"])
        assert SECRET not in public
        assert TOKEN not in public
    assert {compose.environment_file()[name] for name in SECRETS} == {""}


def test_ray_answers_to_those_who_have_the_token(tree: dict[str, Any]) -> None:
    for name in ("head", "worker"):
        environment = tree["services"][name]["environment"]
        assert (environment["RAY_AUTH_MODE"], environment["RAY_AUTH_TOKEN"]) == ("token", TOKEN)


@pytest.mark.parametrize("secret", SECRETS)
def test_nothing_starts_without_its_secrets(secret: str) -> None:
    example = compose.environment_file() | {name: value for name, value in SECRETS.items() if name != secret}
    for environment in ({}, SECRETS | {secret: ""}, example):
        with pytest.raises(KeyError, match=r"set \w+ in \.env, see \.env\.example"):
            compose.read(environment)


def test_every_variable_is_documented_and_used() -> None:
    used = {found.group(1) for found in compose.VARIABLE.finditer(compose.text())}
    assert used == set(compose.environment_file())
    for found in compose.VARIABLE.finditer(compose.text()):
        name, kind, default = found.groups()
        if kind == ":-":
            assert compose.environment_file()[name] == default


def test_the_image_is_pinned_small_and_not_root() -> None:
    lines = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^FROM python:3\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?$", lines, re.M)
    assert re.findall(r"^USER (\w+)$", lines, re.M) == ["lethe"]
    installs = re.findall(r"^RUN pip install (.*)$", lines, re.M)
    assert len(installs) == 2
    assert all("--constraint /build/constraints.txt" in line for line in installs)


def test_what_the_services_run_is_pinned() -> None:
    """MLflow, its driver of PostgreSQL and Ray, as the image installs them."""
    pins = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    assert {"mlflow", "psycopg2-binary", "ray", "torch"} <= set(pins)
    assert (
        'pip install --constraint /build/constraints.txt "/build[cluster,system]"'
        in (ROOT / "Dockerfile").read_text()
    )


def test_the_command_that_pins_names_the_images_that_are_there(tree: dict[str, Any]) -> None:
    page = (ROOT / "docs/cluster.md").read_text()
    base = re.findall(r"^FROM ([^@\s]+)", (ROOT / "Dockerfile").read_text(), re.M)
    foreign = [service["image"] for service in tree["services"].values() if "build" not in service]
    named = re.findall(r"imagetools inspect (\S+)", page)
    assert sorted(named) == sorted(base + [image.partition("@")[0] for image in foreign])


def test_the_build_sees_what_it_copies_and_nothing_secret() -> None:
    ignore = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in "#"]
    assert ignore[0] == "*"
    seen = {line[1:] for line in ignore if line.startswith("!")}
    copied = re.findall(r"^COPY (.*) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
    assert seen == {name for line in copied for name in line.split()}
    assert all((ROOT / name).exists() for name in seen)


def test_docker_finds_the_file_in_order() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("`docker compose` is not installed")
    said = subprocess.run(
        [docker, "compose", "--file", str(compose.FILE), "config", "--quiet"],
        env={"PATH": "/usr/bin:/bin", **SECRETS},
        capture_output=True,
        text=True,
    )
    assert (said.returncode, said.stderr) == (0, "")
