"""The registry: one version a run, aliases, decisions, the way back, and a served model without a pickle."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from mlflow.tracking import MlflowClient

from harness.data import Store
from harness.errors import ConfigurationError
from harness.registry import registry as registry_module
from harness.registry.promotion import CHAMPION
from harness.registry.registry import DECISION_TAG, RUN_TAG, Registry, connect, names
from harness.serving import pyfunc
from harness.serving.package import ARTIFACT, Package
from tests.conftest import ROOT

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
    registry.promote(registry.find("2"), DECISION)
    second = registry.find("champion")
    assert (second.version, second.aliases) == (2, ("candidate", "champion"))
    assert registry.find("1").aliases == ()
    assert registry.rollback()[1].version == 1


def test_promoting_the_champion_again_keeps_the_way_back(registry: Registry, package: Package) -> None:
    registered(registry, package, "first", "second")
    registry.promote(registry.find("1"), DECISION)
    registry.promote(registry.find("2"), DECISION)
    registry.promote(registry.find("2"), DECISION)
    assert registry.rollback()[1].version == 1


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


@pytest.fixture(scope="session")
def served(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The model as `mlflow.pyfunc.load_model` gives it, without a registry."""
    folder = tmp_path_factory.mktemp("served")
    package.save(folder / ARTIFACT)
    mlflow.pyfunc.save_model(
        folder / "model",
        python_model=str(Path(pyfunc.__file__).with_name("pyfunc_model.py")),
        artifacts={ARTIFACT: str(folder / ARTIFACT)},
        signature=pyfunc.SIGNATURE,
        pip_requirements=["lethe"],
    )
    return mlflow.pyfunc.load_model(str(folder / "model"))


def test_times_may_be_whole_numbers(served: Any, package: Package) -> None:
    rows = frame(package)
    whole = rows.assign(
        times=pd.Series([[int(t) for t in times] for times in rows["times"]]), at=rows["at"].astype(int)
    )
    assert whole["at"].dtype == np.int64
    assert served.predict(whole).equals(served.predict(rows))
    arrays = whole.assign(times=pd.Series([np.array(times, np.int64) for times in whole["times"]]))
    assert served.predict(arrays).equals(served.predict(rows))
    weighted = whole.assign(weights=pd.Series([[1] * len(times) for times in whole["times"]]))
    assert served.predict(weighted).equals(served.predict(rows))


