"""A cell of the forgetting table, measured on a small log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.forgetting_table.measure import Bench, read, save
from benchmarks.forgetting_table.plan import NONE, Cell, Plan
from tests.trainers.simulate import curve, simulated
from trainers.log import DAY

CURVE = "mixture", "both"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("table")
    log = simulated(curve("exponential", half_life=7.0), users=40, moments=20, items=30, own=0.9, seed=3)
    columns = {
        "user_id": log.users_of(np.arange(len(log.items))),
        "item_id": log.items,
        "timestamp": log.times + 400 * DAY,
    }
    pd.DataFrame(columns).to_csv(folder / "events.csv", index=False)
    (folder / "small.yaml").write_text(
        "data:\n  events: events.csv\n  columns: {user: user_id, item: item_id, time: timestamp}\n  repeats: true\n"
        f"  store: {folder / 'store'}\nmodel: {{terms: [{{kind: trend}}]}}\n"
    )
    (folder / "table.yaml").write_text(
        "data: {small: {config: small.yaml}}\ntrials: 2\nsample: 100\ncurves: {families: [exponential, mixture]}\n"
        "terms: [{kind: own}, {kind: mlp, dim: 4, hidden: 4, training: {epochs: 6, rate: 0.03, batch: 64}}]\n"
    )
    return Bench(Plan.read(folder / "table.yaml"), "small")


def test_a_network_starts_from_the_curve_that_likelihood_fits(bench: Bench, tmp_path: Path) -> None:
    judged = bench.curves()
    assert set(judged["standings"]) >= {NONE, "mixture/both", "exponential/time"}
    about, values = bench.measure(Cell("small", "mlp", *CURVE, 0))
    assert about["curve"] == judged["standings"]["mixture/both"]["curve"]
    assert about["epochs"] > 0
    assert len(values) == len(bench.stages["test"].queries)
    save(tmp_path / "cell.npz", about, values)
    found, same = read(tmp_path / "cell.npz")
    assert found == about
    assert same.tolist() == values.tolist()


def test_the_control_forgets_nothing(bench: Bench) -> None:
    about, values = bench.measure(Cell("small", "mlp", NONE, "time", 0))
    assert about["curve"] == {"family": NONE}
    _, forgetting = bench.measure(Cell("small", "mlp", *CURVE, 0))
    assert values.tolist() != forgetting.tolist()


def test_a_closed_form_is_searched_and_keeps_its_best(bench: Bench) -> None:
    about, _ = bench.measure(Cell("small", "own", "exponential", "time", 0))
    assert about["trials"] == bench.plan.trials
    assert about["curve"]["family"] == "exponential"
    control, _ = bench.measure(Cell("small", "own", NONE, "time", 0))
    assert control["trials"] == 1
    assert about["validation"] > control["validation"]
