"""The steps from event files to arrays, each in units that are kept until all is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.arrays import encode, pack_shard
from harness.data.engine import Budget
from harness.data.nodes import Nodes, Units, on_node
from harness.data.numbering import Numbers, give_numbers
from harness.data.pieces import pieces, read_part, tally
from harness.data.read import split_parts
from harness.data.segments import Segment
from harness.data.settings import DataSettings
from harness.data.sources import Source
from harness.data.tally import Tally
from harness.data.work import each

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Steps:
    """How the units of one preparation are done.

    Attributes:
        folder: where units are kept.
        sizes: rows of a `piece` and of a `shard`; the same for a preparation that goes on as when it began.
        nodes: who does them where other machines do, and these share no disk with this one.
    """

    settings: DataSettings
    folder: Path
    budget: Budget
    sizes: dict[str, int]
    say: Progress
    nodes: Nodes | None = None

    def read(self, sources: Sequence[Source]) -> Tally:
        """Read and validate the files; returns what became of all rows."""
        self._into.mkdir(exist_ok=True)
        parts = split_parts(sources, self.sizes["piece"])
        names = ", ".join(f"`{source.name}`" for source in sources[:3]) + (", …" if len(sources) > 3 else "")
        kept = sum(tally(piece).rows for piece in pieces(self._into))
        self.say(f"Reading {names or 'nothing new'}" + (f"; going on after {kept:,} rows." if kept else "."))
        rows, done, since = 0, 0, time.monotonic()

        def note(more: int) -> None:
            nonlocal rows, done
            rows, done = rows + more, done + 1
            pace = max(rows - kept, 0) / max(time.monotonic() - since, 1e-9)
            self.say(f"Read {done:,} of {len(parts):,} parts: {rows:,} rows, {pace:,.0f} a second.")

        tasks = [(part, self.settings, self._into, self.sizes["piece"]) for part in parts]
        self._each(read_part, tasks, note, lambda task: ([], f"read/{task[0].number:06d}-*"))
        if self.nodes:
            self.nodes.fetch("read")
        total = Tally()
        for piece in pieces(self._into):
            total.join(tally(piece))
        return total

    @property
    def pieces(self) -> list[Path]:
        """The pieces that were read, in the order of the rows."""
        return pieces(self._into)

    @property
    def _into(self) -> Path:
        return self.folder / "read"

    def number(self, old: Path | None) -> Numbers:
        """Number users, items and event types after those of the store `old`."""
        self.say("Numbering users and items.")
        budget = self.budget
        numbers = give_numbers(
            self.folder, self.pieces, old, budget.memory, budget.at_once, self.sizes["shard"]
        )
        if self.nodes:
            self.nodes.send("numbers")
        return numbers

    def sort(self, numbers: Numbers, older: Sequence[Segment]) -> None:
        """Encode the pieces and sort the shards; duplicates are looked for in `older` segments too."""
        names = [piece.name for piece in self.pieces]
        encoded = [(piece, numbers, self.folder, self.budget.each) for piece in self.pieces]
        self._each(
            encode,
            encoded,
            self._counter("Encoded", len(encoded), "pieces"),
            lambda task: ([f"read/{task[0].name}", "numbers"], f"encoded/{task[0].name}"),
        )
        collapse, shards = self.settings.collapse_duplicates, len(numbers.bounds) - 1
        sorted_ = [(shard, names, numbers, self.folder, collapse, older) for shard in range(shards)]
        self._each(
            pack_shard,
            sorted_,
            self._counter("Sorted", shards, "shards"),
            lambda task: (["numbers", *(f"encoded/{name}" for name in names)], f"packed/{task[0]:06d}"),
        )
        if self.nodes:
            self.nodes.fetch("packed")

    def _each(
        self,
        run: Callable[..., Any],
        tasks: list[tuple[Any, ...]],
        done: Callable[[Any], None],
        units: Callable[[tuple[Any, ...]], Units],
    ) -> None:
        """Do the tasks of a step; `units` tells what each needs and makes."""
        if self.nodes:
            tasks = [(self.nodes, run, self.nodes.packed(task), *units(task)) for task in tasks]
            run = on_node
        each(run, tasks, self.budget.at_once, self.settings.workers, done)

    def _counter(self, did: str, total: int, what: str) -> Callable[[object], None]:
        done = 0

        def note(_: object) -> None:
            nonlocal done
            done += 1
            self.say(f"{did} {done:,} of {total:,} {what}.")

        return note
