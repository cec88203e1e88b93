"""How a rival is measured: chosen on validation, read once on test, found again; lists are scored as they stand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import evaluators
from benchmarks.rivals import libraries, measure, table
from benchmarks.rivals.base import Rival, Scores, profile
from benchmarks.rivals.grids import Steps
from benchmarks.rivals.libraries import Library, ListScorer, hand_over
from benchmarks.rivals.measure import METRIC, Book, RivalScorer, chosen, measured, values
from harness.data import DataSettings, Store, prepare
from harness.splits import SplitSettings
from harness.stage import Stage
from trainers.histories import Histories
from trainers.log import TrainingData


@dataclass
class Recent(Rival):
    """The last items first, if `sign` is 1."""

    fitted_by: ClassVar[tuple[str, ...]] = ("shift",)
    fits: ClassVar[list[float]] = []

    sign: float = -1.0
    shift: float = 0.0

    def fit(self, training: TrainingData) -> None:
        self.fits.append(training.end)

    def score(self, histories: Histories) -> Scores:
        scores: Scores = profile(histories, self.sign * 0.5**histories.days).toarray()
        return scores + self.shift


@dataclass
class Given:
    scores: Scores

    def score(self, index: slice) -> Scores:
        return self.scores[index]


STEPS: Steps = [("sign", [-1.0, 1.0]), ("shift", [0.0, 1.0])]


@pytest.fixture
def store(small_log: Path, tmp_path: Path) -> Store:
    return prepare(DataSettings(events=str(small_log), store=str(tmp_path / "store"), repeats=True))


@pytest.fixture
def val(store: Store) -> Stage:
    return Stage.of(store, SplitSettings(), "val", True)


@pytest.fixture
def test(store: Store) -> Stage:
    return Stage.of(store, SplitSettings(), "test", True)


def quiet(_: str) -> None:
    pass


def test_settings_are_what_validation_prefers(val: Stage) -> None:
    settings, tried = chosen(Recent, STEPS, val, quiet)
    assert settings == {"sign": 1.0, "shift": 0.0}  # `shift` changes nothing, and what is there wins a tie
    assert [trial["settings"]["sign"] for trial in tried] == [-1.0, 1.0, 1.0]
    assert tried[1]["val"] == pytest.approx(values(val, RivalScorer(val, Recent(sign=1.0))).mean())


def test_a_search_fits_before_the_validation_cut_and_test_is_fitted_once(val: Stage, test: Stage) -> None:
    Recent.fits.clear()
    entry, ndcg = measured(Recent, STEPS, val, test)
    assert Recent.fits == [val.training.end, val.training.end, test.training.end]
    assert entry["settings"]["sign"] == 1.0
    assert np.array_equal(ndcg, values(test, RivalScorer(test, Recent(sign=1.0))))


def test_what_is_measured_is_found_and_compared(
    test: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results")
    book = Book("tiny", test, tmp_path / "values")
    ndcg = values(test, RivalScorer(test, Recent(sign=1.0)))
    book.write("Recent", book.key(1), {"settings": {}}, ndcg)
    again = Book("tiny", test, tmp_path / "values")
    found = again.found("Recent", again.key(1))
    assert found is not None
    assert np.array_equal(found, ndcg)
    assert again.found("Recent", again.key(2)) is None
    again.model("itself", ndcg)
    again.compare("Recent", ndcg)
    read = json.loads(again.path.read_text())
    assert read["rivals"]["Recent"]["test"] == evaluators.interval(ndcg, test.users).to_dict()
    assert read["rivals"]["Recent"]["lethe minus rival"]["difference"] == 0
    Book("tiny", test, tmp_path / "values").write("Other", again.key(2), {"settings": {}}, ndcg)
    assert "| Lethe − Recent | +0.0000 [+0.0000, +0.0000] |" in table.markdown([again.path])


def test_lists_rank_as_the_scores_that_made_them(test: Stage) -> None:
    scores = np.random.default_rng(0).normal(size=(len(test.queries), len(test.split.catalogue)))  # no ties
    whole = test.evaluate(Given(scores), (METRIC,), ())
    lists = evaluators.top(scores, 10)
    assert np.allclose(values(test, ListScorer(lists, len(test.split.catalogue))), whole.values[METRIC])


def test_a_hand_over_tells_only_the_past(test: Stage, tmp_path: Path) -> None:
    hand_over(test, tmp_path / "given.npz")
    given = np.load(tmp_path / "given.npz")
    assert given["time"].max() < test.split.start
    assert set(given.files) == {
        "user", "item", "time", "history_offsets", "history_item", "history_time", "query_time", "items", "repeats",
    }  # fmt: skip
    query = np.repeat(np.arange(len(test.queries)), np.diff(given["history_offsets"]))
    assert (given["history_time"] < given["query_time"][query]).all()
    histories = test.histories(slice(0, len(test.queries)))
    assert np.array_equal(given["history_item"], histories.columns)
    assert np.array_equal(given["history_offsets"], histories.offsets)


def test_a_library_without_its_environment_is_left_out(
    val: Stage,
    test: Stage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(libraries, "ENVIRONMENTS", tmp_path)
    book = Book("tiny", test, tmp_path / "values")
    libraries.measure("SASRec (RecTools)", libraries.MODELS["SASRec (RecTools)"], book, val, test, 1)
    assert "left out" in capsys.readouterr().err
    assert not book.entries


@pytest.mark.parametrize("name", libraries.MODELS)
def test_a_library_takes_other_epochs_a_shorter_history_and_smaller_steps(name: str) -> None:
    library = libraries.MODELS[name]
    assert library.asked(None, None, None) == library
    other = library.asked((1, 2), 32, 8)
    assert other.epochs == (1, 2)
    changed = {key: value for key, value in other.settings.items() if value != library.settings[key]}
    if "RecTools" in name:
        assert changed == {"session_max_len": 32, "batch_size": 8}
    else:
        assert changed == {"MAX_ITEM_LIST_LENGTH": 32, "train_batch_size": 8}


def test_every_library_has_its_script_and_its_requirements() -> None:
    for library in libraries.MODELS.values():
        assert isinstance(library, Library)
        assert library.script.exists()
        assert (libraries.HERE / f"requirements-{library.environment}.txt").exists()
