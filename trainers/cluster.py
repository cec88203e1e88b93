"""One connection to Ray for everything that a run does: starting it costs seconds, so it is started once."""

from __future__ import annotations

import logging
import os

import ray

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # a CSV, a JSON and a TensorBoard file a trial: nobody reads them
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
