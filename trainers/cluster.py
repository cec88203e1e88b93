"""One connection to Ray for everything that a run does: starting it costs seconds, so it is started once."""

from __future__ import annotations

import logging
import os

import ray

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # a CSV, a JSON and a TensorBoard file a trial: nobody reads them
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # of Tune's own state, which nobody reads either: a search has its ledger
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def connect(cpus: int | None = None) -> None:
    """Connect to the cluster at `RAY_ADDRESS`, or start one on this machine with so many CPUs (all by default).

    Does nothing where the process is connected already."""
    if ray.is_initialized():
        return
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    else:
        ray.init(
            num_cpus=cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=200 * 2**20,  # arrays travel as memory-mapped files, not through the store
        )


def processors(kind: str = "CPU") -> int:
    """The CPUs (or GPUs) of the connected cluster."""
    return int(ray.cluster_resources().get(kind, 0))


def room(resources: dict[str, float]) -> int:
    """How many things that take so much each (`cpu`, `memory` in bytes) the connected cluster can run at once."""
    have = ray.cluster_resources()
    names = {"cpu": "CPU", "gpu": "GPU"}
    return int(min(have.get(names.get(name, name), 0.0) // much for name, much in resources.items()))
