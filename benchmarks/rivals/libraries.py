"""Library models, each trained by its library's own code in an environment of its own (`make rivals`).

Lethe hands over the training events and the queries with their histories, never what was right. The library's Python
trains, ranks the whole catalogue for every query from its true history, with no parameter updated after the cut, and
hands back lists; Lethe measures them. The number of epochs is chosen on validation.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.rivals.base import Floats
from benchmarks.rivals.measure import Book, say, values
from harness.stage import Stage
from trainers.log import ranges

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent.parent / ".venv-rivals"


@dataclass(frozen=True)
class Library:
    """A model of a library: the environment and the script that run it, its class, its settings, the epochs to try."""

    environment: str
    model: str
    settings: dict[str, Any]
    epochs: tuple[int, ...]

    def asked(self, epochs: tuple[int, ...] | None, length: int | None, batch: int | None) -> Library:
        """The same with other `epochs` to try, reading the last `length` events of a history, `batch` rows a step."""
        names = NAMES[self.environment]
        changed = {name: value for name, value in zip(names, (length, batch), strict=True) if value}
        return replace(self, settings={**self.settings, **changed}, epochs=epochs or self.epochs)

    @property
    def python(self) -> Path:
        return ENVIRONMENTS / self.environment / "bin" / "python"

    @property
    def script(self) -> Path:
        return HERE / f"{self.environment}_side.py"


# What each library calls the length of a history and the rows of a step.
NAMES = {
    "rectools": ("session_max_len", "batch_size"),
    "recbole": ("MAX_ITEM_LIST_LENGTH", "train_batch_size"),
}
TRANSFORMER = {"n_factors": 64, "n_blocks": 2, "n_heads": 2, "session_max_len": 100, "batch_size": 16}
RECBOLE = {"hidden_size": 64, "MAX_ITEM_LIST_LENGTH": 50, "train_batch_size": 128}

MODELS: dict[str, Library] = {
    "SASRec (RecTools)": Library("rectools", "SASRecModel", TRANSFORMER, (5, 10, 20, 30)),
    "BERT4Rec (RecTools)": Library("rectools", "BERT4RecModel", TRANSFORMER, (5, 10, 20, 30)),
    "HSTU (RecTools)": Library("rectools", "HSTUModel", TRANSFORMER, (5, 10, 20, 30)),
    "GRU4Rec (RecBole)": Library(
        "recbole", "GRU4Rec", {**RECBOLE, "embedding_size": 64, "hidden_size": 128}, (2, 5, 10)
    ),
    "SASRec (RecBole)": Library("recbole", "SASRec", {**RECBOLE, "inner_size": 256}, (2, 5, 10)),
}


@dataclass(frozen=True)
class ListScorer:
    """Lists of columns, best first, -1 where they end, [Q, K]; what is not on a list stands behind all that is."""

    lists: npt.NDArray[np.int32]
    items: int

    def score(self, index: slice) -> Floats:
        block = self.lists[index]
        scores = np.zeros((len(block), self.items))
        query, place = np.nonzero(block >= 0)
        scores[query, block[query, place]] = self.lists.shape[1] - place
        return scores


def hand_over(stage: Stage, file: Path) -> None:
    """Write training events (by user, oldest first) and histories (by query, oldest first), items as columns.

    Events of items that training never saw are left out; times are unix seconds.
    """
    training, log, queries = stage.training, stage.log, stage.queries
    rows = training.rows
    lengths = queries.end - queries.begin
    seen = ranges(queries.begin, lengths)
    columns = training.column[np.asarray(log.items)[seen]]
    known = columns >= 0
    query = np.repeat(np.arange(len(queries)), lengths)[known]
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        file,
        user=np.repeat(np.arange(log.users), training.stop - log.offsets[:-1]),
        item=training.column[np.asarray(log.items)[rows]],
        time=np.asarray(log.times)[rows].astype(np.int64),
        history_offsets=np.concatenate(([0], np.cumsum(np.bincount(query, minlength=len(queries))))),
        history_item=columns[known],
        history_time=np.asarray(log.times)[seen[known]].astype(np.int64),
        query_time=np.asarray(queries.time).astype(np.int64),
        items=len(training.catalogue),
        repeats=stage.repeats,
    )


def measure(name: str, library: Library, book: Book, val: Stage, test: Stage, seeds: int) -> None:
    """Find the epochs on validation, read test once for each seed; values per query are means over the seeds."""
    what = [name, library.settings, library.epochs]
    key = book.key([*what, seeds])
    if book.found(name, key) is not None:
        return
    if not library.python.exists():
        say(f"{name}: left out, there is no {library.python}; `make rivals` makes it.")
        return
    say(f"{name}:")
    tried = run(library, val, book.values, f"{book.key(what)}-val", library.epochs, 0)
    curve = {
        int(epoch): float(values(val, ListScorer(lists, len(val.split.catalogue))).mean())
        for epoch, lists in zip(tried["epochs"], tried["lists"], strict=True)
    }
    epoch = max(curve, key=lambda epoch: curve[epoch])
    say(f"  val by epoch {curve}")
    runs = [
        run(library, test, book.values, f"{book.key(what)}-test-{epoch}-{seed}", (epoch,), seed)
        for seed in range(seeds)
    ]
    ndcg = np.stack([values(test, ListScorer(run["lists"][0], len(test.split.catalogue))) for run in runs])
    entry = {
        "settings": {**library.settings, "epochs": epoch},
        "val": curve[epoch],
        "epochs": curve,
        "seeds": [float(mean) for mean in ndcg.mean(1)],
        "versions": json.loads(str(runs[0]["versions"])),
        "seconds": {"search": float(tried["seconds"]), "test": [float(run["seconds"]) for run in runs]},
    }
    book.write(name, key, entry, ndcg.mean(0))


def run(
    library: Library, stage: Stage, folder: Path, name: str, epochs: tuple[int, ...], seed: int
) -> dict[str, Any]:
    """The lists [epochs, Q, K] that the library's side writes, or that it wrote before."""
    given, made = folder / f"{stage.split.stage}.npz", folder / f"{name}.npz"
    if not made.exists():
        hand_over(stage, given)
        asked = {"model": library.model, "epochs": epochs, "seed": seed, "settings": library.settings}
        # The environment's packages must not meet Lethe's.
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        part = made.with_suffix(".part.npz")
        subprocess.run(
            [library.python, library.script, given.absolute(), part.absolute(), json.dumps(asked)],
            env=environment,
            cwd=folder,
            check=True,
        )
        part.rename(made)
    with np.load(made) as file:
        return {key: file[key] for key in file.files}
