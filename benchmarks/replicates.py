"""The same work for many seeds, sizes or models: here, or spread over Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from trainers import cluster

Case = TypeVar("Case")
Result = TypeVar("Result")


def spread(work: Callable[[Case], Result], cases: Iterable[Case], *, ray: bool = False) -> list[Result]:
    """work(case) for each case, in the order given; with `ray` a task each, on the cluster of `RAY_ADDRESS` or on the
    CPUs of this machine. What `work` holds is sent once. An error of any case is raised."""
    if not ray:
        return [work(case) for case in cases]
    import ray as engine

    cluster.connect()
    held = engine.put(work)
    task = engine.remote(num_cpus=1)(_call)
    return list(engine.get([task.remote(held, case) for case in cases]))


def _call(work: Callable[[Case], Result], case: Case) -> Result:
    return work(case)
