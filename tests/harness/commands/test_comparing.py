"""`lethe compare --out` and `lethe report --change`: what they answer, and the pages that they write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluators.agreement import overlap
from harness.data import Store
from harness.registry.registry import Registry
from tests.harness.conftest import CLOSED, Command
from tests.harness.report.test_page import Page


def test_a_page_compares_versions_and_the_configuration_is_not_fitted(
    lethe: Command, shop: Registry, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.steps.workshop.Workshop.described", None)
    said = lethe("compare", str(config), "2", "3", "--model", "champion", "--out", "compare.html", "--json")
    assert (said.code, said.json["report"]) == (0, "compare.html")
    assert [model["label"] for model in said.json["models"]] == ["v1 (champion)", "v2", "v3"]
    assert [entry["against"] for entry in said.json["comparisons"]] == ["2", "3"]
    held = said.json["comparisons"][0]["ndcg@10"]
    assert held["difference"] == pytest.approx(
        said.json["models"][0]["metrics"]["ndcg@10"]["mean"]
        - said.json["models"][1]["metrics"]["ndcg@10"]["mean"]
    )
    assert held["holm"] >= held["p"]
    pairs = said.json["pairs"]
    means = [model["metrics"][said.json["metric"]]["mean"] for model in said.json["models"]]
    assert [(pair["a"], pair["b"]) for pair in pairs] == [(0, 1), (0, 2), (1, 2)]
    for pair in pairs:
        assert pair["difference"] == pytest.approx(means[pair["a"]] - means[pair["b"]], abs=1e-12)
        assert pair["low"] <= pair["difference"] <= pair["high"]
    assert pairs[2]["p"] == 1.0  # version 3 is version 2 once more
    assert pairs[0]["holm"] == pytest.approx(min(3 * pairs[0]["p"], 1))  # Holm over all three
    page = Page(Path("compare.html").read_text())
    assert len(page.all("script")) == 1
    for text in (
        "v1 (champion) minus the others",
        "Row minus column, best model first",
        "v2 over v1 (champion)",
        "p (Holm)",
        "Repeats and new items",
        "v2, own",
        "worse",
    ):
        assert text in page.text
    assert {"own.weight", "linear.l2"} <= {name.removeprefix("chosen.") for name in said.json["differing"]}


def test_a_page_compares_configurations_and_shows_their_settings(lethe: Command, config: Path) -> None:
    other = config.with_name("other.yaml")
    other.write_text(CLOSED.replace("half_life: 5", "half_life: 500"))
    said = lethe("compare", str(config), str(other), "--out", "compare.html", "--json")
    assert said.code == 0
    assert said.json["differing"]["model.terms.0.forgetting.half_life"] == [5.0, 500.0]
    assert "In what their configurations differ" in Page(Path("compare.html").read_text()).text


def test_what_changes_is_what_the_two_lists_are(
    lethe: Command, shop: Registry, config: Path, store: Store
) -> None:
    said = lethe("report", str(config), "--change", "champion", "2", "--users", "4", "--k", "5", "--json")
    assert said.code == 0
    told = said.json
    assert (told["before"], told["after"], told["sampled"]) == ("champion (v1)", "v2", store.counts.users)
    assert len(told["lists"]) == 4
    for held in told["lists"]:
        asked = lethe(
            "recommend",
            str(config),
            "--user",
            held["user"],
            "--at",
            told["at"],
            "--k",
            "5",
            "--model",
            "2",
            "--json",
        )
        assert [entry["item"] for entry in asked.json["items"]] == [entry["item"] for entry in held["after"]]
        old, new = ([entry["item"] for entry in held[side]] for side in ("before", "after"))
        assert held["overlap"] == len(set(old) & set(new)) / 5
        for rank, entry in enumerate(held["before"]):
            assert entry["to"] == (new.index(old[rank]) + 1 if old[rank] in new else None)
        for rank, entry in enumerate(held["after"]):
            assert entry["rose"] == (old.index(new[rank]) - rank if new[rank] in old else None)
    shares = [held["overlap"] for held in told["lists"]]
    assert told["agreement"]["overlap"]["low"] <= told["agreement"]["overlap"]["mean"] <= 1
    assert 0 <= min(shares) <= max(shares) <= 1
    assert sum(each["users"] for each in told["agreement"]["histogram"]) == told["sampled"]
    lists = 5 * told["sampled"]
    assert sum(entry["after"] - entry["before"] for entry in told["gaining"]) <= lists
    page = Page(Path("change.html").read_text())
    assert f"user {told['lists'][0]['user']}" in page.text
    again = lethe("report", str(config), "--change", "champion", "2", "--users", "4", "--k", "5", "--json")
    assert again.json["lists"] == told["lists"]
    same = lethe("report", str(config), "--change", "2", "2", "--json").json
    assert (same["agreement"]["same"], same["agreement"]["rbo"]["mean"]) == (1.0, pytest.approx(1.0))
    assert (same["gaining"], same["losing"]) == ([], [])
    assert "No item stands on more or fewer lists." in Page(Path("change.html").read_text()).text


def test_what_changes_has_the_intervals_that_are_asked_for(
    lethe: Command, shop: Registry, config: Path
) -> None:
    asked = ("report", str(config), "--change", "champion", "2", "--json")
    drawn, wide, robust = (
        lethe(*asked, *(part for change in changes for part in ("--set", change))).json["agreement"]["rbo"]
        for changes in ([], ["evaluate.level=0.999"], ["evaluate.interval=robust"])
    )
    assert wide["low"] < drawn["low"] < drawn["high"] < wide["high"]
    assert robust["high"] - robust["mean"] == pytest.approx(robust["mean"] - robust["low"], abs=1e-12)
    assert robust["low"] != drawn["low"]


def test_overlap_agrees_with_sets() -> None:
    rng = np.random.default_rng(1)
    a, b = (np.stack([rng.permutation(12)[:5] for _ in range(50)]) for _ in range(2))
    by_hand = [len(set(one) & set(two)) / 5 for one, two in zip(a.tolist(), b.tolist(), strict=True)]
    assert overlap(a, b).tolist() == by_hand
