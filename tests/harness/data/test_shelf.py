"""Stores in object storage: whole or not there, found again, appended to, and read by nodes that share no disk."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.data import DataError, DataSettings, Store, open_store, prepare
from harness.data.manifest import MANIFEST, MERGED
from tests.harness.data.conftest import ROWS, same
from tests.storage import Storage
from trainers.storage.fetched import INDEX
from trainers.storage.place import CACHE, StorageError

Make = Callable[..., DataSettings]
Write = Callable[..., str]
MORE = ["d,20,1000000400,1", "a,10,1000000050,2", "d,77,1000000500,1"]


@pytest.fixture
def there(storage: Storage, tmp_path: Path) -> str:
    return storage.uri(f"{tmp_path.name}/stores")


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """From now on this process is another node, with a cache of its own."""
    return lambda name: monkeypatch.setenv(CACHE, str(tmp_path / name))


def writes(storage: Storage) -> list[str]:
    """The objects that were written, in order."""
    return [each.path.rpartition("/")[2] for each in storage.asked if each.method == "PUT"]


def test_it_is_packed_once_and_read_by_every_node(
    log: Write, settings: Make, there: str, storage: Storage, node: Callable[[str], None], tmp_path: Path
) -> None:
    path = log(ROWS)
    here = prepare(settings(path))
    storage.asked.clear()
    made = prepare(settings(path, store=there))
    assert made.uri is not None
    assert made.uri.startswith("s3://lethe/")
    assert (made.fingerprint, made.counts, made.reused) == (here.fingerprint, here.counts, False)
    assert writes(storage)[-1] == MANIFEST  # which makes it a store
    node("other")
    storage.asked.clear()
    found = prepare(settings(path, store=there))
    assert writes(storage) == []
    assert found.reused
    assert same(found, here)
    assert found.rejected_file.read_bytes() == here.rejected_file.read_bytes()
    node("third")
    assert same(pickle.loads(pickle.dumps(found)), here)
    storage.asked.clear()
    assert same(open_store(made.uri, verify=True), here)
    assert [each.method for each in storage.asked if each.method == "GET"] == []  # this node has it


def test_a_local_store_is_where_it_was(log: Write, settings: Make, tmp_path: Path) -> None:
    store = prepare(settings(log(ROWS)))
    assert (store.uri, store.where) == (None, str(store.path))
    assert store.path.parent == tmp_path / "store"


def test_the_log_may_lie_there_too(log: Write, settings: Make, storage: Storage, tmp_path: Path) -> None:
    path = log(ROWS)
    storage.write(f"{tmp_path.name}/events/a.csv", Path(path).read_bytes())
    folder = storage.uri(f"{tmp_path.name}/events")
    assert same(prepare(settings(folder, store=str(tmp_path / "b"))), prepare(settings(path)))


def test_what_is_appended_stands_alone_there(
    log: Write, settings: Make, there: str, storage: Storage, node: Callable[[str], None], tmp_path: Path
) -> None:
    first = log(ROWS, "1.csv")
    old = prepare(settings(first, store=there))
    paths = [first, log(MORE, "2.csv")]
    node("other")
    new = prepare(settings(paths, store=there))
    assert (new.segments, new.appended, new.lineage) == (2, 3, {old.fingerprint: 3})
    prepare(settings(first, store=str(tmp_path / "local")))
    local = prepare(settings(paths, store=str(tmp_path / "local")))
    assert same(new, local)
    for name in storage.names(f"{tmp_path.name}/stores/{old.path.name}"):
        storage.files.delete_file(f"lethe/{tmp_path.name}/stores/{old.path.name}/{name}")
    node("third")
    assert new.uri is not None
    assert same(open_store(new.uri, verify=True), local)
    assert MERGED in storage.names(f"{tmp_path.name}/stores/{new.path.name}")
    third = prepare(settings([*paths, log(["e,1,1000000900,1"], "3.csv")], store=there))
    assert (third.segments, third.counts.events) == (3, local.counts.events + 1)


@pytest.mark.parametrize("units", [0, 12])
def test_killed_while_it_is_sent_it_is_none_and_then_sent_again(
    units: int,
    log: Write,
    settings: Make,
    there: str,
    storage: Storage,
    node: Callable[[str], None],
    tmp_path: Path,
) -> None:
    """After any object: another node sees no store, the same command sends all without packing again."""
    made = settings(log(ROWS), store=there)
    sent = 0

    def limited(method: str, path: str) -> str | None:
        nonlocal sent
        sent += method == "PUT"
        return "deny" if method == "PUT" and sent > units else None

    storage.fault = limited
    with pytest.raises(DataError, match="is denied"):
        prepare(made)
    storage.fault = lambda method, path: None
    assert not any(name.endswith(MANIFEST) for name in storage.names(f"{tmp_path.name}/stores"))
    said: list[str] = []
    store = prepare(made, said.append)
    assert "Reading" not in " ".join(said)
    node("other")
    assert store.uri is not None
    assert same(open_store(store.uri, verify=True), store)


def test_an_object_that_was_cut_short_is_one_line_and_no_copy(
    log: Write, settings: Make, there: str, storage: Storage, node: Callable[[str], None], tmp_path: Path
) -> None:
    store = prepare(settings(log(ROWS), store=there))
    where = f"{tmp_path.name}/stores/{store.path.name}/items.bin"
    storage.write(where, storage.read(where)[:-1])
    node("other")
    assert store.uri is not None
    with pytest.raises(DataError, match=r"`items\.bin` of .*s3://lethe/") as caught:
        open_store(store.uri)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "other" / "stores").glob("*"))
    whole = prepare(settings(log(ROWS), store=there))  # is packed again and sent
    node("third")
    assert same(open_store(store.uri, verify=True), whole)


def test_an_object_that_was_changed_is_seen(
    log: Write, settings: Make, there: str, storage: Storage, node: Callable[[str], None], tmp_path: Path
) -> None:
    store = prepare(settings(log(ROWS), store=there))
    where = f"{tmp_path.name}/stores/{store.path.name}/times.bin"
    storage.write(where, bytes(len(storage.read(where))))
    node("other")
    assert store.uri is not None
    with pytest.raises(DataError, match=r"`times\.bin` of .* has another checksum"):
        open_store(store.uri)


def test_a_copy_that_is_damaged_is_fetched_again(
    log: Write, settings: Make, there: str, storage: Storage
) -> None:
    store = prepare(settings(log(ROWS), store=there))
    before = store.times.tolist()
    (store.path / "times.bin").write_bytes(b"short")
    assert store.uri is not None
    assert open_store(store.uri).times.tolist() == before


def test_a_store_that_was_deleted_there_is_sent_again(
    log: Write, settings: Make, there: str, storage: Storage, tmp_path: Path
) -> None:
    made = settings(log(ROWS), store=there)
    store = prepare(made)
    storage.files.delete_dir(f"lethe/{tmp_path.name}/stores/{store.path.name}")
    assert prepare(made).reused
    assert {MANIFEST, INDEX} <= set(storage.names(f"{tmp_path.name}/stores/{store.path.name}"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("store", "s3://AKIA77:wJalrXU@bucket/stores"),
        ("store", "s3://bucket/stores?secret_key=wJalrXU&access_key=AKIA77"),
        ("events", "s3://AKIA77:wJalrXU@bucket/events.csv"),
        ("events", ["a.csv", "gs://AKIA77:wJalrXU@bucket/events.csv"]),
        ("items", "s3://bucket/items.csv?secret_key=wJalrXU"),
    ],
)
def test_a_key_in_the_configuration_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=rf"`{name}` must hold no key and no secret, but got") as caught:
        DataSettings.model_validate({"events": "a.csv", name: value})
    (error,) = caught.value.errors(include_input=False)
    assert "wJalrXU" not in error["msg"]
    assert "environment" in error["msg"]


def test_a_place_that_is_not_to_be_had(log: Write, settings: Make, storage: Storage) -> None:
    made = settings(log(ROWS), store=storage.uri("stores", bucket="nowhere"))
    with pytest.raises(DataError, match=r"The bucket of a place must exist") as caught:
        prepare(made)
    assert isinstance(caught.value.__cause__, StorageError)


def test_units_of_a_preparation_are_no_store(
    log: Write, settings: Make, there: str, storage: Storage, tmp_path: Path
) -> None:
    made: Store = prepare(settings(log(ROWS), store=there))
    shutil.rmtree(tmp_path / "cache")
    storage.write(f"{tmp_path.name}/stores/.work-x-1/{MANIFEST}", b"{}")
    storage.write(f"{tmp_path.name}/stores/nothing/readme", b"")
    assert prepare(settings(log(ROWS), store=there)).fingerprint == made.fingerprint
