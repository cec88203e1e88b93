"""What is told of a version and of two: hand-written stories, as runs leave them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import pytest

from harness.registry.registry import Registry
from harness.registry.versions import diff, show
from tests.harness.conftest import Command


def story(half_life: float, weight: float, mean: float, **more: Any) -> dict[str, Any]:
    curve = {"family": "exponential", "clock": "time", "params": {"tau": half_life}, "unit": "days"}
    return {
        "configuration": f"evaluate:\n  k: [5, 10]\nseed: {more.pop('seed', 0)}\n",
        "protocol": "successive",
        "cuts": [0.8, 0.9],
        "horizon": None,
        "repeats": True,
        "fingerprint": "abc",
        "trained_until": "2011-11-01T00:00:00+00:00",
        "data": {
            "events": 9,
            "users": 3,
            "items": 4,
            "profile": {"span": {"first": "2010-01-01", "last": "2011-12-01", "days": 699}},
        },
        "search": {"trials": 24, "failed": 1, "best": {"trial": "trial-3", "value": 0.5, "params": {}}},
        "terms": [
            {"name": "own", "weight": weight, "settings": {"l2": 50}, "forgetting": {**curve, "half_life": half_life}},
            {"name": "trend", "weight": 0.1, "settings": {}, "forgetting": None},
        ],
        "evaluation": {"queries": 8, "metrics": {"ndcg@10": {"mean": mean, "low": mean - 0.1, "high": mean + 0.1}}},
        "cost": {"seconds": 9.0, "cpu_seconds": None, "peak_memory": None},
        "config_path": "shop.yaml",
        "run_id": "abc",
        "versions": {"lethe": "0.1.0"},
        **more,
    }  # fmt: skip


@pytest.fixture
def told(work: Path) -> Registry:
    """Three versions with a story and a decision, and a fourth that was registered by hand."""
    registry = Registry("shop")
    registry.client.create_registered_model("shop")
    stories = [story(5.0, 1.0, 0.3), story(21.0, 1.0, 0.4, seed=7), story(5.0, 1.0, 0.3, fingerprint="other")]
    for number, each in enumerate(stories):
        with registry.run(str(number), "run") as run_id:
            mlflow.log_dict(each, "story.json")
        made = registry.client.create_model_version("shop", str(work), run_id, tags={"family": "exponential"})
        registry.note(
            registry.find(str(made.version)), {"promoted": number == 0, "reasons": [f"because {number}"]}
        )
    registry.client.create_model_version("shop", str(work))
    registry.promote(registry.find("1"), {"promoted": True, "reasons": ["because 0"]})
    return registry


def test_in_what_two_versions_differ(told: Registry) -> None:
    found = diff(told, "champion", "v2")
    assert (found["versions"], found["aliases"]) == ([1, 2], [["champion"], []])
    assert found["settings"] == {"seed": [0, 7]}
    assert set(found["curves"]) == {"own"}
    assert [curve["half_life"] for curve in found["curves"]["own"]] == [5.0, 21.0]
    assert [curve["words"] for curve in found["curves"]["own"]] == ["5 days", "21 days"]
    assert found["data"] == {}
    assert [figure["mean"] for figure in found["metrics"]["ndcg@10"]] == [0.3, 0.4]
    assert found["same_queries"] is True
    assert [decision["promoted"] for decision in found["decisions"]] == [True, False]


def test_other_data_are_other_queries(told: Registry) -> None:
    found = diff(told, "1", "3")
    assert found["data"] == {"fingerprint": ["abc", "other"]}
    assert (found["settings"], found["curves"], found["same_queries"]) == ({}, {}, False)


def test_a_version_that_no_run_made(told: Registry) -> None:
    found = diff(told, "1", "4")
    assert found["settings"]["evaluate.k.1"] == [10, None]
    assert found["settings"]["chosen.own.l2"] == [50, None]
    assert found["decisions"][1] is None
    assert found["same_queries"] is False
    alone = diff(told, "4", "4")
    assert (alone["metrics"], alone["same_queries"]) == ({}, False)


def test_all_that_is_known_of_a_version(told: Registry) -> None:
    found = show(told, "2")
    assert found["settings"] == {
        "evaluate.k.0": 5, "evaluate.k.1": 10, "seed": 7,
        "chosen.own.weight": 1.0, "chosen.own.l2": 50, "chosen.trend.weight": 0.1,
    }  # fmt: skip
    assert found["curves"]["own"]["params"] == {"tau": 21.0}
    assert found["curves"]["trend"] is None
    assert found["data"] == {
        "events": 9, "users": 3, "items": 4, "first": "2010-01-01", "last": "2011-12-01",
        "trained_until": "2011-11-01T00:00:00+00:00", "fingerprint": "abc",
    }  # fmt: skip
    assert found["search"] == {"trials": 24, "failed": 1, "best": story(1, 1, 1)["search"]["best"]}
    assert found["decision"] == {"promoted": False, "reasons": ["because 1"]}


def test_on_the_command_line(told: Registry, lethe: Command) -> None:
    told.describe(told.find("2"), "**Not promoted** because")
    assert lethe("models", "shop", "--diff", "1", "2", "--json").json == json.loads(
        json.dumps(diff(told, "1", "2"))
    )
    assert lethe("models", "shop", "--show", "2", "--json").json == json.loads(json.dumps(show(told, "2")))
    table = lethe("models", "shop", "--diff", "champion", "2")
    assert table.code == 0
    for part in ("shop v1 (champion) and shop v2", "5 days", "21 days", "0.3000", "seed", "- because 1"):
        assert part in table.out
    assert "not asked the same" not in table.out
    assert "not asked the same" in lethe("models", "shop", "--diff", "1", "4").out
    shown = lethe("models", "shop", "--show", "2").out
    assert "Not promoted because" in shown
    assert "lethe.decision" not in shown
    assert "- because 2" in lethe("models", "shop", "--show", "3").out


@pytest.mark.parametrize("wrong", [["--show", "1"], ["shop", "--show", "1", "--diff", "1", "2"]])
def test_what_the_command_refuses(told: Registry, lethe: Command, wrong: list[str]) -> None:
    said = lethe("models", *wrong)
    assert (said.code, said.out) == (2, "")
    assert "takes one of `--show VERSION` and `--diff A B`" in said.last


def test_a_version_that_is_not_there(told: Registry, lethe: Command) -> None:
    said = lethe("models", "shop", "--diff", "1", "9")
    assert said.code == 2
    assert "must have the version or alias '9'" in said.last
