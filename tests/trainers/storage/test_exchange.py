"""Folders go through object storage whole or not at all; what is still written to is mirrored."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.storage import Storage
from trainers.storage.exchange import WHOLE, Exchange
from trainers.storage.place import Place, StorageError


@pytest.fixture
def exchange(storage: Storage, tmp_path: Path) -> Exchange:
    return Exchange(Place(storage.uri(f"{tmp_path.name}/work")))


def folder(path: Path, **files: str) -> Path:
    for name, text in files.items():
        file = path / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return path


def content(path: Path) -> dict[str, str]:
    return {str(file.relative_to(path)): file.read_text() for file in path.rglob("*") if file.is_file()}


def test_what_is_sent_is_fetched(exchange: Exchange, storage: Storage, tmp_path: Path) -> None:
    made = folder(tmp_path / "made", a="1", b__c="22", b__empty="")
    assert not exchange.fetch("unit/1", tmp_path / "got")
    assert not (tmp_path / "got").exists()
    exchange.send(made, "unit/1")
    assert exchange.has("unit/1")
    assert exchange.fetch("unit/1", tmp_path / "got")
    assert content(tmp_path / "got") == {"a": "1", "b/c": "22", "b/empty": ""}
    storage.asked.clear()
    exchange.send(made, "unit/1")
    assert exchange.fetch("unit/1", tmp_path / "got")
    assert [each for each in storage.asked if each.method in ("PUT", "GET") and each.first is not None] == []


def test_sent_by_half_it_is_not_there(exchange: Exchange, storage: Storage, tmp_path: Path) -> None:
    made = folder(tmp_path / "made", a="1", b="2")
    storage.fault = lambda method, path: "deny" if path.endswith(WHOLE) and method == "PUT" else None
    with pytest.raises(StorageError, match="is denied"):
        exchange.send(made, "unit")
    storage.fault = lambda method, path: None
    assert not exchange.has("unit")
    assert not exchange.fetch("unit", tmp_path / "got")
    exchange.send(made, "unit")
    assert exchange.fetch("unit", tmp_path / "got")


def test_fetched_by_half_it_is_not_there(exchange: Exchange, tmp_path: Path) -> None:
    exchange.send(folder(tmp_path / "made", a="1", b="2"), "unit")
    exchange.place.child("unit").write("b", [b"3"])
    with pytest.raises(StorageError, match=r"`b` of .* has another checksum"):
        exchange.fetch("unit", tmp_path / "got")
    assert not (tmp_path / "got").exists()
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_folder_that_is_written_to_is_mirrored(
    exchange: Exchange, storage: Storage, tmp_path: Path
) -> None:
    here, there = folder(tmp_path / "here", c__1="one", notes="a"), tmp_path / "there"
    exchange.up(here, "fit")
    exchange.down("fit", there)
    assert content(there) == {"c/1": "one", "notes": "a"}
    (here / "c" / "1").unlink()
    folder(here, c__2="two", notes="b", c__dot="x")
    (here / "c" / "dot").rename(here / "c" / ".2.part")
    storage.asked.clear()
    exchange.up(here, "fit")
    exchange.down("fit", there)
    assert content(there) == {"c/2": "two", "notes": "b"}
    storage.asked.clear()
    exchange.up(here, "fit")
    assert not [each for each in storage.asked if each.method in ("PUT", "POST") and each.path.endswith("/2")]
