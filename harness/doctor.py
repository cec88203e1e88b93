"""`lethe doctor`: is everything here that a configuration needs?"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.data.sources import find_sources
from harness.settings import RunSettings

PACKAGES = (
    "ray",
    "torch",
    "mlflow",
    "pandas",
    "numpy",
    "scipy",
    "pyarrow",
    "optuna",
    "safetensors",
    "duckdb",
)
FREE_BYTES = 2 * 2**30


def examine(settings: RunSettings) -> dict[str, Any]:
    """Each check with what was found and, where it is not well, what to do."""
    checks: list[dict[str, Any]] = []

    def check(name: str, look: Callable[[], str]) -> None:
        try:
            checks.append({"check": name, "well": True, "found": look()})
        except Exception as error:  # whatever is not well is what was looked for
            said = str(error).splitlines() or [type(error).__name__]
            checks.append({"check": name, "well": False, "found": said[0]})

    check("python", lambda: sys.version.split()[0])
    for package in PACKAGES:
        check(package, lambda package=package: version(package))  # type: ignore[misc]
    check("data", lambda: ", ".join(source.name for source in find_sources(settings.data.event_locations)))
    check("disk", lambda: _disk(Path(settings.work)))
    check("gpu", lambda: _gpu(settings.train.gpu))
    check("ray", _ray)
    check("mlflow", _mlflow)
    return {"well": all(entry["well"] for entry in checks), "checks": checks}


def _disk(work: Path) -> str:
    place = work.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < FREE_BYTES:
        raise RuntimeError(
            f"{place} has {free / 2**30:.1f} GiB free, and 2 are needed; set `work` to a larger disk"
        )
    return f"{free / 2**30:.0f} GiB free at {place}"


def _gpu(wanted: bool) -> str:
    import torch

    count = torch.cuda.device_count()
    if wanted and not count:
        raise RuntimeError(
            "`train.gpu` is set, but torch sees no GPU; install a CUDA build or set it to false"
        )
    return f"{count} seen"


def _ray() -> str:
    import ray

    from trainers import cluster

    cluster.connect()
    return f"{len(ray.nodes())} node(s), {cluster.processors()} CPUs"


def _mlflow() -> str:
    import mlflow

    from harness.registry import connect

    uri = connect()
    mlflow.search_experiments(max_results=1)
    return uri
