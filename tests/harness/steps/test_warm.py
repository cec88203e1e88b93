"""Where a former search is found, and that one of other data is refused before anything is fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import ConfigurationError
from harness.registry.registry import Registry
from harness.settings import RunSettings, load
from harness.steps.warm import RECORD_FILE, former_of
from tests.harness.conftest import Command
from trainers.model import ModelSettings
from trainers.search.ledger import Ledger
from trainers.search.warm import Former

SPACE = "search.space={trend: {weight: {low: 0.05, high: 0.5}}}"
MODEL = ModelSettings.model_validate({"terms": [{"kind": "own"}, {"kind": "trend", "weight": 0.1}]})
ABOUT = {"data": "another", "split": {}, "repeats": True, "metric": "ndcg@10"}


def written(trials: Path, about: dict[str, Any] = ABOUT) -> Path:
    ledger = Ledger(trials, "then")
    ledger.sign(about)
    ledger.enter(MODEL, np.ones(3), 1.0, params={"trend.weight": 0.1})
    return trials


def settings(where: str) -> RunSettings:
    """As a person writes it: the number of a version is one to YAML."""
    return load("closed.yaml", [SPACE, f"search.warm_start={where}"])


@pytest.mark.usefixtures("config")
def test_a_search_is_found_by_its_run_and_by_its_path(work: Path) -> None:
    assert former_of(load("closed.yaml", [SPACE])) is None
    expected = Former.of_folder(written(Path(".lethe/runs/0123abcd/trials")), "").trials
    for where in ("0123abcd", ".lethe/runs/0123abcd", str(work / ".lethe/runs/0123abcd/trials")):
        found = former_of(settings(where))
        assert found is not None
        assert (found.trials, found.about, found.where) == (expected, ABOUT, where)
    (trial,) = expected
    assert (trial["params"], trial["value"]) == ({"trend.weight": 0.1}, 1.0)


@pytest.mark.usefixtures("config")
def test_what_is_no_search_is_said(work: Path) -> None:
    (work / "empty").mkdir()
    with pytest.raises(
        ConfigurationError, match=r"`search.warm_start` must be a former search .*'empty' has none"
    ):
        former_of(settings("empty"))
    with pytest.raises(ConfigurationError, match="must have the version or alias '7'"):
        former_of(settings("7"))


def test_a_search_is_found_with_the_version_it_made(shop: Registry, tmp_path: Path) -> None:
    version = shop.find("2")
    with pytest.raises(ConfigurationError, match=r"must be a version whose run searched, but v2 of `closed`"):
        former_of(settings("2"))
    record = Former.of_folder(written(tmp_path / "trials"), "").record()
    shop.client.log_dict(version.run_id, record, RECORD_FILE)
    for which in ("2", "v2"):
        found = former_of(settings(which))
        assert found is not None
        assert found.record() == record
        assert found.where == "`closed` v2"


@pytest.mark.usefixtures("config")
def test_a_search_of_other_data_is_refused_before_anything_is_fitted(work: Path, lethe: Command) -> None:
    written(work / "former")
    said = lethe("search", "closed.yaml", "--set", SPACE, "--set", "search.warm_start=former", "--json")
    assert (said.code, said.out) == (2, "")
    assert "`search.warm_start` must be a search with the same data, but 'former' had another" in said.last
    assert not list(work.glob(".lethe/runs/*/fit-*"))
