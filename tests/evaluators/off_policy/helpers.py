"""Small logs: some that obp's figures are stored of, some with a known truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from evaluators.off_policy import Logged, LoggedLists, in_turn, softmax

STORED = Path(__file__).with_name("obp.json")
"""Made by `python -m benchmarks.off_policy.fixture`, which asks obp 0.5.7 of `small()` and `small_lists()`."""
LIMITS = (0.5, 1.0, 2.0, 5.0, float("inf"))
GROUPS = np.array([0, 1, 0, 2, 1])


def stored() -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = json.loads(STORED.read_text())
    return found


def small(rounds: int = 60, actions: int = 5) -> Logged:
    """Of no meaning, but with every part that an estimator may read."""
    random = np.random.default_rng(3)
    logging = softmax(random.normal(size=(rounds, actions)))
    action = np.array([random.choice(actions, p=row) for row in logging])
    return Logged(
        action,
        random.random(rounds),
        logging[np.arange(rounds), action],
        softmax(random.normal(size=(rounds, actions))),
        random.random((rounds, actions)),
        logging,
    )


def sure(logged: Logged) -> Logged:
    """The same with a policy that does not draw."""
    return logged.with_policy(np.eye(logged.actions)[np.arange(len(logged)) % logged.actions])


def small_lists(count: int = 20, slots: int = 3, actions: int = 5) -> LoggedLists:
    random = np.random.default_rng(4)
    shown = np.array([random.permutation(actions)[:slots] for _ in range(count)])
    policy, logging = (in_turn(softmax(random.normal(size=(count, actions))), shown) for _ in range(2))

    def of(table: Any) -> Any:
        return np.take_along_axis(table, shown[:, :, None], axis=2)[:, :, 0]

    return LoggedLists(
        random.random((count, slots)),
        random.uniform(0.1, 0.6, (count, slots)),
        random.uniform(0, 0.9, (count, slots)),
        of(logging),
        of(policy),
        shown,
        policy,
        random.random((count, slots, actions)),
    )


def fair(seed: int, rounds: int = 1500, chance: float = 0.3) -> tuple[Logged, float]:
    """A uniform log of three actions with rewards 0 or 1, a policy that prefers the best one, and its true value."""
    random = np.random.default_rng([seed, 5])
    mean, policy = chance * np.array([0.5, 1.0, 2.0]), np.array([0.2, 0.2, 0.6])
    action = random.integers(0, 3, rounds)
    reward = (random.random(rounds) < mean[action]).astype(np.float64)
    wrong = np.full((rounds, 3), chance)
    logged = Logged(action, reward, np.full(rounds, 1 / 3), np.tile(policy, (rounds, 1)), wrong)
    return logged, float(policy @ mean)
