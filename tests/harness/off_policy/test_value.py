"""`lethe evaluate` on a log that says with which probability each item was shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluators import off_policy
from harness.commands.evaluating import evaluate_configuration
from harness.settings import load
from tests.harness.conftest import Command

CHANCES = np.array([0.05, 0.1, 0.2, 0.6])
LOGGING = np.array([0.4, 0.2, 0.2, 0.2])
TREND = [{"kind": "trend", "weights": True}]


def bandit(rounds: int = 3000, seed: int = 0) -> pd.DataFrame:
    """Items 0 to 3, shown by `LOGGING` and clicked by `CHANCES`; 200 users, a round a minute."""
    random = np.random.default_rng(seed)
    item = random.choice(4, rounds, p=LOGGING)
    return pd.DataFrame(
        {
            "user_id": random.integers(0, 200, rounds),
            "item_id": item,
            "timestamp": 1_600_000_000 + 60 * np.arange(rounds),
            "click": (random.random(rounds) < CHANCES[item]) * 1,
            "p": LOGGING[item],
            "slot": random.integers(0, 3, rounds),
        }
    )


def described(log: pd.DataFrame, folder: Path, **change: Any) -> Path:
    log.to_csv(folder / "log.csv", index=False)
    tree: dict[str, Any] = {
        "data": {"events": "log.csv", "columns": {"weight": "click"}, "repeats": True},
        "split": {"cuts": [0.3, 0.5]},
        "model": {"terms": TREND},
        "evaluate": {"k": [2], "metrics": ["ndcg"]},
        "off_policy": {
            "columns": {"propensity": "p", "reward": "click", "position": "slot"},
            "policy": {"kind": "epsilon_greedy", "epsilon": 0.2},
        },
    }
    for name, value in change.items():
        tree[name] = {**tree[name], **value} if isinstance(value, dict) and name in tree else value
    path = folder / "bandit.yaml"
    path.write_text(json.dumps(tree))
    return path


def judged(monkeypatch: pytest.MonkeyPatch, path: Path) -> off_policy.Logged:
    """What the estimators are asked of."""
    seen: list[off_policy.Logged] = []
    genuine = off_policy.judge

    def judge(logged: off_policy.Logged, *arguments: Any, **more: Any) -> Any:
        seen.append(logged)
        return genuine(logged, *arguments, **more)

    monkeypatch.setattr(off_policy, "judge", judge)
    evaluate_configuration(load(path), "test", None)
    return seen[-1]


def test_the_value_of_a_models_policy_is_found(work: Path, lethe: Command) -> None:
    """The most clicked item is item 3: V = 0.8 · 0.6 + 0.2 · mean; the log itself earned 0.2."""
    told = lethe("evaluate", str(described(bandit(), work)), "--json").json["off_policy"]
    truth = 0.8 * 0.6 + 0.2 * CHANCES.mean()
    names = {"replay", "dm", "ips", "snips", "dr", "sndr", "switch-dr", "dr-os"}
    assert set(told["estimators"]) == names
    assert told["policy"] == "epsilon_greedy epsilon 0.2"
    assert (told["rounds"], told["users"]) == (1500, 200)
    assert told["logged"]["low"] < LOGGING @ CHANCES < told["logged"]["high"]
    for name in ("ips", "snips", "dr", "sndr"):
        figure = told["estimators"][name]
        assert figure["supported"] is True
        assert figure["low"] < truth < figure["high"]
        assert figure["gain"]["low"] > 0
    assert told["sequence"]["low"] < truth < told["sequence"]["high"]
    replay = told["estimators"]["replay"]
    assert replay["supported"] is False
    assert "preferred some actions" in replay["why"]


def test_what_is_not_supported_is_printed_as_such(work: Path, lethe: Command) -> None:
    path = described(bandit(), work)
    said = lethe("evaluate", str(path), "--set", "split.cuts=[0.9,0.98]")
    assert said.code == 0
    rows = {
        line.split()[0]: line.split() for line in said.out.splitlines() if line.startswith(("ips", "dr "))
    }
    assert rows["ips"][-1] == rows["dr"][-1] == "NO"
    assert "not supported: " in said.out
    assert "rewarded rounds, and 30" in " ".join(said.out.split())
    assert "off-policy" not in lethe("evaluate", str(path), "--set", "off_policy=null").out


def test_a_round_is_answered_from_what_came_strictly_before(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """User 7 clicked item 1 long ago. Of two rounds of one second one shows item 2, clicked: neither knows."""
    log = bandit(400)
    log = log[log.user_id != 7]
    late = int(log.timestamp.max()) + 60
    old = {"user_id": 7, "item_id": 1, "timestamp": 1_600_000_000, "click": 1, "p": 0.2, "slot": 0}
    new = [old | {"item_id": item, "timestamp": late} for item in (2, 1)]
    after = [old | {"item_id": 0, "timestamp": late + 1}]
    log = pd.concat([log, pd.DataFrame([old, *new, *after])])
    own = {"terms": [{"kind": "own", "weights": True}]}
    greedy = {
        "columns": {"propensity": "p", "reward": "click"},
        "policy": {"kind": "epsilon_greedy", "epsilon": 0},
    }
    logged = judged(monkeypatch, described(log, work, model=own, off_policy=greedy))
    assert logged.policy[-3:-1].tolist() == [[0, 1, 0, 0], [0, 1, 0, 0]]
    assert logged.action[-3:].tolist() == [2, 1, 0]
    assert logged.chance[-3:-1].tolist() == [0.0, 1.0]
    assert logged.policy[-1, 1:3].sum() == 1.0  # one second later both are known, and tie


def test_an_item_that_training_never_saw_is_never_recommended(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = bandit(800)
    new = log.timestamp > log.timestamp.quantile(0.8)
    log.loc[new & (log.item_id == 0), "item_id"] = 9
    logged = judged(monkeypatch, described(log, work))
    assert logged.actions == 5
    unknown = logged.action == 4
    assert unknown.sum() == (new & (log.item_id == 9)).sum() > 20
    assert (logged.policy[:, 4] == 0).all()
    assert (logged.weight[unknown] == 0).all()


def test_what_was_taken_is_not_shown_again_without_repeats(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    log = bandit(600)
    log["item_id"] = random.integers(0, 200, 600)
    log["p"] = 1 / 200
    logged = judged(monkeypatch, described(log, work, data={"repeats": False}))
    row = len(logged) - 1
    seen = log[(log.user_id == log.user_id.iloc[-1])].item_id.iloc[:-1]
    known = np.sort(log.item_id[:300].unique())
    columns = np.searchsorted(known, seen[seen.isin(known)])
    assert (logged.policy[row, columns] == 0).all()
    assert logged.policy[row].sum() == pytest.approx(1)


def test_a_uniform_log_is_known_as_one(work: Path, lethe: Command) -> None:
    """All its probabilities are known then: groups can be weighted, and the confidence sequence is narrower."""
    log = bandit()
    log["item_id"] = np.random.default_rng(1).integers(0, 4, len(log))
    log["click"] = (np.random.default_rng(2).random(len(log)) < CHANCES[log.item_id]) * 1
    log["p"] = 0.25
    kinds = pd.DataFrame({"item_id": range(4), "categories": ["a", "a", "b", "b"]})
    kinds.to_csv(work / "items.csv", index=False)
    path = described(log, work, data={"items": "items.csv"})
    told = lethe("evaluate", str(path), "--json").json["off_policy"]
    assert told["estimators"]["replay"]["supported"] is True
    assert told["estimators"]["mips"]["mean"] == pytest.approx(0.9 * 0.4 + 0.1 * 0.075, abs=0.06)
    log["p"] = 0.25 + 1e-3 * (log.item_id == 0)
    blind = lethe("evaluate", str(described(log, work)), "--json").json["off_policy"]
    assert "mips" not in blind["estimators"]
    widths = [each["sequence"]["high"] - each["sequence"]["low"] for each in (told, blind)]
    assert widths[0] < widths[1]


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ("off_policy.policy={kind: softmax, temperature: 0.1}", ("dr", "mean")),
        ("off_policy.policy.top=3", ("dr", "mean")),
        ("off_policy.policy.epsilon=0.9", ("dr", "mean")),
        ("off_policy.limit=0.5", ("dr-os", "mean")),
        ("off_policy.resample=rounds", ("dr", "low")),
        ("off_policy.least_propensity=0.01", ("sequence", "low")),
        ("off_policy.largest_reward=3", ("sequence", "low")),
        ("off_policy.columns.position=null", ("dm", "mean")),
        ("evaluate.level=0.5", ("dr", "low")),
    ],
)
def test_every_setting_is_alive(work: Path, change: str, differs: tuple[str, str]) -> None:
    path = described(bandit(1000), work)
    told, other = (
        evaluate_configuration(load(path, changes), "test", None)["off_policy"] for changes in ([], [change])
    )
    name, key = differs
    first, second = (
        each["sequence"] if name == "sequence" else each["estimators"][name] for each in (told, other)
    )
    assert first[key] != second[key]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("off_policy.columns.propensity=pp", "`pp`"),
        ("off_policy.columns.reward=slot", "off_policy.largest_reward"),
        ("off_policy.columns.propensity=slot", "Every propensity must be in (0, 1], but row"),
        ("off_policy.policy.temperature=2", "no setting of the policy `epsilon_greedy`"),
        ("off_policy.limit=0", "limit > 0"),
        ("off_policy.policy.topp=2", "did you mean"),
        ("off_policy.least_propensity=0.3", "least_propensity"),
        ("split.protocol=loo", "take `successive`"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(work: Path, lethe: Command, change: str, message: str) -> None:
    said = lethe("evaluate", str(described(bandit(300), work)), "--set", change)
    assert said.code == 2
    assert message in said.last
