"""The forgetting table on one page.

Run: python -m benchmarks.forgetting_table configs/forgetting-table-short.yaml (minutes, on the data of this repository)
  or python -m benchmarks.forgetting_table configs/forgetting-table.yaml (hours; RAY_ADDRESS spreads it over a cluster).

A cell that is done is found, so a table that was killed goes on where it was. `--only films,retail` and `--terms
own,linear` measure a part. Figures are added to `benchmarks/results/<name of the plan>-<data set>.json`; the page shows
what is there, whoever measured it, and says what is missing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import ray

from benchmarks.forgetting_table.measure import Bench, read, save
from benchmarks.forgetting_table.page import write
from benchmarks.forgetting_table.plan import Cell, Plan, closed, curves_file
from benchmarks.forgetting_table.results import Results
from trainers import cluster

FOLDER = Path(".lethe/forgetting-table")


def tasks(plan: Plan, names: list[str], terms: list[str], folder: Path) -> Iterator[tuple[str, list[Cell]]]:
    """What is left to do, as (data set, cells): all closed-form cells of a term and a clock together, since they share
    a fit; each neural cell alone, since it is a fit. An empty list of cells asks for the curves' likelihoods."""
    for name in names:
        if not curves_file(folder, plan, name).exists():
            yield name, []
        together: dict[tuple[str, str], list[Cell]] = {}
        for cell in plan.cells(name):
            if cell.term not in terms or cell.file(folder, plan).exists():
                continue
            alone = "" if closed(plan.term(cell.term)) else f"{cell.family}-{cell.seed}"
            together.setdefault((cell.term, cell.clock + alone), []).append(cell)
        yield from ((name, cells) for cells in together.values())


@ray.remote(num_cpus=1)
def work(plan: Plan, name: str, cells: list[Cell], folder: Path) -> int:
    """Do a task, each cell written as soon as it is measured."""
    import torch

    torch.set_num_threads(1)  # more threads than CPUs stall each other
    bench = Bench(plan, name)
    if not cells:
        save(curves_file(folder, plan, name), bench.curves(), bench.stages["test"].users.astype(float))
    for cell in cells:
        started = time.monotonic()
        about, values = bench.measure(cell)
        save(cell.file(folder, plan), {**about, "seconds": time.monotonic() - started}, values)
    return max(len(cells), 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("plan", type=Path, help="the table's file")
    parser.add_argument("--only", default="", help="data sets, with commas between them; all by default")
    parser.add_argument("--terms", default="", help="terms, with commas between them; all by default")
    parser.add_argument(
        "--out", type=Path, default=None, help="the page; docs/<name of the plan>.md by default"
    )
    parser.add_argument(
        "--page", action="store_true", help="write the page of what is there, measure nothing"
    )
    asked = parser.parse_args()
    plan = Plan.read(asked.plan)
    names = asked.only.split(",") if asked.only else list(plan.data)
    terms = asked.terms.split(",") if asked.terms else [term.label for term in plan.terms]
    for option, asked_for, known in (
        ("--only", names, list(plan.data)),
        ("--terms", terms, [term.label for term in plan.terms]),
    ):
        if unknown := set(asked_for) - set(known):
            parser.error(
                f"`{option}` must be among {', '.join(known)}, but got {', '.join(sorted(unknown))}."
            )
    folder = FOLDER.absolute()
    failed = 0 if asked.page else measured(plan, names, terms, folder)
    command = f"python -m benchmarks.forgetting_table {asked.plan}"
    results = {name: published(asked.plan.stem, plan, name, folder, command) for name in plan.data}
    out = asked.out or Path("docs") / f"{asked.plan.stem}.md"
    write(out, asked.plan, plan, results)
    print(f"written: {out}")
    sys.exit(1 if failed else 0)


def published(stem: str, plan: Plan, name: str, folder: Path, command: str) -> Results:
    """What is known of a data set, with what this checkout has measured of it."""
    results = Results.of(stem, name)
    curves = curves_file(folder, plan, name)
    if curves.exists():
        judged, users = read(curves)
        results.judged(judged, command)
        files = {cell: cell.file(folder, plan) for cell in plan.cells(name)}
        done = {cell: read(file) for cell, file in files.items() if file.exists()}
        results.take(done, users, command)
        results.save()
    return results


def measured(plan: Plan, names: list[str], terms: list[str], folder: Path) -> int:
    """Do all that is left; the number of tasks that failed."""
    todo = list(tasks(plan, names, terms, folder))
    if not todo:
        return 0
    cluster.connect()
    waiting = {work.remote(plan, name, cells, folder): (name, cells) for name, cells in todo}
    started, failed, done = time.monotonic(), 0, 0
    while waiting:
        [ready], _ = ray.wait(list(waiting), num_returns=1)
        name, cells = waiting.pop(ready)
        what = f"{name} {cells[0].term} {cells[0].clock}" if cells else f"{name} curves"
        done += 1
        try:
            ray.get(ready)
            print(
                f"{done}/{len(todo)} {what}, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True
            )
        except ray.exceptions.RayError as error:
            failed += 1
            print(f"{what} failed: {json.dumps(str(error).strip().splitlines()[-1])}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    main()
