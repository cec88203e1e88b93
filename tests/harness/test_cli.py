"""The command line: exit codes, one JSON object on stdout, one line for each error, and what each command answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import evaluators
from harness import cli, progress
from harness.data import Store
from harness.registry.registry import Registry
from harness.serving.package import Package
from tests.harness.conftest import CLOSED, Command, Finished

COMMANDS = [
    "prepare", "train", "finetune", "search", "evaluate", "compare", "recommend", "promote", "rollback", "models",
    "report", "run", "doctor",
]  # fmt: skip

DAY = 86_400.0
FIGURE = {"mean", "low", "high"}
DIFFERENCE = {"difference", "low", "high", "p"}


# Help and errors


def test_there_is_a_test_for_every_command() -> None:
    listed = CliRunner().invoke(cli.app, ["--help"])
    assert listed.exit_code == 0
    found = {
        command.name or command.callback.__name__
        for command in cli.app.registered_commands
        if command.callback
    }
    assert found == set(COMMANDS)
    assert all(command in listed.output for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str) -> None:
    shown = CliRunner().invoke(cli.app, [command, "--help"])
    assert shown.exit_code == 0
    assert f"Example: lethe {command} " in shown.output
    assert "--json" in shown.output


def test_an_unknown_command_is_wrong_input(lethe: Command) -> None:
    said = lethe("forget")
    assert (said.code, said.out) == (2, "")
    assert "forget" in said.err


WITH_CONFIG = [command for command in COMMANDS if command != "models"]
MORE = {"compare": ["champion"], "recommend": ["--user", "u0"]}


@pytest.mark.parametrize("command", WITH_CONFIG)
def test_a_missing_configuration_is_one_line_and_code_2(lethe: Command, work: Path, command: str) -> None:
    said = lethe(command, "missing.yaml", *MORE.get(command, []), "--json")
    assert (said.code, said.out) == (2, "")
    assert said.err == "lethe: A configuration must be a file, but there is none at `missing.yaml`.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["prepare", "closed.yaml", "--set", "data.evnts=a"],
            "there is no setting `data.evnts`; did you mean",
        ),
        (["prepare", "closed.yaml", "--set", "data.events=no.csv"], "no.csv"),
        (["prepare", "closed.yaml", "--set", "data.columns.user=nobody"], "nobody"),
        (["prepare", "closed.yaml", "--set", "oops"], "`--set` takes NAME=VALUE"),
        (["evaluate", "closed.yaml", "--stage", "train"], "`--stage` must be val or test, but got 'train'."),
        (["evaluate", "closed.yaml", "--model", "7"], "must have the version or alias '7', but it has none"),
        (["compare", "closed.yaml", "champion"], "must have the version or alias 'champion'"),
        (["search", "closed.yaml"], "`lethe search` needs a block `search`"),
        (["finetune", "closed.yaml"], "`lethe finetune` needs a block `finetune`"),
        (["recommend", "closed.yaml", "--user", "u0"], "must have the version or alias 'champion'"),
        (["promote", "closed.yaml"], "must have the version or alias 'candidate'"),
        (["rollback", "closed.yaml"], "has no champion to roll back"),
        (["report", "closed.yaml"], "A report needs a run that is done"),
        (["run", "closed.yaml", "--set", "registry=null"], "`lethe run` needs `registry.name`"),
        (["promote", "closed.yaml", "--set", "registry=null"], "needs `registry.name`"),
    ],
)
def test_what_a_person_can_mend_is_one_line_and_code_2(
    lethe: Command, config: Path, arguments: list[str], message: str
) -> None:
    said = lethe(*arguments, "--json")
    assert (said.code, said.out) == (2, "")
    assert said.last.startswith("lethe: ")
    assert message in said.last
    assert "Traceback" not in said.err


def test_too_many_bad_rows_are_wrong_data(lethe: Command, config: Path) -> None:
    with (config.parent / "events.csv").open("a") as events:
        events.write("u1,,1600000000\n" * 100)
    said = lethe("prepare", str(config), "--json")
    assert (said.code, said.out) == (2, "")
    assert "1 %" in said.last or "0.01" in said.last
    allowed = lethe("prepare", str(config), "--json", "--set", "data.max_rejected=0.5")
    assert allowed.code == 0
    assert allowed.json["rejected"] == 100
    assert len(Path(allowed.json["rejected_file"]).read_text().splitlines()) == 101


def test_a_full_disk_is_one_line_and_code_1(
    lethe: Command, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device", "/full/disk")

    monkeypatch.setattr("harness.steps.workshop.prepare", full)
    said = lethe("prepare", str(config), "--json")
    assert (said.code, said.out) == (1, "")
    assert said.last == "lethe: [Errno 28] No space left on device: '/full/disk'"


def test_a_registry_that_is_not_there_is_one_line_and_code_1(
    lethe: Command, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://at.all")
    said = lethe("models", "closed", "--json")
    assert (said.code, said.out) == (1, "")
    assert said.last.startswith("lethe: ")
    assert "nowhere" in said.last
    assert "Traceback" not in said.err


# What each command answers


def test_prepare_says_when_it_found_its_work_done(lethe: Command, config: Path) -> None:
    first, second = lethe("prepare", str(config), "--json"), lethe("prepare", str(config), "--json")
    assert (first.code, second.code) == (0, 0)
    assert (first.json["reused"], second.json["reused"]) == (False, True)
    assert "found packed" not in first.err
    assert "found packed" in second.err
    events = pd.read_csv(config.parent / "events.csv")
    assert (first.json["events"], first.json["users"]) == (len(events), events.user_id.nunique())
    assert first.json["items"] == events.item_id.nunique()
    assert first.json["fingerprint"] == second.json["fingerprint"]
    assert Path(first.json["store"]).is_dir()


def test_prepare_appends_new_files(lethe: Command, config: Path) -> None:
    lethe("prepare", str(config), "--json")
    new = pd.read_csv(config.parent / "events.csv").tail(3).assign(item_id="new")
    new.to_csv(config.parent / "new.csv", index=False)
    both = ("--set", "data.events=[events.csv, new.csv]")
    first, second = (lethe("prepare", str(config), "--json", *both) for _ in range(2))
    assert (first.code, first.json["segments"], first.json["appended"]) == (0, 2, 3)
    assert "3 of them appended" in first.err
    assert (second.json["segments"], second.json["appended"], second.json["reused"]) == (2, 0, True)


def test_work_that_takes_long_says_where_it_is_in_a_log_file(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(progress, "say", said.append)
    with progress.bar("prepare") as line:
        line.tell("just begun")
        monkeypatch.setattr(progress, "TOLD_EVERY", 0)
        line.tell("half done")
    assert said == ["prepare: half done"]


def test_without_json_a_person_gets_a_table(lethe: Command, config: Path) -> None:
    said = lethe("prepare", str(config))
    assert said.code == 0
    assert "fingerprint" in said.out
    with pytest.raises(json.JSONDecodeError):
        json.loads(said.out)


def test_train(lethe: Command, config: Path) -> None:
    said = lethe("train", str(config), "--json", "--set", "model.terms.1={kind: linear, l2: 5}")
    assert said.code == 0
    assert said.json["terms"] == ["own", "linear"]
    assert (Path(said.json["fits"]) / "linear.safetensors").exists()
    assert said.json["training"] == {}


def test_evaluate(lethe: Command, config: Path) -> None:
    said = lethe("evaluate", str(config), "--json")
    assert said.code == 0
    assert set(said.json) == {
        "protocol", "stage", "queries", "users", "catalogue", "metrics", "segments", "audit",
    }  # fmt: skip
    assert said.json["stage"] == "test"
    assert set(said.json["metrics"]["ndcg@10"]) == FIGURE
    table = lethe("evaluate", str(config))
    assert f"{said.json['metrics']['ndcg@10']['mean']:.4f}" in table.out
    assert "No leak" in table.out


def test_evaluate_over_seeds(lethe: Command, tiny: Path) -> None:
    """Each seed is fitted and asked as if it stood in the configuration; intervals are of the kind asked for."""
    one = ["--json", "--set", "evaluate.metrics=[ndcg, coverage]", "--set", "evaluate.interval=robust"]
    seeds = [lethe("evaluate", "tiny.yaml", *one, "--set", f"seed={seed}") for seed in (5, 3)]
    said = lethe("evaluate", "tiny.yaml", *one, "--set", "seed=3", "--set", "evaluate.seeds=[5, 3]")
    assert [each.code for each in (*seeds, said)] == [0, 0, 0]
    found = said.json["seeds"]
    assert found["seeds"] == [5, 3]
    assert set(found["metrics"]) == {"ndcg@5", "ndcg@10"}
    figures = [each.json["metrics"]["ndcg@10"] for each in seeds]
    assert found["metrics"]["ndcg@10"]["by_seed"] == pytest.approx([figure["mean"] for figure in figures])
    assert said.json["metrics"] == seeds[1].json["metrics"]
    assert figures[0]["high"] - figures[0]["mean"] == pytest.approx(figures[0]["mean"] - figures[0]["low"])
    both = found["metrics"]["ndcg@10"]
    assert both["low"] < min(both["by_seed"]) <= both["mean"] <= max(both["by_seed"]) < both["high"]
    table = lethe("evaluate", "tiny.yaml", *one[1:], "--set", "seed=3", "--set", "evaluate.seeds=[5, 3]")
    assert f"{both['mean']:.4f}" in table.out


def test_evaluate_a_registered_version(lethe: Command, shop: Registry, config: Path) -> None:
    """The version was fitted on the same data as the configuration's own model would be."""
    terms = [
        {"kind": "own", "forgetting": {"family": "exponential", "half_life": 5.0}},
        {
            "kind": "linear",
            "l2": 50.0,
            "weight": 0.3,
            "forgetting": {"family": "exponential", "half_life": 5.0},
        },
        {"kind": "trend", "weight": 0.1},
    ]
    fitted = lethe("evaluate", str(config), "--json", "--set", f"model.terms={json.dumps(terms)}")
    version = lethe("evaluate", str(config), "--json", "--model", "candidate")
    assert (fitted.code, version.code) == (0, 0)
    assert version.json["metrics"] == fitted.json["metrics"]
    assert lethe("evaluate", str(config), "--json", "--model", "v1").json["metrics"] != fitted.json["metrics"]
    again = lethe("evaluate", str(config), "--json", "--model", "v1", "--set", "evaluate.seeds=[0, 1]")
    assert again.code == 2
    assert "`evaluate.seeds` fits a model anew with each seed" in again.last


