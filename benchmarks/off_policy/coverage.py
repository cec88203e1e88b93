"""Logs with a known truth: how often 95 % intervals hold it, and whether diagnostics fire where they do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluators.arrays import Floats
from evaluators.off_policy import (
    IPS,
    DirectMethod,
    DoublyRobust,
    Estimator,
    Logged,
    Logistic,
    SelfNormalizedDR,
    SelfNormalizedIPS,
    ShrunkDR,
    SwitchDR,
    confidence_sequence,
    cross_fitted,
    judge,
    softmax,
)

ACTIONS, WIDTH = 8, 3
REPLICATES = 300


@dataclass(frozen=True)
class World:
    """Contexts x ~ N(0, 1)³, rewards 1 with probability σ(level + x·B_a), a logging policy softmax(`logging` x·C_a)
    and one in question softmax(`asked` x·B_a), which follows the rewards. `never`: actions that the logging
    policy never takes; `spoiled`: propensities are written down as if it were uniform; `each`: rounds a user,
    who share a level of N(0, `spread`²)."""

    rounds: int = 2000
    level: float = -1.0
    logging: float = 0.3
    asked: float = 1.0
    never: int = 0
    spoiled: bool = False
    each: int = 1
    spread: float = 0.0

    def tables(self, context: Floats) -> tuple[Floats, Floats, Floats]:
        """-> expected rewards without users' levels, logging policy, policy in question, each [N, A]."""
        fixed = np.random.default_rng(7)
        rewards = context @ fixed.normal(0, 0.7, (WIDTH, ACTIONS)) + fixed.normal(0, 0.5, ACTIONS)
        habits = self.logging * context @ fixed.normal(0, 1, (WIDTH, ACTIONS))
        habits[:, : self.never] = -np.inf
        return rewards, softmax(habits), softmax(self.asked * rewards)

    def truth(self) -> float:
        """V of the policy in question, over 200,000 other contexts."""
        random = np.random.default_rng(1)
        context = random.normal(size=(200_000, WIDTH))
        rewards, _, policy = self.tables(context)
        level = self.level + random.normal(0, self.spread, (len(context), 1))
        return float((policy / (1 + np.exp(-rewards - level))).sum(1).mean())

    def draw(self, seed: int) -> Logged:
        random = np.random.default_rng([seed, 11])
        users = np.arange(self.rounds) // self.each
        context = random.normal(size=(self.rounds, WIDTH))
        rewards, logging, policy = self.tables(context)
        action = (logging.cumsum(1) < random.random((self.rounds, 1))).sum(1).clip(0, ACTIONS - 1)
        level = self.level + random.normal(0, self.spread, self.rounds)[users]
        rows = np.arange(self.rounds)
        reward = (random.random(self.rounds) < 1 / (1 + np.exp(-rewards[rows, action] - level))) * 1.0
        expected = cross_fitted(Logistic(), context, action, reward, ACTIONS, users=users)
        propensity = np.full(self.rounds, 1 / ACTIONS) if self.spoiled else logging[rows, action]
        return Logged(action, reward, propensity, policy, expected, users=users)


WORLDS = {
    "enough": World(),
    "users of 10 rounds": World(rounds=3000, each=10, spread=1.5),
    "rare rewards, many rounds": World(rounds=4000, level=-3.5),
    "rare rewards": World(rounds=1500, level=-5.5),
    "few rounds": World(rounds=60),
    "far from the log": World(rounds=1000, logging=2.5, asked=3.0),
    "outside the log": World(never=2),
    "wrong propensities": World(logging=1.0, spoiled=True),
}

SUFFICIENT = ("enough", "users of 10 rounds", "rare rewards, many rounds")
"""The worlds whose logs should be let pass; of the others a quarter of the runs is enough to see that they are not."""

ESTIMATORS: tuple[Estimator, ...] = (
    IPS(),
    SelfNormalizedIPS(),
    DirectMethod(),
    DoublyRobust(),
    SelfNormalizedDR(),
    SwitchDR("auto"),
    ShrunkDR("auto"),
)


@dataclass(frozen=True)
class Covered:
    """Of one estimator in one world: in how many of the runs its figure was supported, and in which share of these
    and of the others the interval held the truth; None where there are none."""

    runs: int
    supported: int
    held: float | None
    held_otherwise: float | None


def measure(world: World, runs: int) -> tuple[dict[str, Covered], float]:
    """-> by estimator, and the share of runs whose confidence sequence held the truth after every round."""
    truth = world.truth()
    seen: dict[str, list[tuple[bool, bool]]] = {estimator.name: [] for estimator in ESTIMATORS}
    always = []
    for seed in range(runs):
        logged = world.draw(seed)
        for name, figure in judge(logged, ESTIMATORS, n=REPLICATES).items():
            seen[name].append((figure.supported, figure.value.low <= truth <= figure.value.high))
        low, high = confidence_sequence(logged)
        always.append(bool(((low <= truth) & (truth <= high)).all()))
    return {name: _covered(pairs) for name, pairs in seen.items()}, float(np.mean(always))


def _covered(pairs: list[tuple[bool, bool]]) -> Covered:
    good = [held for supported, held in pairs if supported]
    other = [held for supported, held in pairs if not supported]
    shares = (float(np.mean(part)) if part else None for part in (good, other))
    return Covered(len(pairs), len(good), *shares)
