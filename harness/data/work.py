"""Work in units that are finished whole, kept, and not done again: in threads here, or as Ray tasks."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from harness import source_digest
from harness.data.disk import is_full
from harness.data.errors import DataError
from trainers.storage.exchange import unit

PLAN = "plan.json"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@contextlib.contextmanager
def kept(root: Path, name: str, sizes: dict[str, int]) -> Iterator[tuple[Path, dict[str, int]]]:
    """The folder of one preparation's units, and the sizes that they were cut by.

    To be called under the lock of `name`. A process that is killed leaves the folder, and the next one goes on with the
    units that are whole, if the same code made them and the machine has not been started anew since: what a process
    wrote outlives it, but not a power cut. Wrong data and a full disk leave nothing.
    """
    folder = root / f".work-{name}"
    maker = {"code": source_digest(), "boot": _BOOT.read_text().strip() if _BOOT.exists() else ""}
    plan = _plan(folder)
    if plan is None or plan["maker"] != maker:
        shutil.rmtree(folder, ignore_errors=True)
        with unit(folder) as made:
            plan = {"maker": maker, "sizes": sizes}
            (made / PLAN).write_text(json.dumps(plan))
    for partial in [*folder.glob(".tmp-*"), *folder.glob("*/.tmp-*")]:
        shutil.rmtree(partial)
    try:
        yield folder, plan["sizes"]
    except BaseException as error:
        if isinstance(error, DataError) or is_full(error):
            shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)


def _plan(folder: Path) -> dict[str, Any] | None:
    file = folder / PLAN
    return json.loads(file.read_text()) if file.exists() else None


def each(
    run: Callable[..., Any],
    tasks: Iterable[tuple[Any, ...]],
    at_once: int,
    workers: int,
    done: Callable[[Any], None] = lambda _: None,
) -> None:
    """Call `run` with every task: so many at once in threads, or over `workers` Ray tasks where there are any.

    `done` gets what each call returns, in the order in which they end. The first error ends all.
    """
    listed = list(tasks)
    if workers:
        return _over_ray(run, listed, workers, done)
    if at_once == 1 or len(listed) < 2:
        for task in listed:
            done(run(*task))
        return None
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(run, *task) for task in listed]
        try:
            for future in as_completed(futures):
                done(future.result())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _over_ray(
    run: Callable[..., Any], tasks: list[tuple[Any, ...]], workers: int, done: Callable[[Any], None]
) -> None:
    import ray

    from trainers import cluster

    cluster.connect()
    task = ray.remote(num_cpus=1)(run)
    running: list[Any] = []
    try:
        while tasks or running:
            while tasks and len(running) < workers:
                running.append(task.remote(*tasks.pop(0)))
            ready, running = ray.wait(running)
            try:
                for result in ray.get(ready):
                    done(result)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
    finally:
        for reference in running:
            ray.cancel(reference)
