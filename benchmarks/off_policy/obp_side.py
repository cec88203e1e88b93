"""Run by the environment `obp`: what Open Bandit Pipeline 0.5.7 says of arrays that are handed over.

`python obp_side.py estimate GIVEN.npz MADE.json`: every estimator of each policy;
`python obp_side.py policy MADE.npz CAMPAIGN`: the Bernoulli TS policy [A, 3] that was live, by 100,000 draws;
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from obp import ope
from obp.policy import BernoulliTS

SLOTS = 3
Arrays = dict[str, np.ndarray]


def estimators(limits: list[float]) -> dict[str, Any]:
    """By Lethe's name of each."""
    return {
        "replay": ope.ReplayMethod(),
        "dm": ope.DirectMethod(),
        "ips": ope.InverseProbabilityWeighting(),
        "ips, limit 5": ope.InverseProbabilityWeighting(lambda_=5.0),
        "snips": ope.SelfNormalizedInverseProbabilityWeighting(),
        "dr": ope.DoublyRobust(),
        "dr, limit 5": ope.DoublyRobust(lambda_=5.0),
        "sndr": ope.SelfNormalizedDoublyRobust(),
        "switch-dr, limit 2": ope.SwitchDoublyRobust(lambda_=2.0),
        "dr-os, limit 10": ope.DoublyRobustWithShrinkage(lambda_=10.0),
        "ips, auto": ope.InverseProbabilityWeightingTuning(lambdas=limits),
        "dr, auto": ope.DoublyRobustTuning(lambdas=limits),
        "switch-dr, auto": ope.SwitchDoublyRobustTuning(lambdas=limits),
        "dr-os, auto": ope.DoublyRobustWithShrinkageTuning(lambdas=limits),
    }


def rounds(data: Arrays, policy: np.ndarray) -> dict[str, float]:
    """Of single rounds: one policy [N, A] by every estimator."""

    def wide(table: np.ndarray) -> np.ndarray:
        return np.repeat(table[:, :, None], SLOTS, axis=2)

    given = {
        "reward": data["reward"],
        "action": data["action"],
        "position": data["slot"],
        "pscore": data["propensity"],
        "action_dist": wide(policy),
        "estimated_rewards_by_reg_model": wide(data["expected"]),
    }
    found = {}
    for name, estimator in estimators(data["limits"].tolist()).items():
        tuned = hasattr(estimator, "estimate_policy_value_with_tuning")
        ask = estimator.estimate_policy_value_with_tuning if tuned else estimator.estimate_policy_value
        found[name] = float(ask(**given))
    groups = int(data["category"].max()) + 1
    mips = ope.MarginalizedInverseProbabilityWeighting(n_actions=policy.shape[1])
    found["mips"] = float(
        mips.estimate_policy_value(
            reward=data["reward"],
            action=data["action"],
            position=data["slot"],
            action_embed=data["category"][data["action"]][:, None],
            pi_b=wide(data["logging"]),
            action_dist=given["action_dist"],
            p_e_a=np.eye(groups)[data["category"]][:, :, None],
        )
    )
    return found


def lists(data: Arrays) -> dict[str, float]:
    """Of lists [L, K]."""
    count, slots = data["list_reward"].shape
    actions = data["list_policy"].shape[2]
    common = {
        "slate_id": np.repeat(np.arange(count), slots),
        "reward": data["list_reward"].ravel(),
        "position": np.tile(np.arange(slots), count),
    }
    logged = np.cumprod(data["list_above_propensity"], axis=1).ravel()
    asked = np.cumprod(data["list_above_chance"], axis=1).ravel()
    return {
        "iips": float(
            ope.SlateIndependentIPS(len_list=slots).estimate_policy_value(
                **common,
                pscore_item_position=data["list_propensity"].ravel(),
                evaluation_policy_pscore_item_position=data["list_chance"].ravel(),
            )
        ),
        "rips": float(
            ope.SlateRewardInteractionIPS(len_list=slots).estimate_policy_value(
                **common, pscore_cascade=logged, evaluation_policy_pscore_cascade=asked
            )
        ),
        "cascade-dr": float(
            ope.SlateCascadeDoublyRobust(len_list=slots, n_unique_action=actions).estimate_policy_value(
                **common,
                action=data["list_action"].ravel(),
                pscore_cascade=logged,
                evaluation_policy_pscore_cascade=asked,
                q_hat=data["list_expected"].ravel(),
                evaluation_policy_action_dist=data["list_policy"].ravel(),
            )
        ),
    }


def main() -> None:
    what, first, second = sys.argv[1:4]
    if what == "policy":
        actions = {"all": 80, "men": 34, "women": 46}[second]
        policy = BernoulliTS(
            n_actions=actions, len_list=SLOTS, random_state=12345, is_zozotown_prior=True, campaign=second
        )
        np.savez(first, policy=policy.compute_batch_action_dist(n_sim=100_000)[0])
        return
    with np.load(first) as file:
        data = {name: file[name] for name in file.files}
    policies = [name for name in data if name.startswith("policy ")]
    made = {name.removeprefix("policy "): rounds(data, data[name]) for name in policies}
    if "list_reward" in data:
        made["lists"] = lists(data)
    with open(second, "w") as out:
        json.dump(made, out, indent=1)


if __name__ == "__main__":
    main()
