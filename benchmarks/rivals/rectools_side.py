"""Run by the environment `rectools`: train a RecTools 0.19 model, rank every query of a hand-over.

`python rectools_side.py GIVEN.npz MADE.npz '{"model": "SASRecModel", "epochs": [10, 20], "seed": 0, "settings": {…}}'`

Training events come in windows of `session_max_len` events, one event shared by neighbours, so that all of a long
history is learnt from: the library alone would keep the last window of each user. A query is asked about as a user
whose interactions are its history; HSTU is told the query's time too.
"""

from __future__ import annotations

import itertools
import logging
import time
import warnings

import numpy as np
import pandas as pd
import rectools.models
from pytorch_lightning import seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from side import K, asked, hand_back, told


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
    data, made, wanted = asked()
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    seed_everything(wanted["seed"], verbose=False)
    settings = wanted["settings"]
    rows, window = windows(data["user"], settings["session_max_len"])
    training = dataset(window, data["item"][rows], data["time"][rows])

    query = np.repeat(np.arange(len(data["query_time"])), np.diff(data["history_offsets"]))
    histories = dataset(query, data["history_item"], data["history_time"])
    users = np.unique(query)
    context = None
    if wanted["model"] == "HSTUModel":
        when = pd.to_datetime(data["query_time"][users], unit="s").astype("datetime64[ns]")
        context = pd.DataFrame({Columns.User: users, Columns.Datetime: when})

    model = getattr(rectools.models, wanted["model"])(**settings, recommend_torch_device="cpu", verbose=0)
    start, done, lists, spent = time.perf_counter(), 0, [], []
    for epoch in wanted["epochs"]:
        before = time.process_time()
        model.fit_partial(training, min_epochs=epoch - done, max_epochs=epoch - done)
        spent.append(time.process_time() - before)
        done = epoch
        recommended = model.recommend(
            users,
            histories,
            k=K,
            filter_viewed=not data["repeats"],
            on_unsupported_targets="ignore",
            context=context,
        )
        found = np.full((len(data["query_time"]), K), -1, np.int32)
        place = recommended[Columns.User].to_numpy(int), recommended[Columns.Rank].to_numpy() - 1
        found[place] = recommended[Columns.Item]
        lists.append(found)
        told(epoch, start)
    packages = ("rectools", "torch", "pytorch-lightning", "numpy")
    hand_back(made, wanted["epochs"], lists, spent, start, packages)


if __name__ == "__main__":
    main()
