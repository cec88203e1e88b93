"""How far each estimator is from the on-policy value on Open Bandit, over bootstrap samples, as obp publishes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.off_policy import peer
from benchmarks.off_policy.bandit import read
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
    cross_fitted,
    diagnose,
)

GRID = (10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10000.0, np.inf)  # obp's example has these
ESTIMATORS: dict[str, Estimator] = {
    "dm": DirectMethod(),
    "ips": IPS(),
    "snips": SelfNormalizedIPS(),
    "dr": DoublyRobust(),
    "sndr": SelfNormalizedDR(),
    "switch-dr, obp's grid": SwitchDR("auto", GRID),
    "dr-os, obp's grid": ShrunkDR("auto", GRID),
    "switch-dr, auto": SwitchDR("auto"),
    "dr-os, auto": ShrunkDR("auto"),
}


def measure(folder: Path, campaign: str, logged_by: str, samples: int) -> dict[str, dict[str, float]]:
    """|V̂ - V| / V, its mean and standard deviation over samples, by estimator; V is the mean reward of the other
    policy's own log. `supported`: the share of samples that the diagnostics let pass."""
    asked = "bts" if logged_by == "random" else "random"
    bandit, other = read(folder, logged_by, campaign), read(folder, asked, campaign)
    truth, actions = other.reward.mean(), bandit.actions
    table = peer.live_policy(campaign) if asked == "bts" else np.full((actions, 3), 1 / actions)
    policy = table.T[bandit.slot] / table.sum(0)[bandit.slot][:, None]
    errors: dict[str, list[float]] = {name: [] for name in ESTIMATORS}
    passed: dict[str, list[bool]] = {name: [] for name in ESTIMATORS}
    for seed in range(samples):
        index = np.random.RandomState(seed).choice(len(policy), len(policy))
        features, action, reward = bandit.features[index], bandit.action[index], bandit.reward[index]
        # A round that was drawn twice must not be in two folds.
        expected = cross_fitted(Logistic(), features, action, reward, actions, users=index)
        logged = Logged(
            action, reward, bandit.propensity[index], policy[index], expected, cell=bandit.slot[index]
        )
        for name, estimator in ESTIMATORS.items():
            errors[name].append(abs(estimator.estimate(logged) - truth) / truth)
            passed[name].append(diagnose(estimator, logged).supported)
    return {
        name: {
            "mean": float(np.mean(row)),
            "std": float(np.std(row, ddof=1)),
            "supported": float(np.mean(passed[name])),
        }
        for name, row in errors.items()
    }
