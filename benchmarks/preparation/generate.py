"""Synthetic event logs of any size as Parquet, written a few million events at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FILE_EVENTS = 5_000_000
BEGIN, SPAN = 1_600_000_000, 50_000_000  # unix seconds


@dataclass(frozen=True)
class World:
    """Users, all alike, and items that are wanted by Zipf's law: the one of rank r in proportion to 1 / r.

    Attributes:
        late: share of the events that happen before `begin`, in the span before it.
    """

    users: int
    items: int
    begin: int = BEGIN
    span: int = SPAN
    late: float = 0.0

    def write(self, folder: Path, events: int, seed: int = 0) -> list[Path]:
        """Files of columns `user_id` (text), `item_id` (int64), `timestamp` (int64, ascending but for late events)."""
        folder.mkdir(parents=True)
        rng = np.random.default_rng(seed)
        share = np.cumsum(1 / np.arange(1, self.items + 1))
        of_rank = np.random.default_rng(1).permutation(self.items)
        users = pa.array([f"user-{number:08d}" for number in range(self.users)])
        files = []
        for done in range(0, events, FILE_EVENTS):
            count = min(FILE_EVENTS, events - done)
            low, high = self.span * done // events, self.span * (done + count) // events
            times = self.begin + np.sort(rng.integers(low, high, count))
            late = rng.random(count) < self.late
            times[late] -= self.span
            items = of_rank[np.searchsorted(share, rng.random(count) * share[-1])]
            table = pa.table(
                {
                    "user_id": users.take(pa.array(rng.integers(0, self.users, count))),
                    "item_id": items,
                    "timestamp": times,
                }
            )
            files.append(folder / f"events-{done // FILE_EVENTS:05d}.parquet")
            pq.write_table(table, files[-1], row_group_size=1_000_000)
        return files
