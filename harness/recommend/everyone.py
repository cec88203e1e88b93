"""Everybody's lists as one Parquet file, whole or not at all; over Ray where asked; taken up where it was killed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.data import open_store
from harness.data.disk import locked
from harness.errors import ConfigurationError, IncompleteError
from harness.files import write_json
from harness.progress import bar
from harness.recommend.moment import moment_of, told
from harness.serving.package import Package, Reader
from harness.settings import RunSettings
from harness.steps.fitting import fits_the_cluster
from harness.steps.registered import registry_of
from harness.steps.workshop import Workshop
from trainers import cluster
from trainers.remote import reason
from trainers.storage.files import whole

USERS = 1000  # of a part
PLAN, MODEL = "plan.json", "model"
SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("rank", pa.int32()),
        ("score", pa.float64()),
        ("at", pa.float64()),
    ]
)
"""A row is an item of a user's list: `rank` counts from 1, `at` is the moment in unix seconds."""


def recommend_to_everyone(
    settings: RunSettings, out: Path, at: str | None, k: int, which: str
) -> dict[str, Any]:
    """The JSON of `lethe recommend --all`: all users of the log, the best `k` items of each.

    Parts lie beside `out` until it is whole; the same command goes on with them, at the moment that they were begun for
    where `at` does not say one.
    """
    if not os.access(out.absolute().parent, os.W_OK) or out.is_dir():
        raise ConfigurationError(f"`--out` must be a file in a folder that can be written, but got {out}.")
    moment = moment_of(at)
    registry = registry_of(settings)
    version = registry.find(which)
    store = Workshop.open(settings).store
    model = {"name": version.name, "version": version.version}
    plan = {"model": model | {"run": version.run_id}, "log": store.fingerprint, "k": k, "asked": at}
    folder = out.absolute().with_name(f".{out.name}.parts")
    name = f"recommend-{hashlib.sha256(str(out.absolute()).encode()).hexdigest()[:16]}"
    # The same file asked for twice waits, and is made twice.
    with locked(Path(settings.work).absolute(), name, "work"):
        moment = _begin(folder, plan, moment, lambda: registry.package(version))
        job = Parts(str(folder), store.where, k, moment)
        found = job.write_all(settings)
        rows = job.join(out.absolute())
    return {
        "out": str(out),
        "model": model,
        "at": told(moment),
        "users": store.counts.users,
        "rows": rows,
        "parts": {"all": job.count, "found": found},
    }


def _begin(folder: Path, plan: dict[str, Any], moment: float, package: Callable[[], Package]) -> float:
    """Go on with the parts of the same plan, or begin anew; the moment that all parts are for."""
    file = folder / PLAN
    if file.exists():
        begun = json.loads(file.read_text())
        if {name: value for name, value in begun.items() if name != "moment"} == plan:
            return float(begun["moment"])
    shutil.rmtree(folder, ignore_errors=True)
    package().save(folder / MODEL)
    write_json(file, plan | {"moment": moment})
    return moment


@dataclass(frozen=True)
class Parts:
    """The parts of a file, each the lists of some users; sent to workers as it is.

    Attributes:
        folder: where the parts and the model lie; with Ray, storage that all nodes share, as `out` is.
        store: the packed log.
        k: items of a list.
        moment: unix seconds.
    """

    folder: str
    store: str
    k: int
    moment: float

    @cached_property
    def reader(self) -> Reader:
        return Reader(Package.load(Path(self.folder) / MODEL), open_store(self.store))

    @cached_property
    def count(self) -> int:
        return -(-self.reader.store.counts.users // USERS)

    def _file(self, part: int) -> Path:
        return Path(self.folder) / f"part-{part:06d}.parquet"

    def write_all(self, settings: RunSettings) -> int:
        """Write the parts that are not there, on Ray where `train.workers` asks for it; how many were there."""
        todo = [part for part in range(self.count) if not self._file(part).exists()]
        found = self.count - len(todo)
        with bar("recommend", self.count) as line:
            line.update(done=found, note=f"{found} parts found" if found else "")
            for done, _ in enumerate(self._run(todo, settings), found + 1):
                line.update(done=done)
        return found

    def _run(self, todo: list[int], settings: RunSettings) -> Iterator[int]:
        train = settings.train
        if not train.workers or not todo:
            yield from map(self.write, todo)
            return
        import ray
        from ray.util import ActorPool

        cluster.connect()
        fits_the_cluster(train.model_copy(update={"gpu": False}))
        workers = min(train.most, len(todo), max(train.fewest, cluster.processors()))
        pool = ActorPool([ray.remote(Worker).remote(replace(self)) for _ in range(workers)])
        try:
            yield from pool.map_unordered(lambda worker, part: worker.write.remote(part), todo)
        except ray.exceptions.RayError as error:
            raise IncompleteError(
                f"recommend: {reason(error)}; the parts that are written are found when it is run again."
            ) from error

    def write(self, part: int) -> int:
        """Write one part whole or not at all."""
        store = self.reader.store
        users = np.arange(part * USERS, min((part + 1) * USERS, store.counts.users))
        histories = self.reader.histories(store.log.asked(users, np.full(len(users), self.moment)))
        columns, scores = self.reader.package.top(histories, self.k)
        row, rank = np.nonzero(columns >= 0)
        names = np.asarray(self.reader.package.items, object)
        table = pa.table(
            [
                store.users[users[row]],
                names[columns[row, rank]],
                (rank + 1).astype(np.int32),
                scores[row, rank].astype(np.float64),
                np.full(len(row), self.moment),
            ],
            schema=SCHEMA,
        )
        with whole(self._file(part)) as partial:
            pq.write_table(table, partial)
        return part

    def join(self, out: Path) -> int:
        """All parts as one file, a row group for each; the parts are gone then. Returns its rows."""
        rows = 0
        with whole(out) as partial, pq.ParquetWriter(partial, SCHEMA) as writer:
            for part in range(self.count):
                table = pq.read_table(self._file(part))
                writer.write_table(table)
                rows += table.num_rows
        shutil.rmtree(self.folder)
        return rows


class Worker:
    """A Ray actor, which opens the model and the log once."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def write(self, part: int) -> int:
        return self.parts.write(part)
