"""Run by the environment `rectools`: the metrics of RecTools 0.19 on lists, or on scores, that Lethe hands over.

`python side.py values GIVEN.npz MADE.npz` writes each metric's values per query; `python side.py speed GIVEN.npz
MADE.npz` writes CPU seconds, with scores beside in `GIVEN.npy`. Queries are RecTools' users; items are catalogue
columns.
"""

from __future__ import annotations

import sys
import time
import warnings
from itertools import pairwise, starmap

import numpy as np
import pandas as pd
from rectools import Columns
from rectools.metrics import (
    MAP,
    MRR,
    NDCG,
    AvgRecPopularity,
    CatalogCoverage,
    CoveredUsers,
    HitRate,
    IntraListDiversity,
    MeanInvUserFreq,
    PairwiseDistanceCalculator,
    PartialAUC,
    Precision,
    Recall,
    Serendipity,
    calc_metrics,
)
from rectools.models.utils import recommend_from_scores

ROUNDS = 3  # of the timings, the least counts


class Jaccard(PairwiseDistanceCalculator):
    """1 - |A ∩ B| / |A ∪ B| of the items' categories."""

    def __init__(self, offsets: np.ndarray, numbers: np.ndarray) -> None:
        self.sets = [set(numbers[b:e].tolist()) for b, e in pairwise(offsets)]

    def _get_distances_for_item_pairs(self, items_0: np.ndarray, items_1: np.ndarray) -> np.ndarray:
        return np.array(list(starmap(self._distance, zip(items_0, items_1, strict=True))))

    def _distance(self, a: int, b: int) -> float:
        union = self.sets[a] | self.sets[b]
        return 1 - len(self.sets[a] & self.sets[b]) / len(union) if union else 1.0


def table(lists: np.ndarray) -> pd.DataFrame:
    """lists [Q, K] of columns, -1 where they end."""
    query, place = np.nonzero(lists >= 0)
    return pd.DataFrame({Columns.User: query, Columns.Item: lists[query, place], Columns.Rank: place + 1})


def asked(data: dict[str, np.ndarray]) -> pd.DataFrame:
    query = np.repeat(np.arange(len(data["offsets"]) - 1), np.diff(data["offsets"]))
    return pd.DataFrame({Columns.User: query, Columns.Item: data["relevant"]})


def values(data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    k, items = int(data["k"]), int(data["items"])
    catalog, reco, interactions = np.arange(items), table(data["lists"]), asked(data)
    previous = pd.DataFrame({Columns.User: data["user"], Columns.Item: data["item"]})
    found = {
        f"precision@{k}": Precision(k).calc_per_user(reco, interactions),
        f"recall@{k}": Recall(k).calc_per_user(reco, interactions),
        f"capped_recall@{k}": Precision(k, r_precision=True).calc_per_user(reco, interactions),
        f"hit_rate@{k}": HitRate(k).calc_per_user(reco, interactions),
        f"ndcg@{k}": NDCG(k, divide_by_achievable=True).calc_per_user(reco, interactions),
        f"map@{k}": MAP(k).calc_per_user(reco, interactions),
        "mrr": MRR(data["lists"].shape[1]).calc_per_user(reco, interactions),
        f"novelty@{k}": MeanInvUserFreq(k).calc_per_user(reco, previous),
        f"popularity@{k}": AvgRecPopularity(k).calc_per_user(reco, previous),
        f"serendipity@{k}": Serendipity(k).calc_per_user(reco, interactions, previous, catalog),
        f"user_coverage@{k}": CoveredUsers(k).calc_per_user(reco, interactions),
    }
    if len(data["category_offsets"]):
        calculator = Jaccard(data["category_offsets"], data["category_numbers"])
        found[f"diversity@{k}"] = IntraListDiversity(k, calculator).calc_per_user(reco)
    count = len(data["offsets"]) - 1
    vectors = {name: series.reindex(np.arange(count)).to_numpy(float) for name, series in found.items()}
    vectors[f"coverage@{k}"] = np.array([CatalogCoverage(k, normalize=True).calc(reco, catalog)])
    vectors["auc"] = np.full(count, np.nan)
    for query, whole in zip(data["whole_query"], data["whole"], strict=True):
        mine = interactions[interactions[Columns.User] == query]
        full = table(whole[None]).assign(**{Columns.User: query})
        negatives = int((whole >= 0).sum()) - len(mine)
        vectors["auc"][query] = PartialAUC(negatives).calc_per_user(full, mine).iloc[0]
    return vectors


def speed(data: dict[str, np.ndarray], scores: np.ndarray) -> dict[str, np.ndarray]:
    """CPU seconds of ranking alone and of the metrics alone."""
    k, catalog, interactions = int(data["k"]), np.arange(int(data["items"])), asked(data)
    metrics = {
        "precision": Precision(k),
        "recall": Recall(k),
        "ndcg": NDCG(k, divide_by_achievable=True),
        "mrr": MRR(k),
        "hit_rate": HitRate(k),
        "coverage": CatalogCoverage(k, normalize=True),
    }
    ranking, measuring = [], []
    for _ in range(ROUNDS):
        before = time.process_time()
        reco = table(np.stack([recommend_from_scores(row, k)[0] for row in scores]))
        ranking.append(time.process_time() - before)
        before = time.process_time()
        calc_metrics(metrics, reco, interactions, catalog=catalog)
        measuring.append(time.process_time() - before)
    return {"ranking": np.array(min(ranking)), "measuring": np.array(min(measuring))}


def main() -> None:
    warnings.filterwarnings("ignore")
    task, given, made = sys.argv[1:4]
    with np.load(given) as file:
        data = {name: file[name] for name in file.files}
    found = values(data) if task == "values" else speed(data, np.load(given.replace(".npz", ".npy")))
    np.savez_compressed(made, **found)


if __name__ == "__main__":
    main()
