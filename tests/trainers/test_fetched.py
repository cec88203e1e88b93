"""Of a log in object storage a worker fetches its users' rows alone, once a node, and fits what all rows would fit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.storage import Asked, Storage
from tests.trainers import helpers
from tests.trainers.crews import crew
from tests.trainers.neural import OWN, neural
from trainers import fetched
from trainers.computing import ComputeSettings
from trainers.fetched import INDEX, Fetched, index, open_training
from trainers.log import CATEGORY, LAYOUT, NAMES, PackedLog, TrainingData
from trainers.loop import optimise
from trainers.optimise import OptimiseSettings
from trainers.place import CACHE, Place, StorageError
from trainers.workers import ALONE, Workers

CHUNK = 64
ITEMS = 6
ARRAYS = {f"{name}.bin": np.dtype(kind).itemsize for name, kind in LAYOUT.items() if name != "offsets"}


@pytest.fixture
def sent(storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a packed log of thirty users; its folder `log`, and the training data's `data`, are local."""
    monkeypatch.setattr(fetched, "CHUNK", CHUNK)
    folder = tmp_path / "log"
    helpers.write_log(helpers.cycle(users=30), folder)
    for name in NAMES.values():
        (folder / name).write_bytes(b"")
    data = helpers.training(PackedLog.open(folder, ITEMS) if False else helpers.cycle(users=30), 8, validate=True)
    data.save(tmp_path / "data")
    for name in NAMES.values():
        (folder / name).unlink()
    monkeypatch.setattr(fetched, "NAMES", {})  # no groups
    place = Place(storage.uri(f"{tmp_path.name}/stores/abc"))
    files = [f"{name}.bin" for name in LAYOUT] + [CATEGORY[0]]
    for name in files:
        place.write(name, fetched.content_of(folder / name))
    place.write(INDEX, [index(folder, files)])
    storage.asked.clear()
    return place.uri


def bytes_of(asked: list[Asked], who: str) -> dict[str, set[int]]:
    """Array → the bytes of it that somebody was given."""
    found: dict[str, set[int]] = {}
    for each in asked:
        name = each.path.rpartition("/")[2]
        if each.who == who and each.method == "GET" and each.first is not None and name in ARRAYS:
            assert each.last is not None
            found.setdefault(name, set()).update(range(each.first, each.last + 1))
    return found
