"""`python -m benchmarks.off_policy.fixture`: what obp 0.5.7 says of the tests' small logs."""

from __future__ import annotations

import json

import numpy as np

from benchmarks.off_policy import peer
from tests.evaluators.off_policy.helpers import GROUPS, LIMITS, STORED, small, small_lists, sure


def main() -> None:
    logged = small()
    given = {
        "policy drawn": logged.policy,
        "policy sure": sure(logged).policy,
        "action": logged.action,
        "slot": np.zeros(len(logged), int),
        "reward": logged.reward,
        "propensity": logged.propensity,
        "expected": logged.expected,
        "logging": logged.logging,
        "category": GROUPS,
        "limits": np.array(LIMITS),
        **{f"list_{field}": value for field, value in vars(small_lists()).items()},
    }
    STORED.write_text(json.dumps(peer.told("estimate", "fixture", given), indent=1) + "\n")
    print(STORED)


if __name__ == "__main__":
    main()
