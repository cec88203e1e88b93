"""Shared by all tests: one Ray for the whole session, small logs, a working directory of its own for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.storage import ENVIRONMENT, Storage
from trainers.storage.place import CACHE

ROOT = Path(__file__).parent.parent
RETAIL = ROOT / "data" / "online-retail" / "events.csv.gz"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need Ray share one process, or every process would start its own."""
    for item in items:
        if "ray_session" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("ray"))


@pytest.fixture(scope="session")
def ray_session() -> Iterator[str]:
    """Ray on two CPUs, started once; commands run as other processes join it through `RAY_ADDRESS`."""
    import ray

    from trainers import cluster

    os.environ.pop("RAY_ADDRESS", None)
    os.environ |= {
        "RAY_worker_niceness": "0"
    }  # beside another process of tests, workers would wait for it at 15
    cluster.connect(cpus=2)
    address = ray.get_runtime_context().gcs_address
    os.environ["RAY_ADDRESS"] = address
    yield address
    os.environ.pop("RAY_ADDRESS", None)
    ray.shutdown()


@pytest.fixture(scope="session")
def server() -> Iterator[Storage]:
    """Object storage on loopback, started once."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        storage = Storage()
        storage.start()
        yield storage
        storage.stop()


@pytest.fixture
def storage(server: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """Object storage whose requests are noted, and a node whose cache is empty."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    server.asked.clear()
    yield server
    server.fault = lambda method, path: None


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory; MLflow and the stores of the test lie in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path


def simulated_log(
    *, users: int = 60, items: int = 40, moments: int = 30, half_life: float = 5.0, seed: int = 0
) -> pd.DataFrame:
    """A log of people whose interests fade: at each moment, about a day after the last, a user takes again what the
    retention 2^(−age / half_life) has left of the past (seven times in ten), or something popular."""
    rng = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, items + 1)
    popularity /= popularity.sum()
    rows = []
    for user in range(users):
        past: list[tuple[int, float]] = []
        now = float(rng.uniform(0, 5))
        for _ in range(moments):
            now += float(rng.exponential(1.0)) + 0.01
            for _ in range(int(rng.integers(1, 4))):
                if past and rng.random() < 0.7:
                    left = np.array([0.5 ** ((now - when) / half_life) for _, when in past])
                    item = past[int(rng.choice(len(past), p=left / left.sum()))][0]
                else:
                    item = int(rng.choice(items, p=popularity))
                rows.append((f"u{user}", f"i{item:03d}", int(1_600_000_000 + now * 86_400)))
            past += [(int(item[1:]), now) for _, item, when in rows[-3:] if when == rows[-1][2]]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return frame.drop_duplicates().sort_values("timestamp", kind="stable").reset_index(drop=True)


@pytest.fixture(scope="session")
def small_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated log as a CSV file: 60 users, 40 items, some 3,000 events."""
    path = tmp_path_factory.mktemp("log") / "events.csv"
    simulated_log().to_csv(path, index=False)
    return path
