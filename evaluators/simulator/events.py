"""What simulated users did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluators.arrays import DAY, Bools, Floats, Ints, offsets_of

START = 1_577_836_800.0  # day 0 is 2020-01-01


@dataclass(frozen=True)
class Events:
    """N visits by (time): user, time [N] (days); item [N], -1 where nothing was chosen; satisfied [N]; team [N]: the
    arm, or whose item was chosen from a shared list, -1 where neither says."""

    user: Ints
    time: Floats
    item: Ints
    satisfied: Bools
    team: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.user)

    @classmethod
    def joined(cls, parts: Sequence[Events]) -> Events:
        columns = [
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("user", "time", "item", "satisfied", "team")
        ]
        order = np.argsort(columns[1], kind="stable")
        return cls(*(column[order] for column in columns))

    def of(self, chosen: Bools | Ints) -> Events:
        return Events(
            self.user[chosen], self.time[chosen], self.item[chosen], self.satisfied[chosen], self.team[chosen]
        )

    def packed(self, users: int) -> tuple[Ints, Ints, Floats]:
        """The events in which something was chosen, as a packed log: offsets [users+1], items, times [N'] unix seconds,
        by (user, time)."""
        took = np.flatnonzero(self.item >= 0)
        order = took[np.lexsort((self.item[took], self.time[took], self.user[took]))]
        counts = np.bincount(self.user[order], minlength=users)
        return offsets_of(counts), self.item[order], START + self.time[order] * DAY

    def write(self, path: Path) -> None:
        """An event log that `lethe prepare` reads: CSV with user_id, item_id, timestamp (unix seconds)."""
        took = self.item >= 0
        pd.DataFrame(
            {
                "user_id": self.user[took],
                "item_id": self.item[took],
                "timestamp": START + self.time[took] * DAY,
            }
        ).to_csv(path, index=False)
