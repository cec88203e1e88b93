"""Real queries with scores: the same for Lethe, the referee and RecTools."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from evaluators import Csr, Facts
from evaluators.ranks import answer
from harness.settings import load
from harness.stage import Stage
from harness.steps.workshop import Workshop
from trainers.log import ranges

ROOT = Path(__file__).parent.parent.parent
PYTHON = ROOT / ".venv-rivals" / "rectools" / "bin" / "python"
# Length of lists measured, of those handed over, and how many are handed over whole.
K, LONG, WHOLE = 10, 100, 30

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Given:
    """The test queries of a data set, each scored by what its history was taken together with in training: whole
    numbers, so that many tie."""

    name: str
    stage: Stage

    @classmethod
    def of(cls, config: Path, changes: list[str]) -> Given:
        """The test stage of a configuration, with the table of items that lies beside its events."""
        settings = load(config, changes)
        table = Path(settings.data.event_locations[0]).with_name("items.csv.gz")
        if settings.data.items is None and table.exists():
            settings = load(config, [*changes, f"data.items={table}"])
        return cls(config.stem, Workshop.open(settings).test)

    @property
    def facts(self) -> Facts:
        return self.stage.facts

    @property
    def count(self) -> int:
        return len(self.stage.split.queries)

    @property
    def items(self) -> int:
        return len(self.stage.split.catalogue)

    @property
    def relevant(self) -> Csr:
        return self.stage.split.queries.lists()

    @cached_property
    def taken(self) -> sp.csr_array:
        """[U, I] 1 for what a user has in training."""
        user, column = self.training
        shape = (len(self.stage.log.offsets) - 1, self.items)
        found = sp.csr_array((np.ones(len(user), np.float32), (user, column)), shape=shape)
        found.data[:] = 1
        return found

    @cached_property
    def training(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """User and column of each training event."""
        split, log = self.stage.split, self.stage.log
        rows = np.flatnonzero(split.train)
        user = np.searchsorted(log.offsets, rows, side="right") - 1
        return user, split.column[np.asarray(log.items)[rows]].astype(np.int64)

    def score(self, index: slice) -> Scores:
        """The scores of a block of queries, as a `Scorer` gives them."""
        split, log = self.stage.split, self.stage.log
        begin, end = split.queries.begin[index], split.queries.end[index]
        columns = split.column[np.asarray(log.items)[ranges(begin, end - begin)]]
        query = np.repeat(np.arange(len(begin)), end - begin)
        known = columns >= 0
        ones = np.ones(int(known.sum()), np.float32)
        profile = sp.csr_array((ones, (query[known], columns[known])), shape=(len(begin), self.items))
        together: Scores = np.asarray(((profile @ self.taken.T) @ self.taken).todense(), np.float32)
        return together

    def order(self, index: slice) -> npt.NDArray[np.int32]:
        """[B, I] the columns best first, ties by column order, -1 in place of those that were seen."""
        scores = self.score(index)
        seen = self.stage.seen
        relevant = self.relevant.block(index)
        hidden = None if seen is None else seen(index)
        return answer(scores, relevant, hidden, self.items).shown

    def hand_over(self, file: Path) -> None:
        """Write lists, what was right, training and categories for RecTools."""
        known = self.facts.categories if "categories" in self.facts.known else None
        empty = np.zeros(0, np.int64)
        user, item = self.training
        every = max(1, self.count // WHOLE)
        whole = np.arange(0, self.count, every)
        orders = [self.order(slice(q, q + 1))[0] for q in whole.tolist()]
        lists = [self.order(slice(b, min(b + 256, self.count)))[:, :LONG] for b in range(0, self.count, 256)]
        np.savez(
            file,
            k=K,
            items=self.items,
            lists=np.concatenate(lists),
            offsets=self.relevant.offsets,
            relevant=self.relevant.columns,
            user=user,
            item=item,
            category_offsets=empty if known is None else known.of_item.offsets,
            category_numbers=empty if known is None else known.of_item.columns,
            whole_query=whole,
            whole=np.stack(orders),
        )


@dataclass(frozen=True)
class Distinct:
    """The same queries with scores that do not tie: the place of each item in RecTools' list, from the end."""

    given: Given

    def score(self, index: slice) -> Scores:
        order = self.given.order(index)
        scores = np.full((len(order), self.given.items), -np.inf, np.float32)
        query, place = np.nonzero(order >= 0)
        scores[query, order[query, place]] = -place
        return scores


def ask(task: str, given: Path) -> dict[str, npt.NDArray[np.float64]]:
    """What RecTools' side makes of a hand-over."""
    if not PYTHON.exists():
        raise SystemExit(f"There is no {PYTHON}; `make .venv-rivals/rectools/.made` makes it.")
    made = given.with_name(f"{task}.npz")
    # The environment's packages must not meet Lethe's.
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    subprocess.run(
        [PYTHON, Path(__file__).with_name("side.py"), task, given, made], env=environment, check=True
    )
    with np.load(made) as file:
        return {name: file[name] for name in file.files}
