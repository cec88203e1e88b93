"""Where packed stores lie: in a local directory, or in object storage with a copy on each node that reads them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path

from harness.data.errors import DataError
from harness.data.find import manifests
from harness.data.manifest import MANIFEST, Manifest, manifest_of
from harness.data.store import Store, open_store
from harness.data.transfer import copies, fetch, send, storage_explained
from trainers.storage.place import Place, is_uri


class Shelf(ABC):
    """Stores by name.

    Attributes:
        root: the local directory that stores are packed in, and read from.
    """

    root: Path

    @abstractmethod
    def stores(self) -> list[tuple[Path, Manifest]]:
        """All stores whose manifest can be read, by name; each with the path that it has, or would have, in `root`."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether a store of a name is there; whether it is whole, `open` says."""

    @abstractmethod
    def open(self, name: str) -> Store:
        """`DataError` where it is not whole."""

    @abstractmethod
    def add(self, name: str) -> Store:
        """A store that was packed into `root`, where all who read the shelf find it."""

    def whole(self, path: Path) -> bool:
        """Whether a store of `stores` is whole; then it is at its path."""
        try:
            self.open(path.name)
        except DataError:
            return False
        return True


@dataclass(frozen=True)
class Local(Shelf):
    """A directory."""

    root: Path

    def stores(self) -> list[tuple[Path, Manifest]]:
        return manifests(self.root)

    def has(self, name: str) -> bool:
        return (self.root / name).exists()

    def open(self, name: str) -> Store:
        return open_store(self.root / name)

    def add(self, name: str) -> Store:
        return self.open(name)


@dataclass(frozen=True)
class Remote(Shelf):
    """A place in object storage."""

    place: Place

    @property
    def root(self) -> Path:  # type: ignore[override]  # read alone
        return copies()

    def stores(self) -> list[tuple[Path, Manifest]]:
        found = []
        with storage_explained():
            for name in self.place.folders():
                if name.startswith(".") or not self._sent(name):
                    continue
                store = self.place.child(name)
                try:
                    found.append((self.root / name, manifest_of(store.read(MANIFEST), store.uri)))
                except DataError:
                    continue
        return found

    def has(self, name: str) -> bool:
        return self._sent(name) or (self.root / name).exists()

    def open(self, name: str) -> Store:
        store = self.place.child(name)
        if self._sent(name):
            fetch(store)
        else:  # packed by a process that was killed while it sent it, or sent to another place
            open_store(self.root / name)
            send(self.root / name, store)
        return replace(open_store(self.root / name), uri=store.uri)

    def add(self, name: str) -> Store:
        send(self.root / name, self.place.child(name))
        return replace(open_store(self.root / name), uri=self.place.child(name).uri)

    def _sent(self, name: str) -> bool:
        with storage_explained():
            return self.place.child(name).size(MANIFEST) is not None


def shelf(store: str) -> Shelf:
    """The shelf that the setting `data.store` names."""
    return Remote(Place(store)) if is_uri(store) else Local(Path(store).expanduser().absolute())
