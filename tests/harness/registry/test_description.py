"""The page of a version: what it must say, from a story with invented figures."""

from __future__ import annotations

from typing import Any

import pytest

from harness.registry.description import GAP, brief, markdown
from tests.harness.report.sample import summary


@pytest.fixture
def story() -> dict[str, Any]:
    told = summary()
    told["trained_until"] = "2011-10-03T12:00:00+00:00"
    told["finetune"]["window_days"] = 60.0
    told["evaluation"]["audit"]["notices"] = [{"sentence": "3 items are new since."}]
    told["experiment_id"] = "7"
    told["cost"] = {
        "seconds": 423.0, "cpu_seconds": 720.0, "peak_memory": 3 << 29, "energy_wh": 2.0, "watts_per_core": 10.0,
    }  # fmt: skip
    return told


def sections(story: dict[str, Any]) -> dict[str, str]:
    head, *parts = markdown(story).split("\n### ")
    return {"": head} | dict(part.split("\n\n", 1) for part in parts)


def test_the_verdict_comes_first_and_then_what_a_newcomer_asks(story: dict[str, Any]) -> None:
    lines = markdown(story).splitlines()
    assert lines[0] == story["verdict"]["sentence"]
    reasons = [f"    - {reason}" for reason in story["verdict"]["reasons"]]
    assert lines[2 : 3 + len(reasons)] == ["- **Why:**", *reasons]
    asked = [line for line in lines[3:9] if not line.startswith(" ")]
    assert [line.split("**")[1] for line in asked[:3]] == ["Made from:", "Forgets:", "Live:"]
    assert "by `configs/online-retail.yaml`" in lines[3 + len(reasons)]
    assert "(#/experiments/7/runs/" in markdown(story)
    assert brief(story) == markdown(story).split("\n\n###")[0]


def test_it_says_how_its_intervals_are_found(story: dict[str, Any]) -> None:
    assert "Brackets are 95 % intervals that resample users." in sections(story)["On the test queries"]
    story["intervals"] = {"level": 0.9, "method": "robust"}
    assert "Brackets are 90 % intervals of a standard error" in sections(story)["On the test queries"]


@pytest.mark.parametrize(
    ("promoted", "against", "live", "back"),
    [
        (True, "champion v41", "this one, in place of v41", "makes v41 champion again"),
        (True, "none", "this one, the first", "replaced nothing; once another replaced it, `lethe rollback"),
        (False, "champion v41", "when this was written, v41", "asks the gate once more"),
        (False, "none", "when this was written, none", "/quickstart.yaml 7` asks the gate once more"),
    ],
)
def test_who_is_live_and_how_to_go_back(
    story: dict[str, Any], promoted: bool, against: str, live: str, back: str
) -> None:
    story["verdict"] = {**story["verdict"], "promoted": promoted}
    story["comparisons"] = [{**story["comparisons"][0], "against": against}]
    story |= {"config_path": "configs/quickstart.yaml", "model": {**story["model"], "version": 7}}
    said = dict(line[4:].split(":** ", 1) for line in brief(story).splitlines() if ":** " in line)
    assert said["Live"].endswith(live)
    assert back in said["Go back"]


def test_every_metric_has_its_interval_and_what_it_is_above_each(story: dict[str, Any]) -> None:
    table = sections(story)["On the test queries"].splitlines()
    against = [entry["against"] for entry in story["comparisons"]]
    heads = ["this model", *(f"over {a.split()[0]}" for a in against)]
    assert table[0] == "| metric | " + " | ".join(f"{GAP}{head}" for head in heads) + " |"
    assert table[1] == "|:--" * (2 + len(against)) + "|"
    assert [row.split(" | ")[0] for row in table[2 : 2 + len(story["evaluation"]["metrics"])]] == [
        f"| {name}" for name in story["evaluation"]["metrics"]
    ]
    row = next(row for row in table if row.startswith("| ndcg@10 |"))
    for entry in story["comparisons"]:
        found = entry["ndcg@10"]
        assert f"{found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]" in row


def test_the_curve_the_data_and_the_audit(story: dict[str, Any]) -> None:
    found = sections(story)
    assert found["What it forgets"].startswith(story["fading"]["sentence"])
    origin = found["What it was made from"]
    assert "fingerprint `b3f1c0de5a6e4d0f9a77c1e2`" in origin
    assert "before the cut at 90% of the events, the newest of 3 October 2011" in origin
    assert story["evaluation"]["audit"]["verdict"] in origin
    assert "- 3 items are new since." in origin


def test_how_it_was_chosen(story: dict[str, Any]) -> None:
    search = story["search"]
    said = sections(story)["How it was chosen"]
    assert f"- Search: {search['trials']} trials, {search['failed']} failed; the best" in said
    assert f"reached {search['best']['value']:.4f} on validation" in said
    assert "on the last 60 days, and dropped: the recent window gained nothing" in said
    met = [entry["against"] for entry in story["comparisons"] if entry["against"].startswith("champion")]
    assert (f"compared it with {met[0]}" if met else "It met no champion") in said
    story |= {"search": None, "finetune": None}
    story["comparisons"] = [{**story["comparisons"][0], "against": "champion v41"}]
    plain = sections(story)["How it was chosen"]
    assert "No search" in plain
    assert "Not fine-tuned" in plain
    assert "The gate compared it with champion v41." in plain


def test_what_it_cost_and_what_is_assumed_of_it(story: dict[str, Any]) -> None:
    said = sections(story)["What it cost"]
    assert said.startswith(
        "7 min 3 s by the clock, 12 min 0 s of processors, 1.50 GiB at most: of one start of this run"
    )
    assert "About 2 Wh, if a busy core takes 10 W (assumed, not measured" in said
    story["cost"] |= {"cpu_seconds": None, "peak_memory": None, "energy_wh": None}
    unknown = sections(story)["What it cost"]
    assert unknown.startswith("7 min 3 s by the clock: of one start")
    assert "Wh" not in unknown
    story["cost"] |= {"starts": 3, "gpu_seconds": 90.0}
    assert "7 min 3 s by the clock, 1 min 30 s of GPUs: of all 3 starts" in sections(story)["What it cost"]


def test_its_limits(story: dict[str, Any]) -> None:
    story["terms"] = [{**story["terms"][0], "kind": "own"}]
    said = sections(story)["Limits of use"]
    assert "nothing after 3 October 2011" in said
    assert "It has no `trend`" in said
    assert "may be recommended again" in said
    assert "leaks" not in said
    story["terms"].append({**story["terms"][0], "kind": "trend", "weight": 0.1})
    story["repeats"] = False
    story["evaluation"]["audit"]["leaks"] = True
    other = sections(story)["Limits of use"]
    assert "It has no `trend`" not in other
    assert "are left out (`repeats: false`)" in other
    assert "The split leaks" in other