def test_a_version_that_saw_the_period_is_not_evaluated_on_it(
    lethe: Command, shop: Registry, config: Path
) -> None:
    said = lethe("evaluate", str(config), "--json", "--model", "2", "--stage", "val")
    assert (said.code, said.out) == (2, "")
    assert "version 2 was trained on events of the val period" in said.last


def test_compare(lethe: Command, shop: Registry, config: Path) -> None:
    other = config.with_name("other.yaml")
    other.write_text(CLOSED.replace("half_life: 5", "half_life: 500"))
    said = lethe("compare", str(config), str(config), str(other), "champion", "--json")
    assert said.code == 0
    assert said.json["audit"]["leaks"] is False
    same, forgetful, popular = said.json["comparisons"]
    assert [entry["against"] for entry in said.json["comparisons"]] == [str(config), str(other), "champion"]
    assert set(same["ndcg@10"]) == DIFFERENCE | {"wilcoxon", "holm", "benjamini_hochberg", "detectable"}
    p = [entry["ndcg@10"]["p"] for entry in said.json["comparisons"]]
    assert [entry["ndcg@10"]["holm"] for entry in said.json["comparisons"]] == evaluators.holm(p)
    assert popular["ndcg@10"]["detectable"] < popular["ndcg@10"]["difference"]
    table = lethe("compare", str(config), str(other))
    assert "p (Holm)" in table.out
    assert (same["ndcg@10"]["difference"], same["ndcg@10"]["p"]) == (0.0, 1.0)
    assert forgetful["ndcg@10"]["difference"] != 0.0
    assert popular["ndcg@10"]["low"] > 0
    mine = said.json["metrics"]["ndcg@10"]["mean"]
    theirs = lethe("evaluate", str(other), "--json").json["metrics"]["ndcg@10"]["mean"]
    assert forgetful["ndcg@10"]["difference"] == pytest.approx(mine - theirs, abs=1e-12)


