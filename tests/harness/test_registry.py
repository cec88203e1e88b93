"""The registry: one version a run, aliases, decisions, the way back, and a served model without a pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import yaml
from mlflow.exceptions import MlflowException

from harness.errors import ConfigurationError
from harness.package import Package
from harness.registry import CHAMPION, DECISION_TAG, PREVIOUS_TAG, RUN_TAG, Registry, connect, names

DECISION = {"promoted": True, "against": "none", "difference": 0.1, "reasons": ["it is better"]}


@pytest.fixture
def registry(work: Path) -> Registry:
    return Registry("shop")


def registered(registry: Registry, package: Package, *tokens: str) -> None:
    for token in tokens:
        with registry.run(token, f"run {token}") as run_id:
            registry.register(run_id, token, package, {"metrics": token})


def test_the_registry_is_where_the_environment_says(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert connect() == f"sqlite:///{work}/mlflow.db"
    assert mlflow.get_tracking_uri() == f"sqlite:///{work}/mlflow.db"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert connect() == "sqlite:///mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert connect() == "sqlite:///mlflow.db"


def test_by_default_it_lies_in_the_working_directory(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An `mlruns` folder would flip MLflow's own default, so none is made."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    registry = Registry("shop")
    with registry.run("a", "run a"):
        mlflow.log_text("hello", "hello.txt")
    assert [file.read_text() for file in (work / "mlartifacts" / "shop").rglob("hello.txt")] == ["hello"]
    assert not (work / "mlruns").exists()


def test_a_model_that_is_not_there_has_no_versions(registry: Registry) -> None:
    assert registry.versions() == []
    assert registry.aliased(CHAMPION) is None
    assert names() == []
    with pytest.raises(
        ConfigurationError, match="`shop` must have the version or alias '1', but it has none"
    ):
        registry.find("1")


def test_a_run_is_registered_once(registry: Registry, package: Package) -> None:
    registered(registry, package, "first", "first")
    (version,) = registry.versions()
    assert (version.version, version.aliases) == (1, ("candidate",))
    assert version.tags[RUN_TAG] == "first"
    assert version.tags["metrics"] == "first"
    (run,) = registry.client.search_runs([registry.client.get_experiment_by_name("shop").experiment_id])
    assert run.info.run_id == version.run_id
    assert names() == ["shop"]


def test_versions_come_newest_first_and_the_newest_is_candidate(registry: Registry, package: Package) -> None:
    registered(registry, package, "first", "second", "third")
    assert [(v.version, v.aliases) for v in registry.versions()] == [(3, ("candidate",)), (2, ()), (1, ())]
    assert registry.find("candidate").version == 3
    assert registry.find("2").version == registry.find("v2").version == 2


def test_what_is_not_found_is_answered_with_what_is_there(registry: Registry, package: Package) -> None:
    registered(registry, package, "first", "second")
    registry.promote(registry.find("1"), DECISION)
    with pytest.raises(ConfigurationError) as caught:
        registry.find("7")
    assert "'7', but it has 2 @candidate, 1 @champion at sqlite:///" in str(caught.value)


def test_a_promotion_stores_why_and_whom_it_replaced(registry: Registry, package: Package) -> None:
    registered(registry, package, "first", "second")
    registry.promote(registry.find("1"), DECISION)
    first = registry.find("champion")
    assert first.version == 1
    assert json.loads(first.tags[DECISION_TAG]) == DECISION
    assert PREVIOUS_TAG not in first.tags
    registry.promote(registry.find("2"), DECISION)
    second = registry.find("champion")
    assert (second.version, second.aliases) == (2, ("candidate", "champion"))
    assert second.tags[PREVIOUS_TAG] == "1"
    assert registry.find("1").aliases == ()


def test_promoting_the_champion_again_keeps_the_way_back(registry: Registry, package: Package) -> None:
    registered(registry, package, "first", "second")
    registry.promote(registry.find("1"), DECISION)
    registry.promote(registry.find("2"), DECISION)
    registry.promote(registry.find("2"), DECISION)
    assert registry.find("2").tags[PREVIOUS_TAG] == "1"


def test_a_decision_against_leaves_the_champion(registry: Registry, package: Package) -> None:
    registered(registry, package, "first")
    registry.note(registry.find("1"), {**DECISION, "promoted": False})
    assert registry.aliased(CHAMPION) is None
    assert json.loads(registry.find("1").tags[DECISION_TAG])["promoted"] is False


def test_rollback_goes_back_and_no_further(registry: Registry, package: Package) -> None:
    registered(registry, package, "first", "second")
    with pytest.raises(ConfigurationError, match="has no champion to roll back"):
        registry.rollback()
    registry.promote(registry.find("1"), DECISION)
    with pytest.raises(ConfigurationError, match="version 1 of `shop` replaced no champion"):
        registry.rollback()
    registry.promote(registry.find("2"), DECISION)
    was, now = registry.rollback()
    assert (was.version, now.version, now.aliases) == (2, 1, ("champion",))
    with pytest.raises(ConfigurationError, match="version 1 of `shop` replaced no champion"):
        registry.rollback()


def test_a_run_that_was_interrupted_is_taken_up_again(registry: Registry) -> None:
    with pytest.raises(RuntimeError, match="pulled the plug"), registry.run("a", "run a") as first:
        raise RuntimeError("pulled the plug")
    assert registry.client.get_run(first).info.status == "FAILED"
    with registry.run("a", "run a") as second:
        assert second == first
    assert registry.client.get_run(first).info.status == "FINISHED"
    with registry.run("b", "run b") as third:
        assert third != first


def test_logging_twice_doubles_nothing(registry: Registry) -> None:
    for _ in range(2):
        with registry.run("a", "run a") as run_id:
            registry.log(
                run_id, {"l2": 500, "cuts": (0.8, 0.9)}, {"ndcg_10": 0.5, "ndcg_10_low": 0.4}, {"x": "y"}
            )
    run = registry.client.get_run(run_id)
    assert run.data.metrics == {"ndcg_10": 0.5, "ndcg_10_low": 0.4}
    assert run.data.params == {"l2": "500", "cuts": "(0.8, 0.9)"}
    assert run.data.tags["x"] == "y"
    assert len(registry.client.get_metric_history(run_id, "ndcg_10")) == 1


def test_a_version_is_described(registry: Registry, package: Package) -> None:
    registered(registry, package, "first")
    registry.describe(registry.find("1"), "**Promoted** because")
    assert registry.find("1").description == "**Promoted** because"


def test_a_version_is_opened_as_it_was_registered(registry: Registry, package: Package) -> None:
    registered(registry, package, "first")
    again = registry.package(registry.find("1"))
    assert (again.items, again.about) == (package.items, package.about)
    histories = package.histories([(package.items[:2], [10.0, 20.0], None)], [86_400.0])
    assert again.model.score(histories).tolist() == package.model.score(histories).tolist()


def frame(package: Package) -> pd.DataFrame:
    now = package.about["trained_until"] + 86_400.0
    return pd.DataFrame(
        {
            "items": [package.items[:3], [], [package.items[4], "unheard of"]],
            "times": [[now - 9e5, now - 5e5, now - 1e5], [], [now - 4e4, now - 3e4]],
            "at": [now, now, now],
        }
    )


def test_the_served_model_answers_as_the_package(registry: Registry, package: Package) -> None:
    registered(registry, package, "first")
    served = mlflow.pyfunc.load_model("models:/shop/1")
    rows = frame(package)
    answer = served.predict(rows, params={"k": 3})
    histories = package.histories(
        [(i, t, None) for i, t in zip(rows["items"], rows["times"], strict=True)], rows["at"].tolist()
    )
    columns, scores = package.top(histories, 3)
    assert answer["items"].tolist() == [[package.items[c] for c in row] for row in columns]
    assert answer["scores"].tolist() == scores.tolist()
    assert [len(row) for row in served.predict(rows)["items"]] == [10, 10, 10]
    with_weights = rows.assign(weights=pd.Series([[1.0] * len(row) for row in rows["items"]]))
    assert served.predict(with_weights, params={"k": 3})["scores"].tolist() == scores.tolist()


def test_the_served_model_takes_event_types(registry: Registry, grouped_package: Package) -> None:
    registered(registry, grouped_package, "first")
    served = mlflow.pyfunc.load_model("models:/shop/1")
    rows = frame(grouped_package)
    plain = served.predict(rows, params={"k": 3})
    typed = rows.assign(types=pd.Series([["view", "buy", "buy"], [], ["view", "view"]]))
    assert served.predict(typed, params={"k": 3}).equals(plain)  # no curve of this model differs by type
    assert served.predict(typed.assign(types=pd.Series([None, [], ["buy", "view"]]))).shape == (3, 2)
    with pytest.raises((MlflowException, ValueError), match="row 2 has 'veiw'; the nearest is `view`"):
        served.predict(typed.assign(types=pd.Series([["view"] * 3, [], ["buy", "veiw"]])))


@pytest.mark.parametrize(
    ("change", "params", "message"),
    [
        ({"at": ["yesterday"] * 3}, {}, "Failed to convert column at|Incompatible input types"),
        ({"items": [1, 2, 3]}, {}, "(?i)items|expected"),
        ({"at": None}, {}, "missing inputs"),
        ({}, {"k": "many"}, "(?i)incompatible types|failed to convert|invalid"),
        ({}, {"k": 0}, "`k >= 1` must hold"),
    ],
)
def test_a_wrong_input_is_refused(
    registry: Registry, package: Package, change: dict[str, Any], params: dict[str, Any], message: str
) -> None:
    registered(registry, package, "first")
    served = mlflow.pyfunc.load_model("models:/shop/1")
    rows = frame(package)
    for name, values in change.items():
        rows = rows.drop(columns=name) if values is None else rows.assign(**{name: values})
    with pytest.raises((MlflowException, ValueError), match=message):
        served.predict(rows, params=params)


def test_nothing_that_is_registered_is_a_pickle(registry: Registry, package: Package, work: Path) -> None:
    registered(registry, package, "first")
    files = [file for file in (work / "mlartifacts").rglob("*") if file.is_file()]
    (description,) = [file for file in files if file.name == "MLmodel"]
    flavour = yaml.safe_load(description.read_text())["flavors"]["python_function"]
    assert flavour["loader_module"] == "mlflow.pyfunc.loaders.code_model"
    assert flavour["model_code_path"].endswith("pyfunc_model.py")
    known = {".json", ".safetensors", ".yaml", ".py", ".txt", ""}
    assert {file.suffix for file in files} <= known
    assert not [file for file in files if file.read_bytes()[:1] == b"\x80"]  # how a pickle begins
