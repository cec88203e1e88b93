"""The users that a package brings with it: their histories, so that an id is enough to ask."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from trainers.log import LAYOUT, PackedLog, Queries
from trainers.storage.saved import Shape, parsed, shaped, tensors

USERS_FILE = "users.json"
EVENTS_FILE = "users.events.safetensors"
"""The dot keeps it apart from the file of any term, whose name can hold none."""
OLD_EVENTS_FILE = "events.safetensors"
"""Its name in packages of before."""


@dataclass(frozen=True)
class KnownUsers:
    """U users and all their events, as the log had them when the model was packaged.

    Attributes:
        ids: [U] in the order of the log, whose numbers curves by user go by.
        log: their events; items are the model's columns, I for one that it does not know, as -1 is for event types.
    """

    ids: list[str]
    log: PackedLog

    def save(self, folder: Path) -> None:
        """Write `users.json` and `users.events.safetensors`."""
        arrays = {name: np.ascontiguousarray(getattr(self.log, name)) for name in LAYOUT}
        save_file(arrays, folder / EVENTS_FILE)
        (folder / USERS_FILE).write_text(json.dumps(self.ids))

    @classmethod
    def load(cls, folder: Path, items: int, category: npt.NDArray[np.int32]) -> KnownUsers | None:
        """What `save` wrote; None where a package brings no users.

        Raises:
            ValueError: the files are damaged, or do not fit together.
        """
        if not (folder / USERS_FILE).exists():
            return None
        ids: list[str] = parsed(folder / USERS_FILE)
        file = folder / (EVENTS_FILE if (folder / EVENTS_FILE).exists() else OLD_EVENTS_FILE)
        arrays: dict[str, Any] = tensors(file)
        shapes: dict[str, Shape] = {name: (len(arrays.get("items", ())),) for name in LAYOUT}
        shaped(file.name, arrays, shapes | {"offsets": (len(ids) + 1,)})
        begins, columns = arrays["offsets"], arrays["items"]
        whole = begins[0] == 0 and begins[-1] == len(columns) and (np.diff(begins) >= 0).all()
        if not whole or columns.min(initial=0) < 0 or columns.max(initial=0) > items:
            raise ValueError(
                f"{file} must be the events of {len(ids)} users, on {items} items, but its numbers "
                "lead outside; write the model anew."
            )
        return cls(ids, PackedLog(**arrays, vocabulary=items + 1, category=category))

    @cached_property
    def _number(self) -> dict[str, int]:
        return {user: number for number, user in enumerate(self.ids)}

    def queries(self, users: Sequence[str], at: Sequence[float]) -> Queries:
        """What each user is asked at each moment; events at or after it are left out.

        Raises:
            ValueError: a user is not known.
        """
        unknown = [user for user in users if user not in self._number]
        if unknown:
            raise ValueError(
                f"`user` must be one that was known when the model was packaged, but there is no {unknown[0]!r}; give "
                "`items` and `times` instead, which may be empty."
            )
        numbers = np.array([self._number[user] for user in users], np.int64)
        return self.log.asked(numbers, np.asarray(at, np.float64))
