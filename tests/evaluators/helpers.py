"""Logs for the tests: made small and full of ties, or real, in the referee's shape and packed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluators import Csr
from evaluators.arrays import Ints, offsets_of
from tests.reference import protocol

RETAIL = Path(__file__).parents[2] / "data" / "online-retail" / "events.csv.gz"


class Packed(NamedTuple):
    offsets: Ints
    items: NDArray[np.int32]
    times: NDArray[np.float64]
    vocabulary: NDArray[Any]


def frame(users: Any, items: Any, times: Any) -> pd.DataFrame:
    """Events as the referee reads them: by (timestamp, user_id, item_id), users numbered as they appear."""
    events = pd.DataFrame({"user_id": users, "item_id": items, "timestamp": times})
    events = events.sort_values(["timestamp", "user_id", "item_id"], kind="stable").reset_index(drop=True)
    events["u"] = pd.factorize(events.user_id)[0]
    return events


def pack(events: pd.DataFrame) -> Packed:
    vocabulary, items = np.unique(events.item_id.to_numpy(), return_inverse=True)
    users, times = events.u.to_numpy(), events.timestamp.to_numpy().astype(np.float64)
    order = np.lexsort((items, times, users))
    return Packed(offsets_of(np.bincount(users)), items[order].astype(np.int32), times[order], vocabulary)


def crowded(seed: int, events: int = 120) -> pd.DataFrame:
    """Few users, items and seconds: baskets, duplicates, repeats and moments on the cut all happen."""
    random = np.random.default_rng(seed)
    return frame(
        random.integers(0, 9, events) * 7, random.integers(0, 14, events) * 3, random.integers(0, 25, events)
    )


@cache
def retail() -> tuple[pd.DataFrame, Packed]:
    events = protocol.load(RETAIL)
    return events, pack(events)


def lists(columns: list[Any]) -> Csr:
    """Lists of columns, one per query."""
    offsets = offsets_of(np.array([len(c) for c in columns], dtype=np.int64))
    return Csr(offsets, np.array([x for c in columns for x in c], dtype=np.int64))
