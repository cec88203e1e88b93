"""The services of docker-compose.yml as processes of this machine, without containers.

The commands, environments, health checks and mounts are the file's own. What a container would give is put in their
place: ports that are free here, this machine for the names of the services, folders for the volumes, and for the image
of PostgreSQL what its entry point does (a database cluster with the user, password and database of the environment).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.cluster import compose
from tests.conftest import ROOT

POSTGRES = Path("/usr/lib/postgresql")
NAMES = re.compile(r"\b(postgres|mlflow|head):(?=\d)")
PORTS = re.compile(r"\b(5432|5000|6379|8265|52365)\b")


def missing() -> str | None:
    """Why the services cannot be started here, or None."""
    if find_postgres() is None:
        return "PostgreSQL is not installed: apt-get install postgresql"
    if any(importlib.util.find_spec(name) is None for name in ("psycopg2", "aiohttp_cors", "opencensus")):
        return "the extra `cluster` is not installed: pip install -c constraints.txt -e '.[cluster]'"
    if os.getuid() == 0 and (shutil.which("setpriv") is None or unprivileged() is None):
        return "PostgreSQL refuses to run as root: setpriv and a user `postgres` are needed"
    return None


def find_postgres() -> Path | None:
    """The folder of initdb and postgres, of the newest version."""
    found = sorted(POSTGRES.glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


def unprivileged() -> tuple[int, int] | None:
    import pwd

    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        return None
    return user.pw_uid, user.pw_gid


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class Cluster:
    """The services, each started when those that it depends on are healthy.

    Args:
        folder: for volumes and logs; its path must be short, Ray puts sockets below it.
        environment: what a person would write into .env.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.services: dict[str, Any] = compose.read(environment)["services"]
        self.ports = {port: free_port() for port in ("5432", "5000", "6379", "8265")}
        self.agents = {name: free_port() for name in ("head", "worker")}  # of one machine each has its own
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._volumes()

    def _volumes(self) -> None:
        """Each mount of the file at `folder` + its place in the container."""
        for service in self.services.values():
            for volume in service["volumes"]:
                source, target = volume.split(":")[:2]
                place = self.inside(target)
                place.parent.mkdir(parents=True, exist_ok=True)
                if source.startswith("./") and not place.exists():
                    place.symlink_to(ROOT / source)
                place.mkdir(exist_ok=True)

    def inside(self, target: str) -> Path:
        """Where a folder of a container lies on this machine."""
        return self.folder / target.lstrip("/")

    def here(self, name: str, node: Any) -> Any:
        """A part of the file with what a container would give replaced."""

        def change(value: str) -> str:
            value = NAMES.sub("127.0.0.1:", value).replace("0.0.0.0", "127.0.0.1")
            ports = self.ports | {"52365": self.agents.get(name, "")}
            value = PORTS.sub(lambda found: ports[found.group()], value)
            return re.sub(r"=(/artifacts)", lambda found: f"={self.inside(found.group(1))}", value)

        return compose.strings(node, change)

    def environment(self, name: str) -> dict[str, str]:
        own: dict[str, str] = self.here(name, self.services[name].get("environment", {}))
        path = f"{Path(sys.executable).parent}:{find_postgres()}:{os.environ['PATH']}"
        machine = {
            "PATH": path,
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "RAY_TMPDIR": str(self.folder),
            "RAY_agent_register_timeout_ms": "180000",  # two nodes at once on one busy machine
        }
        return machine | own

    def execute(self, name: str, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """`docker compose exec NAME COMMAND`."""
        return subprocess.run(
            self.here(name, command),
            env=self.environment(name),
            cwd=self.inside("/lethe"),
            capture_output=True,
            text=True,
            **options,
        )

    def healthy(self, name: str) -> bool:
        """The health check of the file."""
        return self.execute(name, self.services[name]["healthcheck"]["test"][1:]).returncode == 0

    def start(self) -> None:
        """`docker compose up --wait`."""
        waiting = dict(self.services)
        while waiting:
            name = next(n for n, s in waiting.items() if not set(s.get("depends_on", {})) & set(waiting))
            self._start(name, waiting.pop(name))

    def _start(self, name: str, service: dict[str, Any]) -> None:
        command, before = self.here(name, service["command"]), []
        if name == "postgres":
            before = self._make_database(service["environment"])
            place = str(self.inside("/var/lib/postgresql/data"))
            command += ["-D", place, "-p", self.ports["5432"], "-k", "", "-h", "127.0.0.1"]
        elif name in self.agents:
            command += [f"--dashboard-agent-listen-port={self.agents[name]}"]
        self._launch(name, [*before, *command])
        until = time.monotonic() + 400
        while not self.healthy(name):
            log = (self.folder / f"{name}.log").read_text()[-3000:]
            assert time.monotonic() < until, f"{name} is not healthy:\n{log}"
            if (
                self.processes[name].poll() is not None
            ):  # Ray gives up where a node takes half a minute to come up
                assert service["restart"] == "unless-stopped", f"{name} ended:\n{log}"
                self._launch(name, [*before, *command])
            time.sleep(0.5)
        if name == "postgres":
            self._create(service["environment"])

    def _launch(self, name: str, command: list[str]) -> None:
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env=self.environment(name),
                cwd=self.inside("/lethe"),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _make_database(self, environment: dict[str, str]) -> list[str]:
        """initdb as the image's entry point calls it; returns the prefix under which PostgreSQL may run."""
        place, before = self.inside("/var/lib/postgresql/data"), []
        secret = self.folder / "password"
        secret.write_text(environment["POSTGRES_PASSWORD"] + "\n")
        if os.getuid() == 0:
            user = unprivileged()
            assert user is not None
            for path in (place, secret):
                os.chown(path, *user)
            before = ["setpriv", f"--reuid={user[0]}", f"--regid={user[1]}", "--clear-groups"]
        initdb = [
            "initdb",
            "-D",
            str(place),
            f"--username={environment['POSTGRES_USER']}",
            f"--pwfile={secret}",
        ]
        subprocess.run(
            [*before, *initdb, "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"],
            env=self.environment("postgres"),
            check=True,
            capture_output=True,
        )
        secret.unlink()
        return before

    def _create(self, environment: dict[str, str]) -> None:
        with contextlib.closing(self.database("postgres")) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"CREATE DATABASE {environment['POSTGRES_DB']}")

    def database(self, name: str) -> Any:
        import psycopg2

        environment = self.services["postgres"]["environment"]
        return psycopg2.connect(
            host="127.0.0.1",
            port=self.ports["5432"],
            user=environment["POSTGRES_USER"],
            password=environment["POSTGRES_PASSWORD"],
            dbname=name,
        )

    def url(self, port: str, path: str) -> str:
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    def stop(self) -> None:
        """End what was started, last first, and with each what it has started."""
        for name, process in reversed(self.processes.items()):
            quick = signal.SIGINT if name == "postgres" else signal.SIGTERM
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, quick)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def started(environment: dict[str, str]) -> Iterator[Cluster]:
    """The services of the file, healthy; gone when the block is left, with their folder."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="lc", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # PostgreSQL runs as another user below it
        cluster = Cluster(Path(folder), environment)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
