"""Open Bandit's small sample as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from evaluators.arrays import Floats, Ints

SLOTS = 3
POLICIES = ("random", "bts")
CAMPAIGNS = ("men", "women")


@dataclass(frozen=True)
class Bandit:
    """N rounds in order of time: what one policy showed in one of three slots, and whether it was clicked.

    action, slot, reward, propensity [N]; context [N, D]: the users' features, one column a value; category [A]:
    the numbers of the items' `item_feature_3`.
    """

    action: Ints
    slot: Ints
    reward: Floats
    propensity: Floats
    context: Floats
    category: Ints

    @property
    def actions(self) -> int:
        return len(self.category)

    @property
    def features(self) -> Floats:
        """[N, D + 3] the context with the slot."""
        return np.hstack([self.context, np.eye(SLOTS)[self.slot]])


def read(folder: Path, policy: str, campaign: str) -> Bandit:
    """One campaign's log by one policy, from `folder/policy/campaign.csv.gz`."""
    log = pd.read_csv(folder / policy / f"{campaign}.csv.gz", index_col=0)
    log = log.sort_values("timestamp", kind="stable")
    items = pd.read_csv(folder / policy / f"{campaign}.items.csv", index_col=0).sort_values("item_id")
    users = log.loc[:, log.columns.str.contains("user_feature")]
    return Bandit(
        log.item_id.to_numpy(),
        log.position.rank(method="dense").to_numpy().astype(np.int64) - 1,
        log.click.to_numpy(np.float64),
        log.propensity_score.to_numpy(np.float64),
        pd.get_dummies(users, drop_first=True).to_numpy(np.float64),
        pd.factorize(items.item_feature_3)[0].astype(np.int64),
    )
