"""What both library sides share; it runs in their environments, beside the script that imports it by its bare name."""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

K = 100  # length of the lists handed back


def asked() -> tuple[dict[str, np.ndarray], str, dict[str, Any]]:
    """The hand-over, where to write what is made of it, and what is asked, from the command line."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    given, made, wanted = sys.argv[1:4]
    with np.load(given) as file:
        return {name: file[name] for name in file.files}, made, json.loads(wanted)


def told(epoch: int, start: float) -> None:
    print(f"  epoch {epoch}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)


def hand_back(
    made: str,
    epochs: list[int],
    lists: list[np.ndarray],
    spent: list[float],
    start: float,
    packages: tuple[str, ...],
) -> None:
    """Write the lists [epochs, Q, K] with the CPU seconds `spent` in training before each, the seconds since `start`
    and the versions of `packages`."""
    np.savez_compressed(
        made,
        epochs=epochs,
        lists=np.stack(lists),
        spent=spent,
        seconds=time.perf_counter() - start,
        versions=json.dumps({name: version(name) for name in packages}),
    )
