"""Measure rivals on the queries of a configuration.

`python -m benchmarks.rivals CONFIG [--set a.b=c …] [--only TALE,SLIST] [--search tau,l2] [--seeds 3]
[--epochs 5,10] [--length 50] [--batch 64] [--model CONFIG|version|values.npz]` writes
`benchmarks/results/rivals-<configuration>.json` and prints a table.

Settings are chosen on validation, test is read once; what is measured already is found. `--model` adds paired
differences: a configuration file on the same data, a version of the registered model, or an `.npz` with `ndcg`, a value
for each query of test.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.rivals import libraries, table
from benchmarks.rivals.base import Floats
from benchmarks.rivals.grids import RIVALS
from benchmarks.rivals.measure import Book, measured, say, values
from harness.settings import RunSettings, load
from harness.stage import Stage
from harness.steps.registered import foreign, registry_of, saw_test
from harness.steps.workshop import Workshop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--only", help="names, separated by commas; all by default")
    parser.add_argument(
        "--search", help="of closed forms, the settings to search; the others stay as they are"
    )
    parser.add_argument("--model", help="a configuration, a version, or an .npz with `ndcg`")
    parser.add_argument("--seeds", type=int, default=1, help="fits of each library model on test")
    parser.add_argument("--epochs", help="of library models, to choose from on validation, as in 5,10,20")
    parser.add_argument(
        "--length", type=int, help="of library models: the last events of a history they read"
    )
    parser.add_argument("--batch", type=int, help="of library models: rows of a training step")
    asked = parser.parse_args()
    epochs = tuple(int(epoch) for epoch in asked.epochs.split(",")) if asked.epochs else None
    settings = load(asked.config, asked.set)
    workshop = Workshop.open(settings)
    book = Book(asked.config.stem, workshop.test, Path(settings.work).parent / "rivals")
    everyone = [*RIVALS, *libraries.MODELS]
    names = asked.only.split(",") if asked.only else everyone
    if unknown := set(names) - set(everyone):
        parser.error(
            f"`--only` must name rivals among {', '.join(everyone)}, but got {', '.join(sorted(unknown))}."
        )
    for name in names:
        if name in RIVALS:
            rival, steps = RIVALS[name]
            if asked.search:
                steps = [step for step in steps if step[0] in asked.search.split(",")]
            key = book.key([name, rival().settings(), steps])
            if book.found(name, key) is None:
                say(f"{name}:")
                book.write(name, key, *measured(rival, steps, workshop.val, workshop.test))
        else:
            library = libraries.MODELS[name].asked(epochs, asked.length, asked.batch)
            libraries.measure(name, library, book, workshop.val, workshop.test, asked.seeds)
    if asked.model:
        ours = model_values(asked.model, settings, workshop.test, asked.set)
        book.model(asked.model, ours)
        for name in book.entries:
            book.compare(name, ours)
    print(table.markdown([book.path]))


def model_values(model: str, settings: RunSettings, test: Stage, changes: list[str]) -> Floats:
    """[Q] NDCG@10 of Lethe's model on test."""
    if model.endswith(".npz"):
        ours: Floats = np.load(model)["ndcg"]
        if len(ours) != len(test.queries):
            raise SystemExit(f"`--model`: `ndcg` must have {len(test.queries)} values, but has {len(ours)}.")
        return ours
    if Path(model).suffix in (".yaml", ".yml"):
        theirs = load(model, changes)
        workshop = Workshop.open(theirs)
        same = workshop.store.fingerprint == test.store.fingerprint and theirs.data.repeats == test.repeats
        if not same or theirs.split != settings.split:
            raise SystemExit(
                f"`--model`: data and split must be those of the rivals, but those of {model} differ."
            )
        return values(test, workshop.described("test"))
    registry = registry_of(settings)
    package = registry.package(registry.find(model))
    if problem := saw_test(package, test, f"version {model}"):
        raise SystemExit(f"`--model`: {problem}.")
    return values(test, foreign(test, package))


if __name__ == "__main__":
    main()
