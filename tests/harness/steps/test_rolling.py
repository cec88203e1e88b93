"""`split.protocol: rolling`: a model before each cut, and what its age costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.commands.evaluating import evaluate_configuration
from harness.registry.registry import Registry
from harness.report import rolling as report
from harness.report.blocks import Table
from harness.settings import load
from harness.stage import ModelScorer
from harness.steps.rolling import OlderScorer
from harness.steps.workshop import Workshop
from tests.harness.conftest import Command, run_main

DAY = 86_400


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everybody wants what is new: of 60 items, item d is taken from day d on, by half of all within a day or two."""
    random = np.random.default_rng(0)
    rows = []
    for day in range(60):
        for user in random.choice(80, 25, replace=False):
            item = max(0, day - int(random.geometric(0.5)))
            rows.append((f"u{user}", f"i{item}", 1_577_836_800 + day * DAY + int(random.integers(0, DAY))))
    path = tmp_path_factory.mktemp("drifting") / "events.csv"
    pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).to_csv(path, index=False)
    return path


def configuration(folder: Path, events: Path, **split: Any) -> str:
    tree = {
        "data": {"events": str(events), "repeats": True, "store": str(events.parent / "store")},
        "split": {"cuts": [0.5, 0.6], **split},
        "model": {"terms": [{"kind": "trend", "forgetting": {"family": "exponential", "half_life": 1}}]},
        "evaluate": {"k": [5]},
        "registry": {"name": "rolled"},
    }
    path = folder / "rolled.yaml"
    path.write_text(json.dumps(tree))
    return str(path)


def test_where_tastes_move_an_older_model_is_worse_on_the_same_queries(work: Path, drifting: Path) -> None:
    settings = load(configuration(work, drifting, protocol="rolling", periods=4))
    told = evaluate_configuration(settings, "test", None)
    rolling = told["rolling"]
    assert (told["protocol"], rolling["refit"], rolling["metric"]) == ("rolling", True, "ndcg@5")
    cuts = rolling["cuts"]
    assert len(cuts) == 4
    assert [cut["stop"] for cut in cuts[:-1]] == [cut["start"] for cut in cuts[1:]]
    assert cuts[-1]["stop"] is None
    assert [cut["catalogue"] for cut in cuts] == sorted(cut["catalogue"] for cut in cuts)
    assert not any(cut["leaks"] for cut in cuts)
    assert all(0 < cut["age_days"] < 10 for cut in cuts)
    trend = rolling["trend"]
    assert trend["same_queries"] is True
    assert trend["slope"]["high"] < 0
    assert "ndcg@5 falls: -" in trend["sentence"]
    assert [each["periods"] for each in trend["by_age"]] == [1, 2, 3]
    assert all(each["high"] < 0 for each in trend["by_age"])
    assert [each["queries"] for each in trend["by_age"]] == np.cumsum(
        [cut["queries"] for cut in cuts[:0:-1]]
    ).tolist()[::-1]


def test_fitted_once_it_answers_the_same_queries_and_grows_old(work: Path, drifting: Path) -> None:
    refitted, once = (
        evaluate_configuration(
            load(configuration(work, drifting, protocol="rolling", periods=3, refit=refit)), "test", None
        )["rolling"]
        for refit in (True, False)
    )
    assert once["refit"] is False
    assert [cut["queries"] for cut in once["cuts"]] == [cut["queries"] for cut in refitted["cuts"]]
    assert once["cuts"][0]["metrics"] == refitted["cuts"][0]["metrics"]
    assert once["cuts"][2]["metrics"]["ndcg@5"]["mean"] < refitted["cuts"][2]["metrics"]["ndcg@5"]["mean"]
    assert once["metrics"]["ndcg@5"]["high"] < refitted["metrics"]["ndcg@5"]["low"]
    ages = [cut["age_days"] for cut in once["cuts"]]
    assert ages == sorted(ages)
    assert ages[2] > 10
    assert (once["trend"]["by_age"], once["trend"]["same_queries"]) == ([], False)
    assert "what changed in the world meanwhile counts too" in once["trend"]["sentence"]


def test_decisions_and_figures_are_those_of_the_single_cut(work: Path, drifting: Path) -> None:
    """Rolling adds to what is told; what is chosen by, and judged on, stays."""
    for stage in ("val", "test"):
        single = evaluate_configuration(load(configuration(work, drifting)), stage, None)
        rolled = evaluate_configuration(load(configuration(work, drifting, protocol="rolling")), stage, None)
        assert rolled["metrics"] == single["metrics"]
        assert rolled["segments"] == single["segments"]
        assert {key for key in rolled if key not in single} == {"rolling"}


def test_every_period_is_measured_as_the_whole(work: Path, drifting: Path) -> None:
    """What a metric needs of the configuration is there at each cut."""
    changes = ["evaluate.metrics=[ndcg, staleness]", "evaluate.half_life=2"]
    settings = load(configuration(work, drifting, protocol="rolling", periods=2), changes)
    told = evaluate_configuration(settings, "test", None)
    for cut in told["rolling"]["cuts"]:
        assert cut["metrics"].keys() == told["metrics"].keys() == {"ndcg@5", "staleness@5"}
        assert 0 <= cut["metrics"]["staleness@5"]["mean"] <= 1


