"""The A/B test of a run: what it knows of a user, and that every setting reaches it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import evaluators
from harness.experiments.replay import before_the_cut, replay
from harness.experiments.settings import AbSettings
from harness.report import experiment as report
from harness.report.blocks import Text
from harness.settings import load
from harness.stage import Stage
from harness.steps.workshop import Workshop
from tests.harness.conftest import run_main


@pytest.fixture
def stage(closed: Path) -> Stage:
    return Workshop.open(load(closed / "closed.yaml")).test


def evaluation(stage: Stage, seed: int) -> evaluators.Evaluation:
    scores = np.random.default_rng(seed).random((len(stage.queries), len(stage.split.catalogue)))
    blocks = [(slice(0, len(scores)), scores)]
    return evaluators.evaluate(
        blocks, stage.split.queries, evaluators.resolve(("ndcg", "recall"), (10,)), seen=stage.seen
    )


def test_what_was_known_before_the_cut_by_hand(stage: Stage) -> None:
    known = before_the_cut(stage)
    queries, store = stage.split.queries, stage.store
    assert known.shape == (len(queries), 3)
    for query in range(0, len(queries), 7):
        user = queries.user[query]
        rows = slice(store.offsets[user], store.offsets[user + 1])
        items = store.items[rows][store.times[rows] < stage.split.start]
        share = 1 - len(set(items.tolist())) / len(items) if len(items) else 0.0
        assert known[query] == pytest.approx([float(len(items) > 0), np.log1p(len(items)), share])


def test_every_part_is_there_and_every_setting_reaches_it(stage: Stage) -> None:
    a, b = evaluation(stage, 0), evaluation(stage, 1)
    plain = replay(stage, a, b, "ndcg@10", AbSettings(), 0.9)
    assert plain.level == 0.9
    assert plain.cuped is not None
    assert plain.ratio_sequential is not None
    assert plain.always is not None
    assert plain.always.days == 1 + int((queries_end(stage) - stage.split.queries.time.min()) // 86_400)
    other = replay(
        stage,
        a,
        b,
        "ndcg@10",
        AbSettings(cuped=False, power=0.9, tightest=0.2, guardrails={"recall@10": 0.5}),
        0.9,
    )
    assert other.cuped is None
    assert other.detectable > plain.detectable
    assert other.always is not None
    assert other.always.absolute.high > plain.always.absolute.high
    [rail] = other.guardrails
    assert (rail.metric, rail.margin, rail.held) == ("recall@10", 0.5, True)


def test_a_run_whose_arms_are_too_small_ends_all_the_same_and_says_why(
    closed: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = {"sentence": "Not measured.", "chosen": None, "pays": None, "half_life": None}
    monkeypatch.setattr("harness.story.run.fading", lambda workshop: unknown)
    result = run_main("closed.yaml", "ab.shares=[0.0001, 0.9999]")
    assert result["model"]["version"] == 1
    said = result["ab"]["sentence"]
    assert said.startswith(
        "No A/B test can be simulated on these queries: each arm must have at least 2 users"
    )
    assert report.ab(result).blocks == [Text(said, "note")]


def queries_end(stage: Stage) -> float:
    return float(stage.split.queries.time.max())