def test_compare_needs_the_same_data(lethe: Command, config: Path) -> None:
    other = config.with_name("other.yaml")
    other.write_text(CLOSED)
    for change in ("split: {cuts: [0.7, 0.9]}", "split: {protocol: loo}"):
        other.write_text(f"{CLOSED}\n{change}\n")
        said = lethe("compare", str(config), str(other), "--json")
        assert said.code == 2
        assert "must share data and split" in said.last
    shape = config.with_name("shape.yaml")  # laid over both, so that they share it
    shape.write_text("split: {protocol: successive, cuts: [0.6, 0.9]}\n")
    said = lethe("compare", str(config), str(other), "--with", str(shape), "--json")
    assert (said.code, len(said.json["comparisons"])) == (0, 1)


def test_recommend_explains_itself(lethe: Command, shop: Registry, config: Path) -> None:
    at = "2020-10-05T12:00"
    said = lethe(
        "recommend",
        str(config),
        "--user",
        "u3",
        "--at",
        at,
        "--k",
        "4",
        "--model",
        "candidate",
        "--explain",
        "--json",
    )
    assert said.code == 0
    told = said.json
    assert (told["user"], told["at"]) == ("u3", "2020-10-05T12:00:00+00:00")
    assert told["model"] == {"name": "closed", "version": 3}
    log = pd.read_csv(config.parent / "events.csv")
    moment = pd.Timestamp(at).timestamp()
    assert told["events"] == ((log.user_id == "u3") & (log.timestamp < moment)).sum() > 0
    assert len(told["items"]) == 4
    assert [entry["score"] for entry in told["items"]] == sorted(
        (e["score"] for e in told["items"]), reverse=True
    )
    for entry in told["items"]:
        assert set(entry["terms"]) == {"own", "linear", "trend"}
        assert sum(entry["terms"].values()) == pytest.approx(entry["score"], abs=1e-9)
        assert set(entry["rest"]) == {"trend"}  # the crowd's: no event of the user
        for event in entry["events"]:
            assert event["age_days"] == pytest.approx((moment - pd.Timestamp(event["at"]).timestamp()) / DAY)
            assert set(event["left"]) == set(event["adds"]) <= {"own", "linear"}
            for term, left in event["left"].items():
                assert left == pytest.approx(0.5 ** (event["age_days"] / 5.0), rel=1e-9), term
        assert all(event["item"] == entry["item"] for event in entry["events"] if "own" in event["adds"])


