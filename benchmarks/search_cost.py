"""What a search costs: 48 trials, 48 under `none`, fit and evaluation, against three plain fits and evaluations of the
same model.

Run: make benchmarks (or python -m benchmarks.search_cost [--rounds 3]). Both sides run in this one process, in turn;
Ray is started before either is timed. The result is printed and written to `benchmarks/search_cost.md`.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.plain import fit_and_evaluate
from benchmarks.search_warprec import HEAD
from harness.settings import RunSettings, load
from harness.steps.workshop import Workshop
from trainers import cluster
from trainers.model import ModelSettings

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "configs" / "online-retail.yaml"
PLAIN = 3
PACKAGES = ("ray", "numpy", "scipy", "pandas", "optuna")


def searched(settings: RunSettings) -> tuple[float, ModelSettings, float]:
    """Prepare, pretrain, search, refit and evaluate in an empty folder: seconds, the model, its NDCG@10 on test."""
    started = time.monotonic()
    workshop = Workshop.open(settings)
    fits = workshop.pretrain()
    found, _ = workshop.search(fits)
    model = found.settings(found.ranking[0])
    (fitted,) = workshop.final([model], fits)
    evaluation = workshop.test.evaluate(fitted, ("ndcg@10",), ())
    figure = float(evaluation.values["ndcg@10"].mean())
    return time.monotonic() - started, model, figure


def plain(model: ModelSettings) -> tuple[float, float]:
    """Three fits and evaluations: seconds, and NDCG@10 on test."""
    started = time.monotonic()
    for _ in range(PLAIN):
        figure, _, _ = fit_and_evaluate(ROOT / "data" / "online-retail" / "events.csv.gz", model)
    return time.monotonic() - started, figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often both sides run")
    rounds = parser.parse_args().rounds
    settings = load(CONFIG)
    assert settings.search is not None
    cluster.connect()
    lines = []
    ratios = []
    for number in range(1, rounds + 1):
        folder = tempfile.mkdtemp()
        own = settings.model_copy(
            update={
                "work": f"{folder}/runs",
                "data": settings.data.model_copy(update={"store": f"{folder}/store"}),
            }
        )
        search_s, model, figure = searched(own)
        shutil.rmtree(folder)
        plain_s, reference = plain(model)
        if abs(figure - reference) > 1e-3:
            sys.exit(f"the two sides must agree, but NDCG@10 is {figure:.4f} and {reference:.4f}")
        ratios.append(search_s / plain_s)
        lines.append(
            f"| {number} | {search_s:.1f} | {plain_s:.1f} | {ratios[-1]:.2f} | {figure:.4f} | {reference:.4f} |"
        )
        print(lines[-1], flush=True)
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    text = f"""# What a search costs

`python -m benchmarks.search_cost --rounds {rounds}`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} CPUs
({platform.machine()}), Python {platform.python_version()}, {versions}.

Lethe: prepare, pretrain, {settings.search.trials} trials and as many under `none` with Ray Tune, refit and evaluation
with interval of `configs/{CONFIG.name}`, in an empty folder, without the start of Ray. Plain: {PLAIN} times
reading, splitting, fitting and evaluating the model that the search chose, with pandas, numpy and scipy in one process
(`benchmarks/plain.py`).

| round | Lethe, s | plain × {PLAIN}, s | ratio | NDCG@10 | plain NDCG@10 |
|---|---|---|---|---|---|
{chr(10).join(lines)}

Median ratio: **{statistics.median(ratios):.2f}**. The seconds are of a shared machine; the ratio is what to read.
"""
    page = ROOT / "benchmarks" / "search_cost.md"
    _, head, beside = page.read_text().partition(HEAD)  # what benchmarks/search_warprec.py measured stays
    page.write_text(text + head + beside)
    print(text)


if __name__ == "__main__":
    main()
