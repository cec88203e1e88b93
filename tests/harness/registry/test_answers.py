"""A newcomer's ten questions, each asked of the command line, of a champion and a candidate that was refused."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
import pytest

from harness import __version__, source_digest
from harness.registry.answers import answers, lacked, last_refused
from harness.registry.registry import Registry
from tests.conftest import ROOT
from tests.harness.conftest import Command, Whispered
from trainers.processes import PROC

Facts = dict[str, Any]


@pytest.fixture
def newcomer(whispered: Whispered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """In a folder with the registry of both runs, where nothing that is done reaches other tests."""
    shutil.copy(whispered.folder / "mlflow.db", tmp_path / "mlflow.db")
    for name in ("closed.yaml", "popular.yaml", "events.csv"):
        shutil.copy(whispered.folder / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return Registry("closed")


def stored(registry: Registry, which: str) -> Facts:
    """The decision as the gate stored it."""
    found: Facts = json.loads(registry.find(which).tags["lethe.decision"])
    return found


def test_which_is_live_and_what_the_last_refused_lacked(newcomer: Registry, lethe: Command) -> None:
    (model,) = lethe("models", "closed", "--json").json["models"]
    live = {version["version"]: version["live_since"] for version in model["versions"]}
    assert live[2] is None
    since = datetime.fromisoformat(live[1])
    decided = datetime.fromisoformat(stored(newcomer, "1")["decided"])
    assert decided <= since <= datetime.now(UTC)
    refused = stored(newcomer, "2")
    assert refused["promoted"] is False
    broken = [check for check in refused["checks"] if not check["passed"]]
    assert broken[0]["rule"] == "metric"
    assert model["last_refused"] == {
        "version": 2,
        "decided": refused["decided"],
        "lacked": [f"{check['rule']}: {check['sentence']}" for check in broken],
    }
    table = " ".join(lethe("models", "closed").out.split())
    assert f"live: closed v1, since {live[1]}" in table
    assert f"last refused: closed v2, {refused['decided']} - metric: the 95% interval of ndcg@5 over" in table
    assert (
        f"{refused['difference']:+.4f} [{refused['low']:+.4f}, {refused['high']:+.4f}], is not above 0"
        in table
    )


def test_what_is_known_of_the_champion(newcomer: Registry, lethe: Command) -> None:
    said = lethe("models", "closed", "--show", "champion", "--json").json
    told, decision, result = said["answers"], stored(newcomer, "champion"), newcomer.story(newcomer.find("1"))
    assert result is not None
    assert (said["version"], said["aliases"]) == (1, ["champion"])
    assert told["live"] == f"yes, since {said['live_since']}"
    gain = (
        f"{decision['difference']:+.4f} [{decision['low']:+.4f}, {decision['high']:+.4f}] in ndcg@5 over none"
    )
    assert told["what it beat"] == f"{gain}, decided {decision['decided']}"
    assert "what it lacked" not in told
    assert f"{result['data']['events']:,} events of 120 users, 2020-09-" in told["data"]
    assert f"fingerprint {result['fingerprint']}; trained until {result['trained_until']}" in told["data"]
    assert told["half-life"] == "own 5 days"
    assert told["go back"] == "lethe rollback closed.yaml"
    assert told["serve"] == "mlflow models serve -m models:/closed@champion --env-manager local"
    seconds = round(result["cost"]["seconds"])
    assert f"{seconds} s by the clock" in told["cost"] or seconds >= 60 or seconds < 10
    assert ("of processors" in told["cost"]) == PROC.exists()
    assert told["reproduce"].startswith(
        f"lethe run closed.yaml --fresh; the resolved file is configuration.yaml of run {said['run_id']}; data "
        f"{result['fingerprint']}, lethe {__version__}, source {source_digest()}, seed 0"
    )
    shown = " ".join(lethe("models", "closed", "--show", "champion").out.split())
    for part in (
        "mlflow models serve -m models:/closed@champion",
        "own 5 days",
        "lethe rollback closed.yaml",
        gain,
    ):
        assert part in shown


def test_what_is_known_of_the_refused(newcomer: Registry, lethe: Command) -> None:
    told = lethe("models", "closed", "--show", "2", "--json").json["answers"]
    decision = stored(newcomer, "2")
    assert told["live"] == "no"
    assert told["what it met"].endswith(f"in ndcg@5 over champion v1, decided {decision['decided']}")
    assert told["what it lacked"] == "; ".join(lacked(decision))
    assert told["serve"] == "mlflow models serve -m models:/closed/2 --env-manager local"
    assert told["half-life"] == "nothing is forgotten"
    assert told["reproduce"].startswith("lethe run popular.yaml")
    assert told["reproduce"].endswith("seed 7")
    assert "go back" not in told


def test_the_page_in_mlflow_says_what_to_type(newcomer: Registry) -> None:
    description = newcomer.find("1").description
    assert "`mlflow models serve -m models:/closed/1 --env-manager local`" in description
    assert "`lethe rollback closed.yaml`" in description
    assert "`lethe run closed.yaml --fresh`" in description


def test_it_is_served_as_it_says(newcomer: Registry) -> None:
    """What `mlflow models serve` loads at that address answers for a user of the log."""
    import pandas as pd

    served = mlflow.pyfunc.load_model("models:/closed@champion")
    rows = pd.DataFrame({"user": ["u1"], "at": [1_700_000_000]})
    assert len(served.predict(rows, params={"k": 3})["items"][0]) == 3


def test_the_way_back_is_as_it_says(newcomer: Registry, lethe: Command) -> None:
    """After the second was promoted by hand, the command of its answers makes the first live again, and says since
    when."""
    newcomer.promote(newcomer.find("2"), {"promoted": True})
    command = lethe("models", "closed", "--show", "champion", "--json").json["answers"]["go back"]
    assert command == "lethe rollback popular.yaml"
    first = newcomer.find("1").tags["lethe.live_since"]
    assert lethe(*command.split()[1:]).code == 0
    now = newcomer.find("champion")
    assert now.version == 1
    assert now.tags["lethe.live_since"] >= first
    assert newcomer.find("2").to_dict()["live_since"] is None
    assert lethe("models", "closed", "--json").json["models"][0]["last_refused"] is None


def test_a_version_that_no_run_made_and_nobody_judged() -> None:
    version = {"name": "shop", "version": 4, "aliases": [], "live_since": None}
    assert answers(version, None, None) == {
        "live": "no",
        "serve": "mlflow models serve -m models:/shop/4 --env-manager local",
    }
    by_hand = {"promoted": False, "reasons": ["because"]}
    assert answers(version, by_hand, None)["what it lacked"] == "because"
    assert last_refused([(version, None), ({**version, "version": 3}, by_hand)]) == {
        "version": 3, "decided": None, "lacked": ["because"],
    }  # fmt: skip
    assert last_refused([(version, None), (version, {"promoted": True})]) is None


def test_the_page_of_the_ten_questions(newcomer: Registry, lethe: Command) -> None:
    """Each question's command, and the place in its answer where the page says to look; then what else looks only."""
    page = (ROOT / "docs" / "ten-questions.md").read_text().replace("online-retail", "closed")
    rows = re.findall(r"^\| (.+\?) \| (.+?) \| (.+?) \|$", page, re.M)
    assert len(rows) == 10
    answer = ""
    for question, command, place in rows:
        if command.startswith("`"):
            said = lethe(*command.strip("`").split()[1:])
            assert said.code == 0, question
            answer = said.out
        for heading in re.findall(r"\*(.+?)\*", place):
            assert re.search(rf"^{heading}\b", answer, re.M), question
    for command in re.findall(r"^\$ lethe (models .*)$", page, re.M):
        assert lethe(*command.split()).code == 0, command
