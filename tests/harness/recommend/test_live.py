"""`lethe recommend --state`: made of a version and the log, fed from files, asked."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from harness.registry.registry import Registry
from harness.serving.package import Package
from tests.harness.conftest import Command

AT = 1_604_000_000  # after the log


def test_it_is_made_fed_and_asked(lethe: Command, shop: Registry, config: Path, package: Package) -> None:
    asked = ["recommend", str(config), "--user", "u3", "--model", "2", "--json"]
    of_log = lethe(*asked, "--at", str(AT)).json
    live = lethe(*asked, "--at", str(AT), "--state", "live").json
    assert live["model"] == {"name": "closed", "version": 2}
    assert live["events"] == of_log["events"] > 0
    assert set(live["errors"]) == {"own", "linear"}
    assert [entry["item"] for entry in live["items"]] == [entry["item"] for entry in of_log["items"]]
    for mine, theirs in zip(live["items"], of_log["items"], strict=True):
        assert mine["score"] == pytest.approx(theirs["score"], abs=1e-6)
    last = of_log["items"][-1]["item"]
    old = pd.read_csv(config.parent / "events.csv").tail(4)
    new = pd.DataFrame({"user_id": ["u3"] * 3, "item_id": [last] * 3, "timestamp": [AT, AT + 60, AT + 120]})
    pd.concat([old, new]).to_csv("new.csv", index=False)
    feed = ["recommend", str(config), "--state", "live", "--events", "new.csv", "--model", "2", "--json"]
    first, second = lethe(*feed).json, lethe(*feed).json
    assert (first["taken"], first["known"]) == (3, 4)
    assert (second["taken"], second["known"]) == (0, 7)
    fresh = lethe(*asked, "--at", str(AT + 180), "--state", "live").json
    assert fresh["events"] == live["events"] + 3
    assert fresh["items"][0]["item"] == last
    assert lethe(*asked, "--at", str(AT), "--state", "live").json["items"] == live["items"]  # the past
    assert last in lethe(*asked[:-1], "--at", str(AT + 180), "--state", "live").out


def test_another_version_is_refused(lethe: Command, shop: Registry, config: Path) -> None:
    asked = ["recommend", str(config), "--user", "u3", "--state", "live", "--json"]
    assert lethe(*asked, "--model", "2").code == 0
    said = lethe(*asked, "--model", "1")
    assert (said.code, said.out) == (2, "")
    assert "must be of version 1, but live is of closed v2; name another folder" in said.last
