"""What an event log looks like, in numbers for the report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.store import Store
from trainers.log import DAY

QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
WEEKS_SHOWN = 208
"""Longer spans are counted by calendar month."""
_BASKETS = (1, 2, 3, 5, 10, 20, 50, 100)
_CHUNK = 1 << 22

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


def summarise(store: Store) -> dict[str, Any]:
    """A dictionary that JSON can hold:

    - `counts`: as in the store; `span`: `first` and `last` as ISO 8601 in UTC, and `days` between them
    - `histogram`: `period` (`week`, from Monday, or `month`), `start` (dates) and `events`, without holes
    - `gap_days`: quantiles of the days between a user's neighbouring moments; null for a log without any
    - `repeat_share`: share of events whose user had the item at an earlier moment
    - `baskets`: events per moment: `moments`, `mean`, quantiles and a histogram (`from`, `moments`)
    - `events_per_user`: mean and quantiles
    - `popularity`: `gini` of events per item (0: all alike) and `top_1_percent_share` of the events
    """
    # Here: half a second to import, which those who only prepare do without.
    from evaluators.metrics.spread import gini
    from evaluators.packed import moments

    times = np.asarray(store.times)
    first = moments(store.offsets, times).first
    starts, sizes = first[:-1], np.diff(first)
    per_item = np.bincount(store.items, minlength=store.counts.items)
    return {
        "counts": asdict(store.counts),
        "span": _span(times),
        "histogram": _histogram(times),
        "gap_days": _quantiles(_gaps(times, starts, store.offsets) / DAY),
        "repeat_share": sum(int(r.sum()) for r in _repeats(store)) / len(times),
        "baskets": {
            "moments": len(starts),
            "mean": float(sizes.mean()),
            **(_quantiles(sizes) or {}),
            "histogram": _basket_histogram(sizes),
        },
        "events_per_user": {
            "mean": float(np.diff(store.offsets).mean()),
            **(_quantiles(np.diff(store.offsets)) or {}),
        },
        "popularity": {
            "gini": gini(per_item.astype(np.float64)),
            "top_1_percent_share": _top_share(per_item, 0.01),
        },
    }


def _gaps(times: _Floats, starts: _Ints, offsets: _Ints) -> _Floats:
    """Seconds from each moment to the same user's next."""
    gaps = np.diff(times[starts])
    last = np.searchsorted(starts, offsets[1:-1]) - 1  # the last moment of every user but the last
    return np.delete(gaps, last)


def _repeats(store: Store) -> Iterator[npt.NDArray[np.bool_]]:
    """For events, some users at a time: whether the user had the item at an earlier moment. Not in order of
    rows.
    """
    users = len(store.offsets) - 1
    low = 0
    while low < users:
        # As many users as hold a few million events, at least one: the sort stays small.
        high = int(np.searchsorted(store.offsets, store.offsets[low] + _CHUNK, side="right")) - 1
        high = min(max(high, low + 1), users)
        rows = slice(int(store.offsets[low]), int(store.offsets[high]))
        lengths = np.diff(store.offsets[low : high + 1])
        pair = np.repeat(np.arange(len(lengths)), lengths) * store.counts.items + store.items[rows]
        order = np.argsort(pair, kind="stable")  # rows of a user are in order of time, and stay so in a pair
        pair, times = pair[order], store.times[rows][order]
        first = np.flatnonzero(np.append(True, pair[1:] != pair[:-1]))
        yield times > np.repeat(times[first], np.diff(np.append(first, len(pair))))
        low = high


def _span(times: _Floats) -> dict[str, Any]:
    first, last = float(times.min()), float(times.max())
    text = [str(np.datetime64(int(t), "s")) + "Z" for t in (first, last)]
    return {"first": text[0], "last": text[1], "days": (last - first) / DAY}


def _histogram(times: _Floats) -> dict[str, Any]:
    days = np.floor(times / DAY).astype(np.int64)
    weeks = (days + 3) // 7  # 1970-01-01 was a Thursday
    if weeks.max() - weeks.min() < WEEKS_SHOWN:
        period, bins = "week", weeks
        numbers = np.arange(bins.min(), bins.max() + 1)
        start = (numbers * 7 - 3).astype("datetime64[D]")
    else:
        period, bins = "month", days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        numbers = np.arange(bins.min(), bins.max() + 1)
        start = numbers.astype("datetime64[M]").astype("datetime64[D]")
    events = np.bincount(bins - bins.min(), minlength=len(numbers))
    return {"period": period, "start": start.astype(str).tolist(), "events": events.tolist()}


def _quantiles(values: npt.NDArray[Any]) -> dict[str, float] | None:
    if len(values) == 0:
        return None
    found = np.quantile(values, QUANTILES)
    return {f"p{round(q * 100)}": float(v) for q, v in zip(QUANTILES, found, strict=True)}


def _basket_histogram(sizes: _Ints) -> dict[str, list[int]]:
    bucket = np.searchsorted(_BASKETS, sizes, side="right") - 1
    return {"from": list(_BASKETS), "moments": np.bincount(bucket, minlength=len(_BASKETS)).tolist()}


def _top_share(counts: _Ints, share: float) -> float:
    """Share of the events that the most popular `share` of the items, at least one, have."""
    top = max(1, round(share * len(counts)))
    return float(np.sort(counts)[::-1][:top].sum() / counts.sum())