def test_an_explanation_sums_to_the_score_and_the_score_is_that_of_the_log(
    lethe: Command, shop: Registry, config: Path, package: Package
) -> None:
    """To 1e-9, against the sum over the rows of the log: 2^(−age / 5) · (1 where it is the item, and 0.3·B)."""
    at = 1_602_000_000
    said = lethe(
        "recommend", str(config), "--user", "u5", "--at", str(at), "--model", "2", "--explain", "--json"
    )
    log = pd.read_csv(config.parent / "events.csv")
    past = log[(log.user_id == "u5") & (log.timestamp < at)]
    left = 0.5 ** ((at - past.timestamp.to_numpy()) / DAY / 5.0)
    matrix, trend = (package.model.encoders[n].state() for n in (1, 2))
    known = package.column(past.item_id.tolist())
    for entry in said.json["items"]:
        adds = [sum(event["adds"].values()) for event in entry["events"]]
        assert adds == sorted(adds, key=abs, reverse=True)
        assert abs(sum(adds) + sum(entry["rest"].values()) - entry["score"]) < 1e-9
        column = package.column_of[entry["item"]]
        weights = np.where(known >= 0, matrix["matrix"][known, column], 0.0).astype(float)
        exact = (left * ((known == column) + 0.3 * weights)).sum() + 0.1 * float(trend["popularity"][column])
        assert abs(exact - entry["score"]) < 1e-9


