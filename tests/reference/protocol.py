"""The evaluation protocol of Lethe in its smallest form: numpy and pandas only, slow, exact. The
project's evaluator must give the same figures to 1e-9; this file is the referee, not the implementation.

A *query* is one (user, moment). Its history is the user's events with a timestamp strictly before the moment:
an event of the same second (the same basket, the same page of ratings) is never history. Its relevant set is
the items of the user's events at that moment.

successive  one cut in time, the same for all users: fit on events before it, then answer every query at or
            after it, each from the true history up to the query, with no parameter updated after the cut.
loo         each user's last moment is the query, everything before it is history and training. It lets a
            model see other users' future (reported because papers use it, never used to decide).

repeat=False  items already in the history are neither relevant nor recommended (films).
repeat=True   they are both (groceries, places, music).
Relevant items must have been seen in training; a query with no relevant item or no history left is dropped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

CUTS = {"val": (0.8, 0.9), "test": (0.9, 1.0)}


def load(path: Any) -> pd.DataFrame:
    """-> events sorted by (timestamp, user_id, item_id), with u: users numbered in order of appearance."""
    ev = pd.read_csv(path, low_memory=False)
    ev = ev.sort_values(["timestamp", "user_id", "item_id"], kind="stable").reset_index(drop=True)
    ev["u"] = pd.factorize(ev.user_id)[0]
    return ev


def split(
    ev: pd.DataFrame,
    protocol: str,
    stage: str = "test",
    repeat: bool = False,
    max_queries: int | None = None,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """-> train events; queries: frame with u, timestamp, hist (row numbers of ev, oldest first) and relevant
    (item ids, ascending)."""
    n, ts = len(ev), ev.timestamp.to_numpy()
    if protocol == "successive":
        lo, hi = CUTS[stage]
        start = ts[int(n * lo)]
        stop = ts[int(n * hi)] if hi < 1 else np.inf
        train, cand = ev[ts < start], ev[(ts >= start) & (ts < stop)]
    else:
        # 1 = the user's last moment
        moment = ev.groupby("u").timestamp.rank(method="dense", ascending=False).to_numpy()
        k = {"val": 2, "test": 1}[stage]
        train, cand = ev[moment > k], ev[moment == k]
    known = set(train.item_id)
    rows_of = ev.groupby("u").indices
    items = ev.item_id.to_numpy()
    out = []
    for (u, t), q in cand.groupby(["u", "timestamp"]):
        mine = rows_of[u]
        hist = mine[ts[mine] < t]
        relevant = set(q.item_id) & known
        if not repeat:
            relevant -= set(items[hist])
        if len(hist) and relevant:
            out.append((u, t, hist, np.array(sorted(relevant))))
    queries = pd.DataFrame(out, columns=["u", "timestamp", "hist", "relevant"]).sort_values(
        ["timestamp", "u"], kind="stable"
    )
    if max_queries and len(queries) > max_queries:
        queries = queries.sample(max_queries, random_state=seed).sort_index()
    return train, queries.reset_index(drop=True)


def rank_metrics(scores: Any, relevant: Any, seen: Any = None, k: int = 10) -> tuple[pd.DataFrame, set[int]]:
    """Per-query values over the full catalogue. scores [Q, I]; relevant, seen: lists of column arrays.

    A relevant item's rank counts every other unmasked item whose score is at least its own, so a tie never
    helps.
    Returns a frame (precision, recall, ndcg, mrr; one row a query) and the set of columns shown to anyone
    (coverage is its share of the catalogue)."""
    rows: list[tuple[float, ...]] = []
    shown: set[int] = set()
    for q in range(len(scores)):
        s = np.array(scores[q], dtype=np.float64)
        rel = np.asarray(relevant[q], dtype=int)
        masked = np.asarray([] if seen is None else seen[q], dtype=int)
        own = np.sort(s[rel])[::-1]
        s[rel] = -np.inf
        s[masked] = -np.inf
        rest = np.sort(s[np.isfinite(s)])
        ranks = np.array([len(rest) - np.searchsorted(rest, x, side="left") + j for j, x in enumerate(own)])
        hit = ranks < k
        gain = (1 / np.log2(ranks[hit] + 2.0)).sum()
        ideal = (1 / np.log2(np.arange(min(k, len(rel))) + 2.0)).sum()
        rows.append((hit.sum() / k, hit.mean(), gain / ideal, 1 / (ranks.min() + 1.0)))
        full = np.array(scores[q], dtype=np.float64)
        full[np.setdiff1d(masked, rel)] = -np.inf
        top = np.argsort(-full, kind="stable")[:k]  # a list shown breaks ties by column order
        shown.update(top[np.isfinite(full[top])].tolist())
    return pd.DataFrame(rows, columns=[f"precision@{k}", f"recall@{k}", f"ndcg@{k}", "mrr"]), shown


def interval(
    values: Any, users: Any, level: float = 0.95, n: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean over queries with a percentile bootstrap interval that resamples users, not queries."""
    u = pd.factorize(np.asarray(users))[0]
    total, count = np.bincount(u, values), np.bincount(u)
    pick = np.random.default_rng(seed).integers(0, len(count), (n, len(count)))
    means = total[pick].sum(1) / count[pick].sum(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(np.mean(values)), float(low), float(high)
