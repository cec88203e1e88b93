"""How fast Lethe's networks train and answer, beside the fastest peers, on the same events and queries in one run.

`python -m benchmarks.training_speed [CONFIG] [--set a.b=c …] [--epochs 10]` needs the environment of RecTools
(`make rivals`) and writes `benchmarks/training_speed.md`.

All train on the validation stage of CONFIG, films by default, with one thread: a transformer of the same size (d = 64,
2 blocks, 2 heads, length 100, full softmax), each through its own code, for so many epochs. CPU seconds are those of
the training alone. An event counts once an epoch, however often a library reads it.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # of both sides, before any library reads it

import argparse
import platform
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.rivals.libraries import MODELS, ListScorer, run
from benchmarks.rivals.measure import say, values
from harness.settings import load
from harness.stage import Stage
from harness.steps.workshop import Workshop
from trainers.encoders import Neural
from trainers.fitting.fits import fit_neural
from trainers.model import Model, ModelSettings

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "configs" / "movielens-100k.yaml"
TRANSFORMER = {
    "kind": "transformer",
    "dim": 64,
    "blocks": 2,
    "heads": 2,
    "max_history": 100,
    "forgetting": {"family": "none"},
}
TRAINING = {"rate": 0.015, "schedule": "linear", "warmup": 30, "batch": 2048, "average": 0.98, "overlap": 0}
PEERS = ("SASRec (RecTools)", "HSTU (RecTools)")
PEERS_BATCH = 64  # windows a step: smaller steps learn more an epoch, and are slower
ROUNDS = 5  # of the answers, the median counts


class Timed(NamedTuple):
    """A training: its name, events a CPU second, NDCG@10 on validation."""

    name: str
    speed: float
    ndcg: float


def ours(kind: dict[str, object], stage: Stage, epochs: int) -> tuple[Timed, Model]:
    """A term of Lethe, trained for so many epochs, the first of which, with its start, is not counted."""
    training = {**TRAINING, "epochs": epochs}
    settings = ModelSettings.model_validate({"terms": [{**kind, "training": training}]})
    [term] = settings.terms
    taken = []
    for so_many in (1, epochs):
        before = time.process_time()
        encoder, _ = fit_neural(term, stage.training, repeats=stage.repeats, epochs=so_many)
        taken.append(time.process_time() - before)
    speed = (epochs - 1) * len(stage.training.rows) / (taken[1] - taken[0])
    model = Model(settings, [encoder], encoder.items)
    return Timed(f"Lethe `{term.kind}`", speed, float(values(stage, model).mean())), model


def theirs(name: str, stage: Stage, epochs: int) -> Timed:
    """A library's model, trained for so many epochs, the first of which, with its start, is not counted."""
    library = MODELS[name].asked(None, None, PEERS_BATCH)
    with tempfile.TemporaryDirectory() as folder:
        made = run(library, stage, Path(folder), "timed", (1, epochs), 0)
    speed = (epochs - 1) * len(stage.training.rows) / float(made["spent"][1])
    lists = ListScorer(made["lists"][1], len(stage.split.catalogue))
    return Timed(name, speed, float(values(stage, lists).mean()))


def answers(model: Model, stage: Stage) -> float:
    """Queries a CPU second that a fitted network scores over the whole catalogue, from their histories."""
    encoder = model.encoders[0]
    assert isinstance(encoder, Neural)
    histories = stage.histories(slice(0, len(stage.queries)))
    taken = []
    for _ in range(ROUNDS):
        before = time.process_time()
        encoder.score(histories)
        taken.append(time.process_time() - before)
    return len(histories) / sorted(taken)[ROUNDS // 2]


def page(found: list[Timed], answered: dict[str, float], stage: Stage, config: str, epochs: int) -> str:
    lines = [
        "# Training and answering, beside the fastest peers",
        "",
        f"`python -m benchmarks.training_speed {config}`, {epochs} epochs each, the first of which, with the start,"
        " is not timed; one thread, in one run.",
        f"{len(stage.training.rows):,} training events, {len(stage.split.catalogue):,} items,"
        f" {len(stage.queries):,} queries.",
        "",
        "| model | events a CPU second | Lethe's transformer is faster by | NDCG@10 on validation |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {each.name} | {each.speed:,.0f} | {found[0].speed / each.speed:.1f} | {each.ndcg:.4f} |"
        for each in found
    ]
    lines += ["", "| network | queries a second and core, whole catalogue |", "| --- | --- |"]
    lines += [f"| `{kind}` | {speed:,.0f} |" for kind, speed in answered.items()]
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy"))
    lines += [
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}, {versions}; "
        "RecTools 0.19.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config", type=Path, nargs="?", default=CONFIG)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--epochs", type=int, default=10)
    asked = parser.parse_args()
    if asked.epochs < 2:
        parser.error(f"`--epochs` must be at least 2, but got {asked.epochs}.")
    torch.set_num_threads(1)
    stage = Workshop.open(load(asked.config, asked.set)).val
    found, answered = [], {}
    kinds: tuple[dict[str, object], ...] = (TRANSFORMER, {"kind": "recurrent"})
    for kind in kinds:
        timed, model = ours(kind, stage, asked.epochs)
        say(f"  {timed.name}: {timed.speed:,.0f} events a CPU second, NDCG@10 {timed.ndcg:.4f}")
        found.append(timed)
        answered[str(kind["kind"])] = answers(model, stage)
    for name in PEERS:
        found.append(theirs(name, stage, asked.epochs))
        say(f"  {name}: {found[-1].speed:,.0f} events a CPU second, NDCG@10 {found[-1].ndcg:.4f}")
    text = page(found, answered, stage, f"configs/{asked.config.name}", asked.epochs)
    (ROOT / "benchmarks" / "training_speed.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