def test_a_recommendation_without_explanation_is_bare(lethe: Command, shop: Registry, config: Path) -> None:
    said = lethe("recommend", str(config), "--user", "u3", "--at", "2020-10-05", "--json")
    assert said.json["model"]["version"] == 1  # the champion
    assert [set(entry) for entry in said.json["items"]] == [{"item", "title", "score"}] * 10
    explained = lethe(
        "recommend", str(config), "--user", "u3", "--at", "2020-10-05", "--explain", "--model", "2"
    )
    assert explained.code == 0
    assert "days ago" in explained.out
    assert "more events" in explained.out
    assert "trend, not by single events" in explained.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--user", "nobody"], "`--user` must be a user id of the log, but there is no 'nobody'."),
        (["--user", "u3", "--at", "tomorrow"], "`--at` must be a date and time"),
        (["--user", "u3", "--at", "nan"], "`--at` must be a date and time"),
        (["--user", "u3", "--at", "inf"], "`--at` must be a date and time"),
    ],
)
def test_recommend_refuses(
    lethe: Command, shop: Registry, config: Path, arguments: list[str], message: str
) -> None:
    said = lethe("recommend", str(config), *arguments, "--json")
    assert (said.code, said.out) == (2, "")
    assert message in said.last


def test_promote_and_rollback(lethe: Command, shop: Registry, config: Path) -> None:
    said = lethe("promote", str(config), "2", "--json")
    assert said.code == 0
    assert said.json["promoted"] is True
    assert (said.json["name"], said.json["version"], said.json["against"]) == ("closed", 2, "champion v1")
    assert said.json["low"] > 0
    assert shop.find("champion").version == 2
    again = lethe("promote", str(config), "2", "--json")
    assert again.code == 2
    assert "is the champion already" in again.last
    same = lethe("promote", str(config), "candidate", "--json")  # the same model: no better
    assert same.code == 0
    assert same.json["promoted"] is False
    assert shop.find("champion").version == 2
    assert json.loads(shop.find("3").tags["lethe.decision"])["promoted"] is False
    back = lethe("rollback", str(config), "--json")
    assert (back.code, back.json) == (0, {"name": "closed", "was": 2, "champion": 1})
    assert shop.find("champion").version == 1
    assert lethe("rollback", str(config), "--json").code == 2


def test_the_gate_of_the_configuration_decides(lethe: Command, shop: Registry, config: Path) -> None:
    said = lethe("promote", str(config), "2", "--json", "--set", "registry.gate.margin=0.9")
    assert (said.code, said.json["promoted"]) == (0, False)
    assert any("is not above 0.9" in reason for reason in said.json["reasons"])
    rules = {  # each, asked for, says its word beside a margin that keeps the gate shut
        "freshness_days: 1": "days old, is not within 1 days",
        "guardrails: {gini@10: 0}": "gini@10 0.",
        "worst_segment: {novelty: 0.5}": "ndcg@5 in the worst segment by novelty, ",
    }
    for rule, part in rules.items():
        gate = f"registry.gate={{margin: 0.9, {rule}}}"
        found = lethe("promote", str(config), "2", "--json", "--set", gate).json
        assert found["promoted"] is False
        assert part in found["checks"][-1]["sentence"]
    assert shop.find("champion").version == 1
    stored = json.loads(shop.find("2").tags["lethe.decision"])
    assert stored["checks"] == found["checks"]
    worse = ("--set", "registry.gate.mode=non_inferiority", "--set", "registry.gate.margin=0.99")
    assert lethe("promote", str(config), "2", "--json", *worse).json["promoted"] is True


def test_models(lethe: Command, shop: Registry, config: Path) -> None:
    everything = lethe("models", "--json")
    by_name, by_config = lethe("models", "closed", "--json"), lethe("models", str(config), "--json")
    assert everything.json == by_name.json == by_config.json
    (model,) = by_name.json["models"]
    assert model["name"] == "closed"
    assert [(v["version"], v["aliases"]) for v in model["versions"]] == [
        (3, ["candidate"]),
        (2, []),
        (1, ["champion"]),
    ]
    assert set(model["versions"][0]) == {
        "name",
        "version",
        "aliases",
        "live_since",
        "created",
        "run_id",
        "tags",
    }
    assert "champion" in lethe("models").out


def test_models_of_a_name_that_is_not_there(lethe: Command, shop: Registry) -> None:
    said = lethe("models", "no-such-model", "--json")
    assert (said.code, said.json) == (
        0,
        {"models": [{"name": "no-such-model", "versions": [], "last_refused": None}]},
    )


