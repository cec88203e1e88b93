"""Crews of workers as processes that speak Gloo, without a cluster: for tests of what workers tell each other."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from trainers.training.workers import Workers


def crew(work: Callable[..., Any], size: int, folder: Path, *arguments: Any) -> list[Any]:
    """What `work(workers, *arguments)` gives on each of `size` workers, by rank."""
    folder.mkdir(parents=True)
    spawn(_worker, (work, size, folder, arguments), nprocs=size)  # type: ignore[no-untyped-call]  # torch's
    return [pickle.loads((folder / f"{rank}.pickle").read_bytes()) for rank in range(size)]


def _worker(rank: int, work: Callable[..., Any], size: int, folder: Path, arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=size, timeout=timedelta(seconds=60)
    )
    try:
        found = work(Workers(rank, size), *arguments)
        (folder / f"{rank}.pickle").write_bytes(pickle.dumps(found))
    finally:
        dist.destroy_process_group()
