"""The plain peer: one process, pandas, numpy and scipy, the reference protocol; no cluster, no packed store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from tests.reference.protocol import interval, load, rank_metrics, split
from trainers.model import ModelSettings

DAY = 86_400.0


def fit_and_evaluate(events: Path, model: ModelSettings) -> tuple[float, float, float]:
    """NDCG@10 on test, with its interval, of a model of `own`, `linear` (ease) and `trend` terms.

    Reads the log, splits it, sums the Gram matrix, inverts it, scores every query and ranks every item, as one would
    write it down in an afternoon.
    """
    log = load(str(events))
    train, queries = split(log, "successive", "test", repeat=True)
    catalogue = np.sort(train.item_id.unique())
    column = pd.Series(np.arange(len(catalogue)), catalogue)
    item = log.item_id.map(column).fillna(-1).astype(int).to_numpy()
    time = log.timestamp.to_numpy()
    histories = [rows[item[rows] >= 0] for rows in queries["hist"]]
    lengths = np.array([len(rows) for rows in histories])
    query, event = np.repeat(np.arange(len(histories)), lengths), np.concatenate(histories)
    days = (np.repeat(queries.timestamp.to_numpy(), lengths) - time[event]) / DAY
    numbers = np.concatenate([np.unique(time[rows], return_inverse=True)[1] for rows in histories])
    last = np.repeat([len(np.unique(time[rows])) for rows in histories], lengths)
    moments = (last - 1 - numbers).astype(float)

    from trainers.forgetting import build

    shape = (len(queries), len(catalogue))
    bought = train.item_id.map(column).to_numpy()
    scores = np.zeros(shape)
    for term in model.terms:
        curve = build(term.forgetting)
        if term.kind == "trend":
            age = (train.timestamp.max() - train.timestamp.to_numpy()) / DAY
            popularity = np.bincount(bought, curve.at(age), minlength=len(catalogue))
            scores += term.weight * popularity / popularity.max()
            continue
        left = curve.retention(days, moments).astype(np.float32)
        profile = sp.csr_matrix((left, (query, item[event])), shape=shape)
        if term.kind == "own":
            scores += term.weight * profile.toarray()
        else:
            pairs = sp.csr_matrix((np.ones(len(bought), np.float32), (train.u, bought)))
            pairs.sum_duplicates()
            pairs.data[:] = 1
            gram = (pairs.T @ pairs).toarray()
            inverse = np.linalg.inv(gram + term.l2 * np.eye(len(gram), dtype=np.float32))  # type: ignore[union-attr]
            weights = inverse / -np.diag(inverse)
            np.fill_diagonal(weights, 0)
            scores += term.weight * (profile @ weights)
    relevant = [column[items].to_numpy() for items in queries.relevant]
    metrics, _ = rank_metrics(scores, relevant)
    return interval(metrics["ndcg@10"], queries.u)
