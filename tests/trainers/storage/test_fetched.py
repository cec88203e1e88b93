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
from tests.trainers.neural import OWN, neural
from tests.trainers.search.crews import crew
from trainers.log import CATEGORY, LAYOUT, PackedLog, TrainingData
from trainers.storage import fetched
from trainers.storage.fetched import BY_EVENT, INDEX, Fetched, content_of, index, open_training
from trainers.storage.place import CACHE, Place, StorageError
from trainers.training.computing import ComputeSettings
from trainers.training.loop import optimise
from trainers.training.optimise import OptimiseSettings
from trainers.training.workers import ALONE, Workers

CHUNK = 64
ITEMS = 6


@pytest.fixture
def sent(storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a packed log of thirty users; its folder `log`, and the training data's `data`, are local."""
    monkeypatch.setattr(fetched, "CHUNK", CHUNK)
    log, folder = helpers.cycle(users=30), tmp_path / "log"
    helpers.write_log(log, folder)
    helpers.training(log, 8, validate=True).save(tmp_path / "data")
    place = Place(storage.uri(f"{tmp_path.name}/stores/abc"))
    files = [f"{name}.bin" for name in LAYOUT] + [CATEGORY[0]]
    for name in files:
        place.write(name, content_of(folder / name))
    place.write(INDEX, [index(folder, files)])
    storage.asked.clear()
    return place.uri


def bytes_of(asked: list[Asked], who: str) -> dict[str, set[int]]:
    """Array → the bytes of it that somebody was given."""
    found: dict[str, set[int]] = {}
    for each in asked:
        name = each.path.rpartition("/")[2]
        if each.who == who and each.method == "GET" and each.first is not None and name in BY_EVENT:
            assert each.last is not None
            found.setdefault(name, set()).update(range(each.first, each.last + 1))
    return found


def rows_of(data: TrainingData, rank: int, size: int) -> tuple[int, int]:
    users = data.shard(rank, size)
    return int(data.log.offsets[users.start]), int(data.log.offsets[users.stop])


def in_chunks(low: int, high: int, size: int, whole: int) -> set[int]:
    """The bytes of the chunks that hold rows of so many bytes."""
    return set(range(low * size // CHUNK * CHUNK, min(-(-high * size // CHUNK) * CHUNK, whole * size)))


def as_node(workers: Workers, folder: Path) -> None:
    """This process is a node of its own: its key has its name, its cache nothing in it."""
    os.environ["AWS_ACCESS_KEY_ID"] = f"worker{workers.rank}"
    os.environ[CACHE] = str(folder / f"cache{workers.rank}")


def look(workers: Workers, uri: str, folder: Path) -> dict[str, Any]:
    as_node(workers, folder)
    data = open_training(uri, ITEMS, folder / "data", (workers.rank, workers.size))
    low, high = rows_of(data, workers.rank, workers.size)
    log = data.log
    return {
        "users": (data.users.start, data.users.stop),
        "rows": {name: np.asarray(getattr(log, name)[low:high]) for name in LAYOUT if name != "offsets"},
        "beyond": {name: np.asarray(getattr(log, name)) for name in LAYOUT if name != "offsets"},
        "took": sum(file.stat().st_blocks for file in (folder / f"cache{workers.rank}").rglob("*.bin")),
    }


@pytest.mark.parametrize("size", [1, 2, 3])
def test_each_worker_fetches_its_shard_and_nothing_else(
    size: int, sent: str, storage: Storage, tmp_path: Path
) -> None:
    """Counted by the server, to the byte: the chunks that hold its users' rows, each of them once."""
    log = PackedLog.open(tmp_path / "log", ITEMS)
    data = TrainingData.open(log, tmp_path / "data")
    for rank in range(size):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(CACHE, "")
            patch.setenv("AWS_ACCESS_KEY_ID", "")
            seen = look(Workers(rank, size), sent, tmp_path)
        low, high = rows_of(data, rank, size)
        for name, rows in seen["rows"].items():
            assert np.array_equal(rows, getattr(log, name)[low:high])
        got = bytes_of(storage.asked, f"worker{rank}")
        whole = len(log.items)
        assert got == {name: in_chunks(low, high, each, whole) for name, each in BY_EVENT.items()}
        given = [each for each in storage.asked if each.who == f"worker{rank}" and each.method == "GET"]
        assert len(given) == len({(each.path, each.first) for each in given})
        if size == 3:
            assert len(got["times.bin"]) < 0.45 * 8 * whole


def test_processes_of_one_node_fetch_each_chunk_once(sent: str, storage: Storage, tmp_path: Path) -> None:
    for rank in (0, 1, 0):
        data = open_training(sent, ITEMS, tmp_path / "data", (rank, 2))
    # Both shards are here.
    assert np.array_equal(data.log.times, PackedLog.open(tmp_path / "log", ITEMS).times)
    given = [each for each in storage.asked if each.method == "GET" and each.first is not None]
    arrays = [each for each in given if not each.path.endswith(INDEX)]
    assert len(arrays) == len({(each.path, each.first) for each in arrays})


def test_a_node_that_has_the_whole_store_fetches_nothing(sent: str, storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "cache" / "stores").mkdir(parents=True)
    (tmp_path / "log").rename(tmp_path / "cache" / "stores" / "abc")
    data = open_training(sent, ITEMS, tmp_path / "data", (1, 2))
    assert storage.asked == []
    assert data.users == data.shard(1, 2)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (lambda old: old[:-1], "has 2399 bytes and not 2400"),
        (lambda old: b"x" + old[1:], "has another checksum"),
    ],
)
def test_an_object_that_was_changed(content: Any, what: str, sent: str, tmp_path: Path) -> None:
    place = Place(sent)
    place.write("times.bin", [content(place.read("times.bin"))])
    with pytest.raises(StorageError, match=rf"`times.bin` of `s3://.*` {what}") as caught:
        open_training(sent, ITEMS, tmp_path / "data", (0, 2))
    assert "\n" not in str(caught.value)


def test_a_download_that_ended_in_the_middle_is_gone_on_with(
    sent: str, storage: Storage, tmp_path: Path
) -> None:
    """What came before is not fetched again, and nothing half is believed."""
    asked = 0

    def after_ten(method: str, path: str) -> str | None:
        nonlocal asked
        asked += method == "GET"
        return "deny" if asked > 10 else None

    storage.fault = after_ten
    with pytest.raises((StorageError, ConnectionError)):  # it depends on how long the answer is
        open_training(sent, ITEMS, tmp_path / "data", None)
    storage.fault = lambda method, path: None
    before = len([mark for mark in Fetched(Place(sent)).folder.glob(".have/*") if mark.stat().st_size])
    storage.asked.clear()
    data = open_training(sent, ITEMS, tmp_path / "data", None)
    marks = list(Fetched(Place(sent)).folder.glob(".have/*"))
    given = [each for each in storage.asked if each.method == "GET" and not each.path.endswith(INDEX)]
    assert 0 < before < len(marks)
    assert len(given) == len(marks) - before
    log = PackedLog.open(tmp_path / "log", ITEMS)
    assert all(np.array_equal(getattr(data.log, name), getattr(log, name)) for name in LAYOUT)


SETTINGS = OptimiseSettings.model_validate(
    {"epochs": 3, "patience": 3, "batch": 16, "rate": 0.01, "loss": {"kind": "sampled", "negatives": 3}}
)


def fitted(workers: Workers, log: str, folder: Path, kind: str) -> dict[str, Any]:
    """A network of each worker's rows; the parameters and the curve."""
    as_node(workers, folder)
    data = open_training(log, ITEMS, folder / "data", (workers.rank, workers.size))
    encoder = neural(kind, len(data.catalogue), stirred=False, own=OWN)
    encoder.begin(data, workers=workers)
    moments = data.moments(data.users)
    curve = optimise(
        encoder, data, moments, SETTINGS, repeats=True, seed=3, compute=ComputeSettings(), workers=workers
    )
    return {"curve": curve.to_dict(), "state": encoder.state()}


@pytest.mark.slow
@pytest.mark.parametrize(("size", "kind"), [(1, "gru"), (2, "recurrent")])
def test_shards_fit_what_all_rows_fit(size: int, kind: str, sent: str, tmp_path: Path) -> None:
    """Losses, validation and parameters, `own` logits and sampled items by popularity among them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE, "")
        patch.setenv("AWS_ACCESS_KEY_ID", "")
        torch.set_num_threads(1)
        expected = fitted(ALONE, str(tmp_path / "log"), tmp_path, kind)
        if size == 1:
            found = [fitted(ALONE, sent, tmp_path, kind)]
        else:
            found = crew(fitted, size, tmp_path / "crew", sent, tmp_path, kind)
    for each in found:
        assert each["curve"]["loss"] == pytest.approx(expected["curve"]["loss"], rel=1e-4)
        assert each["curve"]["validation"] == pytest.approx(expected["curve"]["validation"], rel=1e-4)
        for name, array in expected["state"].items():
            assert np.allclose(each["state"][name], array, atol=1e-3), name
