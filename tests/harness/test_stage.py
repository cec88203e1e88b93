"""A stage: what may be fitted on, what is asked, and that the two never meet."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluators import METRICS, Intervals
from harness.data import DataError, Store
from harness.splits import SplitSettings
from harness.stage import ModelScorer, Stage, StageName
from tests.harness.conftest import with_arrays
from trainers.encoders.linear import Linear
from trainers.fitting.fits import fit_model
from trainers.log import PackedLog, TrainingData
from trainers.model import ModelSettings

LOO = SplitSettings(protocol="loo")
STAGES: tuple[StageName, ...] = ("val", "test")


def cut(store: Store, share: float) -> float:
    """The timestamp of the event at this share of the log in time order."""
    return float(np.sort(store.times)[int(len(store.times) * share)])


@pytest.mark.parametrize(("name", "share", "until"), [("val", 0.8, 0.9), ("test", 0.9, None)])
def test_training_ends_where_the_questions_begin(
    store: Store, name: str, share: float, until: float | None
) -> None:
    stage = Stage.of(store, SplitSettings(), name, True)  # type: ignore[arg-type]
    start = cut(store, share)
    assert stage.training.end < start <= stage.queries.time.min()
    if until is not None:
        assert stage.queries.time.max() < cut(store, until)
    trained = store.times[stage.training.rows]
    assert trained.max() == stage.training.end
    assert len(trained) == (store.times < start).sum()
    assert not stage.audit().leaks


@pytest.mark.parametrize("name", ["val", "test"])
@pytest.mark.parametrize("split", [SplitSettings(), LOO], ids=["successive", "loo"])
def test_training_is_a_prefix_of_every_user(store: Store, split: SplitSettings, name: str) -> None:
    stage = Stage.of(store, split, name, True)  # type: ignore[arg-type]
    assert np.array_equal(np.sort(stage.training.rows), np.flatnonzero(stage.split.train))
    for user in range(store.counts.users):
        mask = stage.split.train[store.offsets[user] : store.offsets[user + 1]]
        assert mask[: mask.sum()].all()


def test_histories_are_strictly_before_their_moment_and_may_reach_past_the_cut(store: Store) -> None:
    stage = Stage.of(store, SplitSettings(), "test", True)
    histories = stage.histories(slice(0, len(stage.queries)))
    assert histories.days.min() > 0
    assert (store.times[histories.rows] >= stage.split.start).any()


def test_groups_of_a_stage_are_those_of_the_log(grouped: Store) -> None:
    """From the file to the curve: what a row of the CSV says of its type, and the items file of its item."""
    stage = Stage.of(grouped, SplitSettings(), "test", True)
    histories = stage.histories(slice(0, len(stage.queries)))
    assert grouped.event_types.tolist() == ["buy", "view"]
    assert grouped.category_names.tolist() == ["cake", "milk", "tea"]
    assert np.array_equal(histories.groups("event_type"), grouped.types[histories.rows])
    assert np.array_equal(histories.groups("category"), grouped.category[grouped.items[histories.rows]])
    assert set(histories.groups("category").tolist()) == {-1, 0, 1, 2}
    assert np.array_equal(histories.users, stage.users)
    assert np.array_equal(histories.groups("user"), stage.users[histories.query])
    assert np.array_equal(histories.times, grouped.times[histories.rows])
    assert np.array_equal(histories.at, stage.queries.time)
    log = pd.read_csv(grouped.path.parents[1] / "events.csv")
    said = set(zip(log.user_id, log.item_id, log.timestamp, log.what, strict=True))
    columns = (
        grouped.users[histories.groups("user")],
        grouped.item_ids[stage.split.catalogue[histories.columns]],
        histories.times.astype(int).tolist(),
        grouped.event_types[histories.types],
    )
    assert set(zip(*columns, strict=True)) <= said


def test_workers_find_the_groups_too(grouped: Store) -> None:
    log = PackedLog.open(grouped.path, grouped.counts.items)
    assert np.array_equal(log.types, grouped.types)
    assert log.category is not None
    assert np.array_equal(log.category, grouped.category)


def test_leave_one_out_leaks_and_says_so(store: Store) -> None:
    """Its validation moments lie among its test moments, and so do the training events of others."""
    found = {name: {each.name for each in Stage.of(store, LOO, name, True).audit().leaks} for name in STAGES}
    assert found == {"val": {"leave_one_out"}, "test": {"leave_one_out", "validation_in_test"}}


def test_histories_are_kept_by_block(store: Store) -> None:
    stage = Stage.of(store, SplitSettings(), "val", True)
    first, again = stage.histories(slice(0, 10)), stage.histories(slice(0, 10))
    assert first is again
    other = stage.histories(slice(10, 20))
    assert not np.array_equal(first.rows, other.rows)


def test_training_is_written_once_and_read_back(store: Store, tmp_path: Path) -> None:
    stage = Stage.of(store, SplitSettings(), "val", True)
    stage.save_training(tmp_path, stage.queries)
    stamps = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    stage.save_training(tmp_path, stage.queries)
    assert {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == stamps
    again = TrainingData.open(PackedLog.open(store.path, store.counts.items), tmp_path)
    assert np.array_equal(again.rows, stage.training.rows)
    assert np.array_equal(again.catalogue, stage.split.catalogue)
    assert again.end == stage.training.end
    assert again.validation is not None
    assert np.array_equal(again.validation.time, stage.queries.time)


def test_training_that_was_not_written_whole_is_written_again(store: Store, tmp_path: Path) -> None:
    stage = Stage.of(store, SplitSettings(), "val", True)
    stage.save_training(tmp_path, None)
    (tmp_path / "end.npy").unlink()
    (tmp_path / "stop.npy").write_bytes(b"half")
    stage.save_training(tmp_path, None)
    again = TrainingData.open(PackedLog.open(store.path, store.counts.items), tmp_path)
    assert np.array_equal(again.stop, stage.training.stop)


def test_a_split_that_leaves_nothing_is_wrong_data(store: Store) -> None:
    with pytest.raises(DataError, match=r"^test: "):
        Stage.of(store, SplitSettings(cuts=(0.00001, 0.00002)), "test", True)


def test_without_repeats_the_seen_is_neither_shown_nor_asked(store: Store) -> None:
    stage = Stage.of(store, SplitSettings(), "test", False)
    model = fit_model(
        ModelSettings.model_validate({"terms": [{"kind": "own"}]}), stage.training, repeats=False
    )
    evaluation = stage.evaluate(model, ("ndcg@10",), ())
    histories = stage.histories(slice(0, len(stage.queries)))
    for query, shown in enumerate(evaluation.shown):
        seen = histories.columns[histories.offsets[query] : histories.offsets[query + 1]]
        assert not set(shown[shown >= 0].tolist()) & set(seen.tolist())
    assert Stage.of(store, SplitSettings(), "test", True).seen is None


def test_the_report_of_an_evaluation_counts_what_was_asked(store: Store) -> None:
    stage = Stage.of(store, SplitSettings(), "test", True)
    settings = ModelSettings.model_validate({"terms": [{"kind": "trend"}]})
    evaluation = stage.evaluate(fit_model(settings, stage.training, repeats=True), ("ndcg", "coverage"), (5,))
    told = stage.report(evaluation, Intervals())
    assert set(told) == {
        "protocol", "stage", "queries", "users", "catalogue", "metrics", "segments", "audit",
    }  # fmt: skip
    assert told["queries"] == len(stage.queries)
    assert told["users"] == len(np.unique(stage.users)) < told["queries"]
    assert told["catalogue"] == len(np.unique(store.items[store.times < stage.split.start]))
    assert set(told["metrics"]) == {"ndcg@5", "coverage@5"}
    figure = told["metrics"]["ndcg@5"]
    assert figure["low"] < figure["mean"] < figure["high"]


def test_every_metric_that_a_log_can_tell_is_told(grouped: Store) -> None:
    """Categories come from the item table, the half-life from the settings; the log has no weights, and says so."""
    stage = replace(Stage.of(grouped, SplitSettings(), "test", True), half_life=3.0)
    settings = ModelSettings.model_validate({"terms": [{"kind": "own"}, {"kind": "trend", "weight": 0.1}]})
    model = fit_model(settings, stage.training, repeats=True)
    told = tuple(n for n, kind in METRICS.items() if not kind.needs & {"weights", "embeddings"})
    evaluation = stage.evaluate(model, told, (5,))
    report = stage.report(evaluation, Intervals(n=50))
    assert len(report["metrics"]) == len(told) >= 24
    assert set(report["segments"]) == {
        "recency", "history", "cold", "adaptation", "novelty", "popularity", "category",
    }  # fmt: skip
    json.dumps(report, allow_nan=False)
    means = evaluation.means()
    assert 0 < means["staleness@5"] < 1
    assert 0 < means["diversity@5"] <= 1
    stricter = replace(stage, half_life=1e6).evaluate(model, ("staleness",), (5,))
    assert stricter.means()["staleness@5"] == 0
    with pytest.raises(DataError, match="`hit_rating@5` needs the weights or ratings of events"):
        stage.evaluate(model, ("hit_rating",), (5,))


def test_weights_of_the_log_are_gains(store: Store) -> None:
    weights = np.random.default_rng(0).integers(1, 6, len(store.items)).astype(np.float32)
    stage = Stage.of(with_arrays(store, weights=weights), SplitSettings(), "test", True)
    settings = ModelSettings.model_validate({"terms": [{"kind": "own"}]})
    model = fit_model(settings, stage.training, repeats=True)
    means = stage.evaluate(model, ("graded_ndcg", "hit_rating"), (5,)).means()
    assert 0 < means["graded_ndcg@5"] < 1
    assert 1 < means["hit_rating@5"] < 5


def test_scores_are_the_weighted_sum_of_the_terms(store: Store) -> None:
    stage = Stage.of(store, SplitSettings(), "val", True)
    terms = [{"kind": "own", "weight": 2.0}, {"kind": "linear", "l2": 50.0, "weight": 0.5}]
    model = fit_model(ModelSettings.model_validate({"terms": terms}), stage.training, repeats=True)
    assert isinstance(model.encoders[1], Linear)
    histories = stage.histories(slice(0, 9))
    profile = histories.profile(model.encoders[0].forgetting).toarray()
    assert np.allclose(
        ModelScorer(stage, model).score(slice(0, 9)),
        2.0 * profile + 0.5 * profile @ model.encoders[1].matrix,
        rtol=1e-5,
    )
