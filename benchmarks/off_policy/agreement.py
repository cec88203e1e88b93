"""Every estimator that both have, on the same arrays: how far Lethe's figure is from Open Bandit Pipeline's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.off_policy import peer
from benchmarks.off_policy.bandit import CAMPAIGNS, POLICIES, SLOTS, Bandit, read
from evaluators.arrays import Floats
from evaluators.off_policy import (
    IPS,
    CascadeDR,
    DirectMethod,
    DoublyRobust,
    Estimator,
    IndependentIPS,
    Logged,
    LoggedLists,
    Logistic,
    MarginalizedIPS,
    Replay,
    RewardInteractionIPS,
    SelfNormalizedDR,
    SelfNormalizedIPS,
    ShrunkDR,
    SwitchDR,
    cross_fitted,
    in_turn,
    softmax,
)

LIMITS = (0.5, 1.0, 2.0, 5.0, 10.0, 100.0, np.inf)


def estimators(bandit: Bandit) -> dict[str, Estimator]:
    """By the name that `obp_side.py` has for each."""
    return {
        "replay": Replay(),
        "dm": DirectMethod(),
        "ips": IPS(),
        "ips, limit 5": IPS(5.0),
        "snips": SelfNormalizedIPS(),
        "dr": DoublyRobust(),
        "dr, limit 5": DoublyRobust(5.0),
        "sndr": SelfNormalizedDR(),
        "switch-dr, limit 2": SwitchDR(2.0),
        "dr-os, limit 10": ShrunkDR(10.0),
        "ips, auto": IPS("auto", LIMITS),
        "dr, auto": DoublyRobust("auto", LIMITS),
        "switch-dr, auto": SwitchDR("auto", LIMITS),
        "dr-os, auto": ShrunkDR("auto", LIMITS),
        "mips": MarginalizedIPS(bandit.category),
    }


def measure(folder: Path) -> dict[str, dict[str, float]]:
    """-> by estimator, the largest difference over logs and policies, and the largest figure it was found on."""
    found: dict[str, dict[str, float]] = {}
    for campaign in CAMPAIGNS:
        live = peer.live_policy(campaign)
        for policy in POLICIES:
            bandit = read(folder, policy, campaign)
            ours, theirs = _both(bandit, live, policy, f"{policy}-{campaign}")
            for name, figures in ours.items():
                entry = found.setdefault(name, {"difference": 0.0, "figures": 0, "largest": 0.0})
                for asked, figure in figures.items():
                    if name == "replay" and asked != "one item":
                        continue  # obp's knows policies that do not draw
                    entry["difference"] = max(entry["difference"], abs(figure - theirs[asked][name]))
                    entry["figures"] += 1
                    entry["largest"] = max(entry["largest"], abs(figure))
    return found


def _both(bandit: Bandit, live: Floats, policy: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """-> Lethe's figures by estimator and policy, obp's by policy and estimator."""
    rounds, actions = len(bandit.action), bandit.actions
    uniform = np.full((rounds, actions), 1 / actions)
    random = np.random.default_rng(0)
    one_item = np.eye(actions)[live.argmax(0)[bandit.slot]]
    asked = {
        "the other": live.T[bandit.slot] if policy == "random" else uniform,
        "softmax": softmax(random.normal(size=(rounds, actions)), 0.8),
        "one item": one_item,
    }
    asked["the other"] = asked["the other"] / asked["the other"].sum(1, keepdims=True)
    expected = cross_fitted(Logistic(), bandit.features, bandit.action, bandit.reward, actions)
    logging = uniform if policy == "random" else live.T[bandit.slot] + 1e-9
    logging = logging / logging.sum(1, keepdims=True)
    lists = _lists(bandit, expected, asked["softmax"])
    given = {f"policy {key}": table for key, table in asked.items()} | {
        "action": bandit.action,
        "slot": bandit.slot,
        "reward": bandit.reward,
        "propensity": bandit.propensity,
        "expected": expected,
        "logging": logging,
        "category": bandit.category,
        "limits": np.array(LIMITS),
        **{f"list_{field}": value for field, value in vars(lists).items()},
    }
    theirs = peer.told("estimate", name, given)
    logged = Logged(
        bandit.action,
        bandit.reward,
        bandit.propensity,
        asked["the other"],
        expected,
        logging,
        cell=bandit.slot,
    )
    ours: dict[str, Any] = {
        label: {key: estimator.estimate(logged.with_policy(table)) for key, table in asked.items()}
        for label, estimator in estimators(bandit).items()
    }
    for of_lists in (IndependentIPS(), RewardInteractionIPS(), CascadeDR()):
        ours[of_lists.name] = {"lists": of_lists.estimate(lists)}
    return ours, theirs


def _lists(bandit: Bandit, expected: Floats, policy: Floats) -> LoggedLists:
    """The log's rounds as lists, the first of slot 1 with the first of slot 2 and of slot 3 and so on: the sample has
    no whole lists. Lists that show an item twice are left out."""
    rows = [np.flatnonzero(bandit.slot == slot) for slot in range(SLOTS)]
    count = min(map(len, rows))
    index = np.stack([row[:count] for row in rows], axis=1)
    shown = bandit.action[index]
    distinct = np.array([len(set(row)) == SLOTS for row in shown.tolist()])
    index, shown = index[distinct], shown[distinct]
    turns = in_turn(policy[index[:, 0]], shown)
    chance = np.take_along_axis(turns, shown[:, :, None], axis=2)[:, :, 0]
    propensity = bandit.propensity[index]
    return LoggedLists(
        bandit.reward[index],
        propensity,
        policy[index, shown],
        propensity,
        chance,
        shown,
        turns,
        expected[index],
    )
