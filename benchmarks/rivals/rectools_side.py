"""Run by the environment `rectools`: train a RecTools 0.19 model, rank every query of a hand-over.

`python rectools_side.py GIVEN.npz MADE.npz '{"model": "SASRecModel", "epochs": [10, 20], "seed": 0, "settings": {…}}'`

Training events come in windows of `session_max_len` events, one event shared by neighbours, so that all of a long
history is learnt from: the library alone would keep the last window of each user. A query is asked about as a user
whose interactions are its history; HSTU is told the query's time too.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import sys
import time
import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd
import rectools.models
import torch
from pytorch_lightning import seed_everything
from rectools import Columns
from rectools.dataset import Dataset

K = 100  # length of the lists handed back


def windows(user: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, window) of events grouped by user: each user's last `size + 1` events, then those before, one shared."""
    rows, number, count = [], [], 0
    edges = np.flatnonzero(np.diff(user, prepend=-1, append=-1))
    for begin, end in itertools.pairwise(edges):
        while end - begin > 1:
            start = max(begin, end - size - 1)
            rows.append(np.arange(start, end))
            number.append(np.full(end - start, count))
            count += 1
            end = start + 1
    return np.concatenate(rows), np.concatenate(number)


def dataset(user: np.ndarray, item: np.ndarray, seconds: np.ndarray) -> Dataset:
    frame = pd.DataFrame({Columns.User: user, Columns.Item: item, Columns.Weight: 1.0})
    frame[Columns.Datetime] = pd.to_datetime(seconds, unit="s").astype("datetime64[ns]")
    return Dataset.construct(frame)


def main() -> None:
    given, made, asked = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    seed_everything(asked["seed"], verbose=False)
    data = np.load(given)
    settings = asked["settings"]
    rows, window = windows(data["user"], settings["session_max_len"])
    training = dataset(window, data["item"][rows], data["time"][rows])

    query = np.repeat(np.arange(len(data["query_time"])), np.diff(data["history_offsets"]))
    histories = dataset(query, data["history_item"], data["history_time"])
    users = np.unique(query)
    context = None
    if asked["model"] == "HSTUModel":
        when = pd.to_datetime(data["query_time"][users], unit="s").astype("datetime64[ns]")
        context = pd.DataFrame({Columns.User: users, Columns.Datetime: when})

    model = getattr(rectools.models, asked["model"])(**settings, recommend_torch_device="cpu", verbose=0)
    start, done, lists = time.perf_counter(), 0, []
    for epoch in asked["epochs"]:
        model.fit_partial(training, min_epochs=epoch - done, max_epochs=epoch - done)
        done = epoch
        told = model.recommend(
            users,
            histories,
            k=K,
            filter_viewed=not data["repeats"],
            on_unsupported_targets="ignore",
            context=context,
        )
        found = np.full((len(data["query_time"]), K), -1, np.int32)
        found[told[Columns.User].to_numpy(int), told[Columns.Rank].to_numpy() - 1] = told[Columns.Item]
        lists.append(found)
        print(f"  epoch {epoch}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    versions = {name: version(name) for name in ("rectools", "torch", "pytorch-lightning", "numpy")}
    np.savez_compressed(
        made,
        epochs=asked["epochs"],
        lists=np.stack(lists),
        seconds=time.perf_counter() - start,
        versions=json.dumps(versions),
    )


if __name__ == "__main__":
    main()