def test_one_period_is_the_single_cut(work: Path, drifting: Path) -> None:
    told = evaluate_configuration(
        load(configuration(work, drifting, protocol="rolling", periods=1)), "test", None
    )
    (cut,) = told["rolling"]["cuts"]
    assert cut["metrics"] == told["metrics"]
    assert cut["queries"] == told["queries"]
    assert told["rolling"]["refit"] is False


def test_an_older_model_asked_in_its_own_catalogue_is_the_model(work: Path, drifting: Path) -> None:
    workshop = Workshop.open(load(configuration(work, drifting, protocol="rolling", periods=2)))
    first, second = workshop.rolls("test")
    model = workshop.described("test")
    block = slice(0, 20)
    same = OlderScorer(first, first, model).score(block)
    assert np.array_equal(same, ModelScorer(first, model).score(block))
    later = OlderScorer(second, first, model).score(block)
    new = ~np.isin(second.split.catalogue, first.split.catalogue)
    assert new.any()
    assert np.isneginf(later[:, new]).all()
    assert np.isfinite(later[:, ~new]).all()


def test_a_neural_term_trains_as_long_before_each_cut_as_validation_found_best(
    work: Path, drifting: Path
) -> None:
    mlp = "{kind: mlp, dim: 8, hidden: 16, training: {epochs: 3, rate: 0.01}}"
    path = configuration(work, drifting, protocol="rolling", periods=2)
    evaluate_configuration(load(path, [f"model.terms=[{mlp}]"]), "test", None)
    (found,) = work.glob(".lethe/runs/*/fit-val-*/fit.json")
    (later,) = work.glob(".lethe/runs/*/fit-test-1-*/fit.json")
    best = json.loads(found.read_text())[0]["curve"]["best_epoch"]
    curve = json.loads(later.read_text())[0]["curve"]
    assert (len(curve["loss"]), curve["validation"]) == (best, [])


def test_a_run_tells_it_and_a_version_is_rolled(
    work: Path, drifting: Path, lethe: Command, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = {"sentence": "Not measured.", "chosen": None, "pays": None, "half_life": None}
    monkeypatch.setattr("harness.story.run.fading", lambda workshop: unknown)  # most of a small run's time
    path = configuration(work, drifting, protocol="rolling", periods=3)
    result = run_main(path)
    rolling = result["evaluation"]["rolling"]
    assert rolling["trend"]["slope"]["high"] < 0
    (file,) = work.glob(".lethe/runs/*/told-*/story.json")
    assert json.loads(file.read_text())["evaluation"]["rolling"] == rolling
    (version,) = Registry("rolled").versions()
    assert rolling["trend"]["sentence"] in version.description
    said = lethe("evaluate", path, "--model", "candidate", "--json")
    assert said.code == 0
    assert said.json["rolling"]["refit"] is False
    for name, figure in rolling["cuts"][0]["metrics"].items():
        assert said.json["rolling"]["cuts"][0]["metrics"][name] == pytest.approx(figure)
    once = evaluate_configuration(load(path, ["split.refit=false"]), "test", None)["rolling"]
    for mine, theirs in zip(said.json["rolling"]["cuts"], once["cuts"], strict=True):
        assert mine["age_days"] == theirs["age_days"]
    assert said.json["rolling"]["trend"]["slope"] == pytest.approx(once["trend"]["slope"])


def test_all_figures_of_a_run_have_the_intervals_that_are_asked_for(
    work: Path, drifting: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`robust` ones lie evenly about their figure, drawn ones do not."""
    unknown = {"sentence": "Not measured.", "chosen": None, "pays": None, "half_life": None}
    monkeypatch.setattr("harness.story.run.fading", lambda workshop: unknown)
    path = configuration(work, drifting, protocol="rolling", periods=2)
    run_main(path, "evaluate.interval=robust")
    (file,) = work.glob(".lethe/runs/*/told-*/story.json")
    story = json.loads(file.read_text())
    rolling, ndcg = story["evaluation"]["rolling"], "ndcg@5"
    assert story["models"]["candidate"] == story["evaluation"]["metrics"]
    assert rolling["cuts"][0]["metrics"] == story["evaluation"]["metrics"]
    cells = [story["models"]["trend"][ndcg], rolling["metrics"][ndcg], *rolling["trend"]["by_age"]]
    cells += [entry[ndcg] for entry in story["comparisons"]]
    for cell in cells:
        middle = cell["difference"] if "difference" in cell else cell["mean"]
        assert cell["high"] - middle == pytest.approx(middle - cell["low"], abs=1e-12)
    (version,) = Registry("rolled").versions()
    assert "robust to clusters of users" in version.description


def test_it_is_shown_in_the_terminal_and_in_the_report(work: Path, drifting: Path, lethe: Command) -> None:
    path = configuration(work, drifting, protocol="rolling", periods=3)
    said = lethe("evaluate", path)
    assert "ndcg@5 falls: -" in said.out.replace("\n", " ")
    assert "over the freshest" in said.out
    story = {"evaluation": evaluate_configuration(load(path), "test", None), "metric": "ndcg@5"}
    section = report.section(story)
    assert section is not None
    tables = [cell for block in section.blocks for cell in getattr(block, "cells", [block])]
    rows = {table.caption: table.rows for table in tables if isinstance(table, Table)}
    assert [row[0] for row in rows["What age costs"]] == ["1 period", "2 periods"]
    assert {row[-1] for row in rows["What age costs"]} == {"worse"}
    assert len(rows["Each period"]) == 3
    assert list(report.figures(story)) == ["rolling"]
    assert report.section({"evaluation": {}}) is None