def test_a_user_is_asked_by_id(served: Any, package: Package, store: Store) -> None:
    """The same answer as for the user's history written out, at a moment within it and long after."""
    user = str(store.users[7])
    mine = slice(int(store.offsets[7]), int(store.offsets[8]))
    items, times = store.item_ids[store.items[mine]].tolist(), store.times[mine].astype(int).tolist()
    for at in (times[len(times) // 2], times[-1] + 1_000_000):
        by_id = served.predict(pd.DataFrame({"user": [user], "at": [at]}), params={"k": 6})
        written = pd.DataFrame({"items": [items], "times": [times], "at": [at]})
        assert by_id.equals(served.predict(written, params={"k": 6}))
    both = pd.DataFrame(
        {"user": [None, user], "items": [items[:2], None], "times": [times[:2], None], "at": [at, at]}
    )
    answer = served.predict(both, params={"k": 6})
    assert answer["items"][1] == by_id["items"][0]
    first = served.predict(both.iloc[:1].drop(columns="user"), params={"k": 6})
    assert answer["items"][0] == first["items"][0] != by_id["items"][0]


def test_params_say_the_moment_and_what_is_left_out(served: Any, package: Package) -> None:
    rows = frame(package)
    now = int(rows["at"][0])
    without = rows.drop(columns="at")
    assert served.predict(without, params={"at": now}).equals(served.predict(rows.assign(at=now)))
    later = served.predict(rows.assign(at=pd.Series([now, None, now])), params={"at": now + 86_400})
    assert later["scores"][0] == served.predict(rows.assign(at=now))["scores"][0]
    some = served.predict(rows, params={"k": 40, "exclude_seen": True})["items"]
    every = served.predict(rows, params={"k": 40, "exclude_seen": False})["items"]
    for row, items in enumerate(rows["items"]):
        assert set(every[row]) - set(some[row]) == set(items) & set(package.items)
    assert served.predict(rows, params={"k": 40})["items"].tolist() == every.tolist()  # this log has repeats


def test_a_user_without_a_package_of_users(package: Package) -> None:
    bare = replace(package, known=None)
    with pytest.raises(ValueError, match=r"`registry\.users: false`; give `items` and `times`"):
        bare.histories_of(["u1"], [1e9])


HISTORY = {"items": [["i001"]], "times": [[10]], "at": [20]}


@pytest.mark.parametrize(
    ("rows", "params", "message"),
    [
        ({**HISTORY, "at": ["yesterday"]}, {}, "`at` must be unix seconds, but row 0 .* 'yesterday'"),
        ({**HISTORY, "at": [True]}, {}, "`at` must be unix seconds, but row 0 .* True"),
        ({**HISTORY, "times": [["9"]]}, {}, "`times` must be unix seconds, but row 0 .* '9'"),
        ({**HISTORY, "times": [[None]]}, {}, "`times` must be unix seconds, but row 0 .* None"),
        ({**HISTORY, "times": [[1, 2]]}, {}, r"of one length, but row 0 has \(1, 2, 2\)"),
        (
            {**HISTORY, "weights": [["many"]]},
            {},
            "`weights` must be finite numbers >= 0, but row 0 .* 'many'",
        ),
        ({**HISTORY, "items": [1]}, {}, "Expected data to be list"),
        ({**HISTORY, "items": [[1]]}, {}, "Can not safely convert int64"),
        ({"user": [17], "at": [20]}, {}, "column user. Can not safely convert int64"),
        ({"user": ["u1", "nobody"], "at": [20, 20]}, {}, "there is no 'nobody'; give `items` and `times`"),
        ({"items": [["a"]], "at": [20]}, {}, r"either `user` or both .* row 0 has \(items\)"),
        ({**HISTORY, "user": ["u1"]}, {}, r"row 0 has \(user, items, times\)"),
        ({"user": ["u1", None], "at": [20, 20]}, {}, r"row 1 has \(\)"),
        ({"user": ["u1"]}, {}, "row 0 has none; give `at` with the row, or for all of them in `params`"),
        (
            {"user": ["u1", None], "items": [None, ["a"]], "times": [None, ["x"]], "at": [20, 20]},
            {},
            "row 1 has one that is no number: 'x'",
        ),
        (HISTORY, {"k": "many"}, "(?i)incompatible types|failed to convert|invalid"),
        (HISTORY, {"k": 0}, "`k >= 1` must hold, but got 0"),
        (HISTORY, {"at": "noon"}, "(?i)invalid parameters found"),
        (HISTORY, {"exclude_seen": 3}, "(?i)invalid parameters found"),
    ],
)
def test_a_wrong_input_is_refused(
    served: Any, rows: dict[str, Any], params: dict[str, Any], message: str
) -> None:
    with pytest.raises(MlflowException, match=message):
        served.predict(pd.DataFrame(rows), params=params)


def test_the_scoring_server_answers_and_refuses(served: Any, package: Package) -> None:
    """What `mlflow models serve` does with a request, whole numbers and all."""

    def ask(body: dict[str, Any]) -> Any:
        schema = served.metadata.get_input_schema()
        said = scoring_server.invocations(json.dumps(body), "application/json", served, schema)
        assert said.status == 200
        return json.loads(said.response)["predictions"]

    now = int(package.about["trained_until"]) + 86_400
    records = [{"items": package.items[:2], "times": [now - 900, now - 300], "at": now}]
    direct = served.predict(pd.DataFrame(records), params={"k": 3})
    assert ask({"dataframe_records": records, "params": {"k": 3}}) == direct.to_dict("records")
    split = {"columns": ["user", "at"], "data": [["u1", now], ["u2", now + 0.5]]}
    assert [len(row["items"]) for row in ask({"dataframe_split": split})] == [10, 10]
    with pytest.raises(MlflowException, match="there is no 'u-1'") as caught:
        ask({"dataframe_records": [{"user": "u-1"}], "params": {"at": now}})
    assert caught.value.get_http_status_code() == 400


@pytest.mark.slow
def test_mlflow_serves_it(registry: Registry, package: Package) -> None:
    """`mlflow models serve` of a registered version, asked over HTTP."""
    registered(registry, package, "first")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = ["-m", "mlflow", "models", "serve", "-m", "models:/shop@candidate", "-p", port]
    server = subprocess.Popen(
        [sys.executable, *command, "--env-manager", "local"],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/ping"):
                break
            assert server.poll() is None
            time.sleep(0.5)
        now = int(package.about["trained_until"]) + 86_400
        body = {"dataframe_records": [{"user": "u1", "at": now}], "params": {"k": 3}}
        request = urllib.request.Request(
            f"{url}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as said:
            (answer,) = json.load(said)["predictions"]
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
    columns, _ = package.top(package.histories_of(["u1"], [now]), 3)
    assert answer["items"] == [package.items[column] for column in columns[0]]


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


@pytest.mark.parametrize(
    ("variable", "there", "asked"),
    [
        (None, True, True),
        (None, False, False),
        ("true", True, None),
        ("false", True, None),
        ("true", False, None),
    ],
)
def test_system_metrics_come_where_psutil_is_unless_mlflow_is_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, there: bool, asked: bool | None
) -> None:
    monkeypatch.delenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", raising=False)
    if variable is not None:
        monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", variable)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if there else None)
    assert registry_module._system_metrics() is asked


def test_a_watched_run_has_system_metrics_and_goes_on_with_them(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once more after an interruption: the steps go on, none is there twice. And a lost database stops nothing."""
    pytest.importorskip("psutil", reason="needs `pip install -e '.[system]'`")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    registry = Registry("shop")

    def steps(run: str) -> list[int]:
        history = registry.client.get_metric_history(run, "system/cpu_utilization_percentage")
        return sorted(point.step for point in history)

    def watched(least: int) -> str:
        with registry.run("token", "a run", watched=True) as run:
            until = time.monotonic() + 60
            while len(steps(run)) < least:
                assert time.monotonic() < until
                time.sleep(0.05)
            return run

    run = watched(2)
    assert watched(len(steps(run)) + 2) == run
    assert steps(run) == list(range(len(steps(run))))
    assert registry.client.get_run(run).info.status == "FINISHED"
    genuine = MlflowClient.get_run

    def away(self: MlflowClient, *arguments: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            raise MlflowException("connection to db refused")
        return genuine(self, *arguments)

    monkeypatch.setattr(MlflowClient, "get_run", away)
    with registry.run("token", "a run", watched=True):
        time.sleep(0.2)
    assert genuine(registry.client, run).info.status == "FINISHED"


def test_a_run_that_fails_says_so_even_where_mlflow_is_away(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry("shop")

    def fails() -> None:
        with registry.run("token", "a run"):
            raise ArithmeticError("the loss is nan")

    with pytest.raises(ArithmeticError):
        fails()
    (run,) = registry.client.search_runs([registry.experiment()])
    assert run.info.status == "FAILED"

    def away(self: MlflowClient, *arguments: Any, **more: Any) -> Any:
        raise MlflowException("connection to db refused")

    monkeypatch.setattr(MlflowClient, "set_terminated", away)
    with pytest.raises(ArithmeticError, match="the loss is nan"):
        fails()
