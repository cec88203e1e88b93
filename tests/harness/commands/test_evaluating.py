"""`lethe evaluate` against figures that were measured apart, with a protocol written apart."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from harness.commands.evaluating import evaluate_configuration
from harness.settings import RunSettings, load
from harness.stage import Stage
from tests.conftest import RETAIL

NONE = {"family": "none"}
HALF = {"family": "power", "clock": "time", "tau": 7, "exponent": 0.5}
MOVIELENS = os.environ.get("LETHE_MOVIELENS", "")
KEYS = {"protocol", "stage", "queries", "users", "catalogue", "metrics", "segments", "audit"}


def described(folder: Path, data: dict[str, Any], terms: list[dict[str, Any]], **more: Any) -> RunSettings:
    """A configuration file of some terms, read."""
    tree = {"evaluate": {"k": [10]}, "data": data, "model": {"terms": terms}, **more}
    path = folder / "described.yaml"
    path.write_text(json.dumps(tree))  # JSON is YAML
    return load(path)


def ease(forgetting: dict[str, Any] = NONE) -> dict[str, Any]:
    return {"kind": "linear", "variant": "ease", "l2": 500, "forgetting": forgetting}


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        pytest.param([{"kind": "trend"}], 0.0600, id="popularity"),
        pytest.param([{"kind": "own"}, {"kind": "trend", "weight": 1e-9}], 0.2815, id="own"),
        pytest.param([ease()], 0.1946, id="ease"),
        pytest.param([ease(HALF), {"kind": "own", "forgetting": HALF}], 0.2901, id="ease+own, power"),
    ],
)
def test_online_retail(work: Path, retail_store: str, terms: list[dict[str, Any]], expected: float) -> None:
    settings = described(work, {"events": str(RETAIL), "repeats": True, "store": retail_store}, terms)
    told = evaluate_configuration(settings, "test", None)
    assert told["metrics"]["ndcg@10"]["mean"] == pytest.approx(expected, abs=0.001)
    assert set(told) == KEYS
    assert (told["protocol"], told["stage"]) == ("successive", "test")
    assert not told["audit"]["leaks"]
    figure = told["metrics"]["ndcg@10"]
    assert figure["low"] < figure["mean"] < figure["high"]


@pytest.fixture(scope="module")
def retail_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where Online Retail is packed, once for all tests here."""
    return str(tmp_path_factory.mktemp("retail"))


@pytest.mark.skipif(not MOVIELENS, reason="LETHE_MOVIELENS must name an events.csv.gz of MovieLens-100K")
@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        pytest.param([{"kind": "trend"}], 0.0369, id="popularity"),
        pytest.param([ease()], 0.0787, id="ease"),
        pytest.param(
            [ease({"family": "geometric", "clock": "moments", "rate": 0.8})], 0.1239, id="ease, 0.8 a moment"
        ),
        pytest.param([ease({"family": "power", "tau": 0.01, "exponent": 2})], 0.1178, id="ease, power"),
    ],
)
def test_movielens(work: Path, terms: list[dict[str, Any]], expected: float) -> None:
    settings = described(work, {"events": MOVIELENS, "repeats": False}, terms)
    told = evaluate_configuration(settings, "test", None)
    assert told["metrics"]["ndcg@10"]["mean"] == pytest.approx(expected, abs=0.001)


def test_validation_is_another_period_and_touches_no_test_query(
    work: Path, small_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Stage] = []
    genuine = Stage.of.__func__  # type: ignore[attr-defined]

    def of(cls: type[Stage], *arguments: Any) -> Stage:
        made.append(genuine(cls, *arguments))
        return made[-1]

    monkeypatch.setattr(Stage, "of", classmethod(of))
    terms: list[dict[str, Any]] = [{"kind": "own", "forgetting": HALF}, {"kind": "trend", "weight": 1e-3}]
    settings = described(work, {"events": str(small_log), "repeats": True}, terms)
    val = evaluate_configuration(settings, "val", None)
    assert {stage.split.stage for stage in made} == {"val"}
    made.clear()
    test = evaluate_configuration(settings, "test", None)
    assert {stage.split.stage for stage in made} == {
        "test"
    }  # nothing neural: no epochs to find on validation
    assert (val["stage"], test["stage"]) == ("val", "test")
    assert val["metrics"] != test["metrics"]


def test_a_neural_term_trains_for_test_as_long_as_validation_found_best(work: Path, small_log: Path) -> None:
    mlp = {"kind": "mlp", "dim": 8, "hidden": 16, "training": {"epochs": 2, "rate": 0.01}}
    settings = described(work, {"events": str(small_log), "repeats": True}, [mlp])
    told = evaluate_configuration(settings, "test", None)
    assert 0 < told["metrics"]["ndcg@10"]["mean"] < 1
    (refit,) = work.glob(".lethe/runs/*/fit-test-*/fit.json")
    (found,) = work.glob(".lethe/runs/*/fit-val-*/fit.json")
    curve, refitted = (json.loads(file.read_text())[0]["curve"] for file in (found, refit))
    assert len(refitted["loss"]) == curve["best_epoch"] >= 1
    assert refitted["validation"] == []


def test_leave_one_out_is_told_to_leak(work: Path, small_log: Path) -> None:
    data = {"events": str(small_log), "repeats": True}
    settings = described(work, data, [{"kind": "trend"}], split={"protocol": "loo"})
    told = evaluate_configuration(settings, "test", None)
    assert told["protocol"] == "loo"
    assert told["audit"]["leaks"] is True
    assert told["queries"] == told["users"]


def test_each_metric_at_each_cut_off(work: Path, small_log: Path) -> None:
    data = {"events": str(small_log), "repeats": True}
    terms, split = [{"kind": "trend"}], {"cuts": [0.5, 0.6]}
    asked = {"k": [3, 6], "metrics": ["recall", "mrr"]}
    told, wide = (
        evaluate_configuration(
            described(work, data, terms, split=split, evaluate={**asked, "level": level}), "test", None
        )["metrics"]
        for level in (0.5, 0.95)
    )
    assert set(told) == {"recall@3", "recall@6", "mrr"}
    assert told["recall@3"]["mean"] < told["recall@6"]["mean"]
    assert told["mrr"]["high"] - told["mrr"]["low"] < wide["mrr"]["high"] - wide["mrr"]["low"]
