"""The measurements as `benchmarks/preparation.md`."""

from __future__ import annotations

import argparse
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from benchmarks.preparation.measure import Took

MOST_MEMORY, LEAST_PACE = 4 * 2**30, 500_000


@dataclass(frozen=True)
class Measured:
    """What each step took.

    Attributes:
        same: whether the store that was killed halfway has the very files of the one that was not.
        kept: rows that the killed process had read and the next one did not read again.
        first_read: the first reading of the appended store, which puts the new events between the old ones.
        alone: a store of the new files alone.
        bytes: of the files of the first store.
        load: processes that wanted a core, the mean of 5-minute averages after each step.
    """

    whole: Took
    killed: Took
    went_on: Took
    same: bool
    kept: int
    appended: Took
    first_read: Took
    alone: Took
    bytes: int
    load: float


def page(found: Measured, asked: argparse.Namespace) -> str:
    cores = len(os.sched_getaffinity(0))
    whole, appended, alone = found.whole, found.appended, found.alone
    together = found.killed.cpu + found.went_on.cpu
    rows = [
        _row(f"pack {asked.events:,} events", whole, asked.events),
        _row("the same, killed halfway", found.killed, None),
        _row("and going on", found.went_on, None),
        _row(f"append {asked.append:,} events", appended, asked.append),
        _row("first reading after it", found.first_read, None),
        _row("pack the new files alone", alone, asked.append),
    ]
    pace = asked.events / whole.seconds
    idle = asked.events / (whole.cpu / cores)
    lines = [
        "# Preparing a large log",
        "",
        f"`python -m benchmarks.preparation --events {asked.events:_} --users {asked.users:_} --append "
        f"{asked.append:_}`: items by Zipf's law ({asked.items:,} of them), users as text, {found.bytes / 2**20:,.0f} "
        f"MiB of Parquet; `data.memory: {asked.memory}`, {cores} cores. Each line is a process of its own, from its "
        "start to its end.",
        "",
        "| step | seconds | CPU seconds | resident, GiB | events a second | a CPU second |",
        "| --- | --- | --- | --- | --- | --- |",
        *rows,
        "",
        f"- **Memory**: {max(t.memory for t in (whole, found.went_on, appended, found.first_read)) / 2**30:.2f} GiB "
        f"resident at most; the target is {MOST_MEMORY / 2**30:.0f}.",
        f"- **Pace**: {pace:,.0f} events a second as measured. {found.load:.1f} processes wanted the {cores} cores "
        f"meanwhile; by its CPU seconds it would be {idle:,.0f} a second, were all cores free and always busy. The "
        f"target is {LEAST_PACE:,}.",
        f"- **Going on**: {found.kept:,} rows were not read again; both processes together took "
        f"{together / whole.cpu:.2f} times the CPU seconds of the one that was not killed. Every file of the store is "
        f"{'the same, bit for bit' if found.same else 'NOT the same'}.",
        f"- **Appending** {asked.append / asked.events:.0%} more took {appended.cpu / whole.cpu:.0%} of the CPU "
        f"seconds of the first packing, {appended.cpu / alone.cpu:.2f} times those of packing the new files alone. 1 % "
        "of the new events are late, 1 % of the users and items are new. "
        f"{appended.answer['appended']:,} events in segment {appended.answer['segments']}.",
        "- **The first reading** copies the old events with the new ones in their places: it costs what reading all "
        "events costs, once.",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("duckdb", "pyarrow", "numpy"))
        + ".",
        "",
    ]
    return "\n".join(lines)


def _row(name: str, took: Took, events: int | None) -> str:
    cells = [f"{took.seconds:.1f}", f"{took.cpu:.1f}", f"{took.memory / 2**30:.2f}"]
    cells += [f"{events / took.seconds:,.0f}", f"{events / took.cpu:,.0f}"] if events else ["", ""]
    return f"| {name} | {' | '.join(cells)} |"
