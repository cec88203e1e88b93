"""Objects are whole or not there, and what is wrong with a place is one line that tells no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.storage import ENVIRONMENT, Storage
from trainers.storage.place import Place, StorageError


@pytest.fixture
def place(storage: Storage, tmp_path: Path) -> Place:
    return Place(storage.uri(tmp_path.name))


def test_what_is_written_is_read(place: Place) -> None:
    place.write("a/b.bin", [b"0123", b"4567"])
    place.write("a/c.bin", [])
    place.child("z").write("d", [b"d"])
    assert place.read("a/b.bin") == b"01234567"
    assert place.read("a/c.bin") == b""
    assert place.part("a/b.bin", 2, 3, whole=8) == b"234"
    assert place.files() == {"a/b.bin": 8, "a/c.bin": 0, "z/d": 1}
    assert place.folders() == ["a", "z"]
    assert (place.size("a/b.bin"), place.size("a"), place.size("none")) == (8, None, None)
    place.delete("a/b.bin")
    assert place.child("a").files() == {"c.bin": 0}
    place.clear()
    assert place.files() == {}
    assert place.child("never").files() == {}


def test_a_folder_of_this_machine_is_a_place_too(tmp_path: Path) -> None:
    place = Place(f"file://{tmp_path}/store")
    place.write("a/b", [b"x"])
    assert (tmp_path / "store" / "a" / "b").read_bytes() == b"x"
    assert place.files() == {"a/b": 1}
    with pytest.raises(StorageError, match=r"`b` of `file://.*/store` is missing"):
        place.read("b")


@pytest.mark.parametrize("do", ["read", "write", "list"])
def test_a_bucket_that_is_missing(do: str, storage: Storage) -> None:
    place = Place(storage.uri("p", bucket="nowhere"))
    with pytest.raises(StorageError, match=r"^The bucket of a place must exist, but that of `s3://nowhere/p"):
        {"read": lambda: place.read("a"), "write": lambda: place.write("a", [b"x"]), "list": place.files}[
            do
        ]()


@pytest.mark.parametrize("do", ["read", "write", "list"])
def test_no_permission(do: str, place: Place, storage: Storage) -> None:
    place.write("a", [b"x"])
    storage.fault = lambda method, path: "deny"
    with pytest.raises(StorageError, match=r"is denied to them .* Set others \(AWS_ACCESS_KEY_ID") as caught:
        {"read": lambda: place.read("a"), "write": lambda: place.write("a", [b"x"]), "list": place.files}[
            do
        ]()
    assert "\n" not in str(caught.value)
    assert ENVIRONMENT["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)


def test_an_object_that_was_cut_short_or_is_gone(place: Place) -> None:
    place.write("a", [b"0123"])
    with pytest.raises(StorageError, match=r"`a` of .* has 4 bytes and not 8\. Delete that folder"):
        place.part("a", 0, 4, whole=8)
    with pytest.raises(StorageError, match=r"`b` of .* is missing"):
        place.read("b")


def test_a_connection_that_is_cut_off(place: Place, storage: Storage) -> None:
    """No half of an object, whatever the client makes of it."""
    place.write("a", [b"x" * 1000])
    storage.fault = lambda method, path: "cut" if method == "GET" else None
    with pytest.raises(ConnectionError, match=r"^The storage must answer, but `s3://.*` did not: .*goes on"):
        place.read("a")


@pytest.mark.parametrize("uri", ["nothing://bucket/a", "s3://"])
def test_what_is_no_place(uri: str) -> None:
    with pytest.raises(StorageError, match="must be the URI of a filesystem that pyarrow knows"):
        Place(uri).files()
