"""Preparation over nodes that share no disk: each does its units in a folder of its own and sends what it made.

Units go through the store's place in object storage. A unit that was sent is not made again, wherever the next
process runs.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.manifest import Manifest
from harness.data.settings import DataSettings
from harness.data.transfer import copies, fetch, storage_explained
from harness.data.work import PLAN
from trainers.storage.exchange import Exchange
from trainers.storage.place import Place, is_uri

Units = tuple[list[str], str]
"""The units that a task needs, and the pattern of those that it makes, as names in the folder of units."""


@dataclass(frozen=True)
class Nodes:
    """What a node must know to do a unit.

    Attributes:
        exchange: where units go.
        folder: the driver's folder of units.
        copies: the driver's copies of stores.
        parent: the URI of the store that is appended to, or none.
    """

    exchange: Exchange
    folder: Path
    copies: Path
    parent: str | None

    def packed(self, task: tuple[Any, ...]) -> bytes:
        """A task whose paths below the driver's folders any node finds below its own."""
        out = io.BytesIO()
        _Packer(out, [self.folder, self.copies]).dump(task)
        return out.getvalue()

    def unpacked(self, task: bytes) -> Any:
        """On a node."""
        return _Unpacker(io.BytesIO(task), [self.exchange.here, copies()]).load()

    def send(self, name: str) -> None:
        """The driver's unit, for all nodes."""
        with storage_explained():
            self.exchange.send(self.folder / name, name)

    def fetch(self, kind: str) -> None:
        """All units of a kind, for the driver."""
        with storage_explained():
            for name in self.exchange.place.child(kind).folders():
                self.exchange.fetch(f"{kind}/{name}", self.folder / kind / name)

    def close(self) -> None:
        """Forget what was sent, by earlier versions of Lethe too."""
        place, mine = self.exchange.place, self.exchange.place.path.rpartition("/")[2]
        base, _, options = place.uri.partition("?")
        above = Place(base.rpartition("/")[0] + (f"?{options}" if options else ""))
        with storage_explained():
            for name in above.folders():
                if name.rpartition("-")[0] == mine.rpartition("-")[0]:
                    above.child(name).clear()


def nodes_of(settings: DataSettings, folder: Path, parent: tuple[Path, Manifest] | None) -> Nodes | None:
    """The nodes of a preparation with the units in `folder`; None where this machine does all, or all share a disk."""
    if not settings.workers or not is_uri(settings.store):
        return None
    store = Place(settings.store)
    # Units of other code, or cut otherwise, lie elsewhere.
    plan = hashlib.sha256((folder / PLAN).read_bytes()).hexdigest()[:12]
    uri = store.child(parent[0].name).uri if parent else None
    return Nodes(Exchange(store.child(f"{folder.name}-{plan}")), folder, copies(), uri)


def on_node(nodes: Nodes, run: Callable[..., Any], task: bytes, needs: list[str], makes: str) -> Any:
    """Do a task on this node: fetch the units that it needs, and send those that it makes."""
    exchange, here = nodes.exchange, nodes.exchange.here
    over = f"done/{makes.replace('/', '-').rstrip('*')}"
    with storage_explained():
        if exchange.place.size(over) is not None:
            return json.loads(exchange.place.read(over))
        if nodes.parent is not None:
            fetch(Place(nodes.parent))
        for name in needs:
            exchange.fetch(name, here / name)
        result = run(*nodes.unpacked(task))
        for unit in sorted(here.glob(makes)):
            exchange.send(unit, unit.relative_to(here).as_posix())
        exchange.place.write(over, [json.dumps(result).encode()])
    return result


class _Packer(pickle.Pickler):
    """Paths below a root become the number of the root and what is below it."""

    def __init__(self, out: io.BytesIO, roots: list[Path]) -> None:
        super().__init__(out)
        self.roots = roots

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, Path):
            for number, root in enumerate(self.roots):
                if obj.is_relative_to(root):
                    return number, str(obj.relative_to(root))
        return None


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, roots: list[Path]) -> None:
        super().__init__(file)
        self.roots = roots

    def persistent_load(self, pid: tuple[int, str]) -> Path:
        number, below = pid
        return self.roots[number] / below