def test_a_run_without_a_search(lethe: Command, config: Path) -> None:
    said = lethe("run", str(config), "--json")
    assert said.code == 0
    assert said.json["search"] is None
    assert said.json["comparison"]["against"] == "none"
    assert said.json["model"]["version"] == 1
    assert Registry("closed").package(Registry("closed").find("1")).known is not None
    table = lethe("run", str(config))
    assert "found done" in table.err
    assert "closed v1 (candidate" in table.out
    assert lethe("run", str(config), "--set", "registry.users=false").code == 0
    assert Registry("closed").package(Registry("closed").find("2")).known is None


def test_search(lethe: Command, finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    finished.there(monkeypatch)
    said = lethe("search", "tiny.yaml", "--json")
    assert said.code == 0
    assert (said.json["trials"], said.json["control_trials"], said.json["failed"]) == (24, 24, 0)
    assert said.json["best"] == finished.result["search"]["best"]
    assert {term["kind"] for term in said.json["model"]["terms"]} == {"own", "linear", "trend", "mlp"}
    families = {entry["family"]: entry["value"] for entry in said.json["families"]}
    assert set(families) == {"none", "exponential", "power", "hyperbolic", "geometric"}
    assert max(families.values()) == said.json["best"]["value"]
    assert said.json["sure"]["none"]["difference"] > 0
    assert said.json["sure"]["runner_up"]["difference"] >= 0
    shares = said.json["importance"]
    assert sum(shares.values()) == pytest.approx(1)
    assert set(shares) >= {"own+linear.family", "linear.l2", "linear.weight"}


def test_finetune(lethe: Command, finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    finished.there(monkeypatch)
    said = lethe("finetune", "tiny.yaml", "--json")
    assert said.code == 0
    assert set(said.json) == {"kept", "reason", "epochs", "ndcg@10"}
    assert set(said.json["ndcg@10"]) == DIFFERENCE
    moved = said.json["ndcg@10"]["difference"] > 0 and said.json["epochs"]["mlp"] > 0
    assert said.json["kept"] is moved


def test_a_fit_that_fails_is_one_line_and_code_1(
    lethe: Command, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished.there(monkeypatch)

    def none(*arguments: Any) -> None:
        raise ValueError("the fine-tuning window must hold at least one training moment")

    monkeypatch.setattr("trainers.fitting.pretrain.recent", none)
    said = lethe("finetune", "tiny.yaml", "--json", "--set", "finetune.window_days=3")
    assert (said.code, said.out) == (1, "")
    assert said.last.startswith("lethe: ")
    assert "the fine-tuning window must hold at least one training moment" in said.last


def test_report(lethe: Command, finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    finished.there(monkeypatch)
    path = Path(finished.result["report"])
    before = path.read_text()
    path.unlink()
    said = lethe("report", "tiny.yaml", "--json")
    assert (said.code, said.json) == (0, {"report": str(path)})
    assert path.read_text() == before


def test_doctor(lethe: Command, config: Path, ray_session: str) -> None:
    """`test_doctor.py` makes each check fail."""
    said = lethe("doctor", str(config), "--json")
    assert said.code == 0
    checks = {entry["check"]: entry for entry in said.json["checks"]}
    assert len(checks) == len(said.json["checks"])
    assert said.json["well"] is True
    assert {"python", "package torch", "data", "disk", "gpu", "ray", "mlflow", "artifacts"} <= set(checks)
    assert "events.csv" in checks["data"]["found"]
    assert "2 CPUs" in checks["ray"]["found"]


def test_doctor_says_what_to_mend(lethe: Command, config: Path, ray_session: str) -> None:
    arguments = ("doctor", str(config), "--set", "data.events=no.csv")
    said = lethe(*arguments, "--json")
    assert said.code == 1
    assert said.json["well"] is False
    (entry,) = [entry for entry in said.json["checks"] if not entry["well"]]
    assert entry["check"] == "data"
    assert said.last == "lethe: something is to be mended, see above."
    table = " ".join(lethe(*arguments).out.split())
    assert entry["mend"] in table


def test_the_store_of_the_fixture_is_the_log_of_the_configuration(
    lethe: Command, config: Path, store: Store
) -> None:
    """Or the versions of `shop` could not be compared on the configuration's queries."""
    assert lethe("prepare", str(config), "--json").json["fingerprint"] == store.fingerprint
    assert np.array_equal(np.diff(store.offsets) > 0, np.ones(store.counts.users, bool))
