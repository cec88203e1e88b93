"""What the driver and the workers of a fit hand each other, as files on a shared disk or through object storage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from trainers.fitting.fits import Fits
from trainers.fitting.request import Fit
from trainers.storage.exchange import Exchange
from trainers.storage.place import Place

PROGRESS_FILE = "progress.json"


def partial_of(out: str | Path) -> Path:
    return Path(out).with_name(Path(out).name + ".partial")


@dataclass(frozen=True)
class Handed:
    """The files of a request, and how they reach who needs them."""

    request: Fit

    @cached_property
    def _exchange(self) -> Exchange | None:
        return None if self.request.through is None else Exchange(Place(self.request.through))

    def _folders(self) -> list[str]:
        return [folder for folder in (self.request.data, self.request.start) if folder is not None]

    def give(self) -> None:
        """The driver: what the fit starts from."""
        if exchange := self._exchange:
            for folder in self._folders():
                if Path(folder).exists():  # a start may be what a fit before it makes
                    exchange.send(Path(folder), Path(folder).name)

    def receive(self) -> Fit:
        """A worker: the fit with folders of its own node, what it starts from and what was kept of it in them."""
        if (exchange := self._exchange) is None:
            return self.request
        moved: dict[str, Any] = {
            name: str(exchange.here / Path(folder).name)
            for name in ("data", "start", "out")
            if (folder := getattr(self.request, name)) is not None
        }
        for folder in self._folders():
            exchange.fetch(Path(folder).name, exchange.here / Path(folder).name)
        out = Path(self.request.out).name
        if exchange.has(out):
            exchange.fetch(out, Path(moved["out"]))
        else:  # nor is it here, whatever an earlier launch has left: all workers must agree
            shutil.rmtree(moved["out"], ignore_errors=True)
            exchange.down(partial_of(out).name, partial_of(moved["out"]))
        return replace(self.request, **moved)

    def mirror(self, partial: Path) -> None:
        """Worker 0: what is kept of a fit under way, for a worker on another node to go on from."""
        if exchange := self._exchange:
            exchange.up(partial, partial.name)

    def send(self) -> None:
        """Worker 0: the result."""
        if exchange := self._exchange:
            name = Path(self.request.out).name
            exchange.send(exchange.here / name, name)
            exchange.place.child(partial_of(name).name).clear()

    def take(self) -> None:
        """The driver: the result, whole.

        Raises:
            RuntimeError: there is none.
        """
        out = Path(self.request.out)
        if exchange := self._exchange:
            exchange.fetch(out.name, out)
        if not Fits(out).whole:
            raise RuntimeError(
                f"the fit ended without its result in {out}; it must be on storage that all workers share."
            )

    def close(self) -> None:
        """The driver, when it has all results: nothing of them stays in object storage."""
        if exchange := self._exchange:
            exchange.place.clear()

    def leave(self, name: str, word: str) -> None:
        """A worker that ends: a file that the driver can read beside what is kept of the fit."""
        partial = partial_of(self.request.out)
        if exchange := self._exchange:
            exchange.place.child(partial.name).write(name, [word.encode()])
        else:
            partial.mkdir(parents=True, exist_ok=True)
            (partial / name).write_text(word)

    def said(self, name: str) -> str:
        """What a file says that lies beside what is kept of the fit; FileNotFoundError where there is none."""
        partial = partial_of(self.request.out)
        if (exchange := self._exchange) is None:
            return (partial / name).read_text()
        place = exchange.place.child(partial.name)
        if place.size(name) is None:
            raise FileNotFoundError(name)
        return place.read(name).decode()


def watch(requests: Sequence[Fit], say: Callable[[dict[str, Any]], None]) -> None:
    """Pass on the latest progress of fits that run elsewhere, if there is any."""
    for request in requests:
        try:
            say(json.loads(Handed(request).said(PROGRESS_FILE)))
        except (FileNotFoundError, json.JSONDecodeError):  # not begun, over, or read in the middle of a write
            continue
