"""What the members of a population have come to, on disk: each round whole or not there at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from trainers.model import ModelSettings
from trainers.search.course import until
from trainers.search.ledger import Ledger
from trainers.search.objective import Reached, State
from trainers.storage import files

FOLDER = "rounds"
STATE = ".pt"


class Rounds:
    """A folder inside that of the ledger. A round is known by the schedule up to its end, whoever went it:
    `<epochs>-<key>.json` holds its value, and `<epochs>-<key>.pt` what it takes to go on, until nobody needs it."""

    def __init__(self, ledger: Ledger) -> None:
        self.folder, self.ledger = ledger.folder / FOLDER, ledger

    def file(self, settings: ModelSettings, epochs: int) -> Path:
        return self.folder / f"{epochs:05d}-{self.ledger.file(until(settings, epochs)).name}"

    def find(self, settings: ModelSettings, epochs: int) -> dict[str, Any] | None:
        """What a round ended with: its `value` and what was `told` of it. One that cannot be read is none."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(self.file(settings, epochs).read_text())
            return {"value": float(content["value"]), "told": dict(content["told"])}
        return None

    def start(self, settings: ModelSettings, ends: Sequence[int]) -> State | None:
        """What is left of the latest of these rounds of the same training; a broken one is passed over."""
        for end in sorted(ends, reverse=True):
            if (state := self._state(self.file(settings, end).with_suffix(STATE))) is not None:
                return state
        return None

    def enter(self, settings: ModelSettings, epochs: int, reached: Reached, seconds: float) -> None:
        """Write a round down.

        Raises:
            OSError: there is no room: nothing is left of it then.
        """
        import torch  # here: a search of closed forms does not wait for it

        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.file(settings, epochs)
        content = {"value": float(reached.values.mean()), "told": reached.told, "seconds": seconds}
        with files.whole(file.with_suffix(STATE)) as partial, partial.open("wb") as stream:
            torch.save(reached.state, stream)
        with files.whole(file) as partial:  # last: a round that can be seen has its state beside it
            partial.write_text(json.dumps(content))

    def forget(self, before: float) -> None:
        """Remove what nobody goes on from: the states of rounds that end before so many epochs."""
        for file in self.folder.glob(f"*{STATE}"):
            if int(file.name.partition("-")[0]) < before:
                file.unlink(missing_ok=True)

    @staticmethod
    def _state(file: Path) -> State | None:
        if not file.exists():
            return None
        import torch

        from trainers.training.checkpoints import whole

        if not whole(file):
            return None
        found: State = torch.load(file, weights_only=True)
        return found
