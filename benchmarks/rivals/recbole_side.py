"""Run by the environment `recbole`: train a RecBole 1.2.1 model, rank every query of a hand-over.

`python recbole_side.py GIVEN.npz MADE.npz '{"model": "GRU4Rec", "epochs": [5, 10], "seed": 0, "settings": {…}}'`

Every training event but a user's first is a target, its input the last `MAX_ITEM_LIST_LENGTH` events before it, as the
library makes them; all targets are trained on. Queries are asked with the last events of their histories.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time

import numpy as np
import pandas as pd
import torch
from recbole.config import Config
from recbole.data import create_dataset
from recbole.data.dataloader import TrainDataLoader
from recbole.data.interaction import Interaction
from recbole.trainer import Trainer
from recbole.utils import get_model, init_seed
from side import K, asked, hand_back, told

BATCH = 256


def lists(model: torch.nn.Module, data: dict[str, np.ndarray], token: np.ndarray, length: int) -> np.ndarray:
    """[Q, K] columns, best first; token [I + 1] is the library's number of each column, 0 for none."""
    offsets = data["history_offsets"]
    found = np.full((len(offsets) - 1, K), -1, np.int32)
    known = np.flatnonzero(token > 0)
    for start in range(0, len(found), BATCH):
        block = range(start, min(start + BATCH, len(found)))
        sequences, lengths = np.zeros((len(block), length), np.int64), np.ones(len(block), np.int64)
        seen = [data["history_item"][offsets[query] : offsets[query + 1]] for query in block]
        for row, history in enumerate(seen):
            kept = token[history][token[history] > 0][-length:]
            sequences[row, : len(kept)] = kept
            lengths[row] = max(1, len(kept))
        question = Interaction(
            {"item_id_list": torch.as_tensor(sequences), "item_length": torch.as_tensor(lengths)}
        )
        with torch.no_grad():
            scores = model.full_sort_predict(question).view(len(block), -1).numpy()[:, token[known]]
        if not data["repeats"]:
            column = np.full(len(token), -1)
            column[known] = np.arange(len(known))
            for row, history in enumerate(seen):
                hidden = column[history]
                scores[row, hidden[hidden >= 0]] = -np.inf
        depth = min(K, len(known))
        order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
        shown = known[order].astype(np.int32)
        shown[np.isinf(np.take_along_axis(scores, order, 1))] = -1
        found[start : start + len(block), :depth] = shown
    return found


def main() -> None:
    data, made, wanted = asked()
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(f"{folder}/log_data")
        # The library sorts by time: a place in the user's order keeps events of one second as they are handed over.
        place = np.arange(len(data["user"]))
        frame = pd.DataFrame(
            {"user_id:token": data["user"], "item_id:token": data["item"], "timestamp:float": place}
        )
        frame.to_csv(f"{folder}/log_data/log_data.inter", sep="\t", index=False)
        os.chdir(folder)
        sys.argv = sys.argv[:1]  # the library reads the command line
        config = Config(
            model=wanted["model"],
            dataset="log_data",
            config_dict={
                **wanted["settings"],
                "data_path": folder,
                "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
                "USER_ID_FIELD": "user_id",
                "ITEM_ID_FIELD": "item_id",
                "TIME_FIELD": "timestamp",
                "loss_type": "CE",
                "train_neg_sample_args": None,
                "eval_args": {"split": {"RS": [1, 0, 0]}, "order": "TO", "group_by": None, "mode": "full"},
                "epochs": max(wanted["epochs"]),
                "seed": wanted["seed"],
                "reproducibility": True,
                "use_gpu": False,
                "state": "ERROR",
            },
        )
        init_seed(config["seed"], config["reproducibility"])
        dataset = create_dataset(config)
        training = dataset.build()[0]
        loader = TrainDataLoader(config, training, None, shuffle=True)
        names = dataset.field2id_token["item_id"]
        token = np.zeros(int(data["items"]), np.int64)
        token[names[1:].astype(np.int64)] = np.arange(1, len(names))
        model = get_model(wanted["model"])(config, training).to(config["device"])
        trainer = Trainer(config, model)
        start, made_lists, spent = time.perf_counter(), [], []
        for epoch in wanted["epochs"]:
            trainer.epochs = epoch
            model.train()
            before = time.process_time()
            trainer.fit(loader, saved=False, verbose=False)
            spent.append(time.process_time() - before)
            trainer.start_epoch = epoch
            model.eval()
            made_lists.append(lists(model, data, token, config["MAX_ITEM_LIST_LENGTH"]))
            told(epoch, start)
    hand_back(made, wanted["epochs"], made_lists, spent, start, ("recbole", "torch", "numpy", "pandas"))


if __name__ == "__main__":
    main()
