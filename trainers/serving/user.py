"""One user under a compiled model."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from trainers.encoders.base import Array
from trainers.model import scaled
from trainers.serving.memory import Memory
from trainers.serving.model import CompiledModel

Floats = npt.NDArray[np.float64]


class UserState:
    """One user under a compiled model of `trend`, `own`, `linear` and `recurrent` terms: an event is constant work, and
    what is held grows with the items that the user has had, not with events.

    Times are unix seconds. Events come in the order of time; those of one time form one moment. Scores are asked for
    strictly after the latest event, which is never history of its own second: `scores` refuses an `at` that is not
    later. They are those of `CompiledModel.model` for the same events, as near as float32 is to both (`standard`
    magnifies this where a term hardly tells items apart), with one exception: a `recurrent` term reads all events here
    and the latest `max_history` there.

    >>> from trainers.encoders import Own
    >>> from trainers.model import Model, ModelSettings
    >>> from trainers.serving import compiled
    >>> curve = {"family": "exponential", "half_life": 1}
    >>> settings = ModelSettings.model_validate({"terms": [{"kind": "own", "forgetting": curve}]})
    >>> state = UserState(compiled(Model(settings, [Own(settings.terms[0], 3)], 3)))
    >>> state.update(2, 1.0, at=0)
    >>> state.update(2, 1.0, at=86_400)
    >>> state.scores(at=2 * 86_400).round(6).tolist()
    [0.0, 0.0, 0.75]
    """

    def __init__(self, model: CompiledModel) -> None:
        self.model = model
        self.latest, self.moment = -math.inf, 0
        self._memories: dict[str, Memory] = {}
        for _, served, name in model.served:
            if name not in self._memories:
                self._memories[name] = served.memory()

    def update(self, column: int, weight: float, at: float) -> None:
        """An event of the catalogue's item at `column`. -1, an item outside the catalogue, counts as a moment and no
        more, as in `Histories`."""
        items = self.model.model.items
        if not -1 <= column < items:
            raise ValueError(f"`-1 <= column < {items}` must hold, but got {column}.")
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"`weight` must be a finite number >= 0, but got {weight}.")
        if not (math.isfinite(at) and at >= self.latest):
            raise ValueError(f"events must come in the order of time, but got {at} after {self.latest}.")
        self.moment += at > self.latest
        self.latest = float(at)
        if column >= 0:
            for memory in self._memories.values():
                memory.add(int(column), weight, self.latest, self.moment)

    def scores(self, at: float) -> Floats:
        """[I] Σ weight · scale(score) over the terms, at a time strictly after the latest event."""
        if not (math.isfinite(at) and at > self.latest):
            raise ValueError(
                f"`at` must lie after the latest event, {self.latest}, but got {at}; an event of the same second is no "
                "history: ask before updating."
            )
        total = np.zeros(self.model.model.items)
        for term, served, name in self.model.served:
            raw = served.score(self._memories[name], at, self.moment)
            total += np.multiply(scaled(term, raw[None])[0], term.weight, dtype=np.float64)
        return total

    @property
    def nbytes(self) -> int:
        """Of the arrays, with the room that they have for more items, and of the index of items."""
        return sum(memory.nbytes for memory in self._memories.values())

    def to_arrays(self) -> dict[str, Array]:
        """The whole state, for a file or a store; `from_arrays` resumes exactly."""
        found: dict[str, Array] = {
            "latest": np.array([self.latest]),
            "moment": np.array([self.moment], np.int64),
        }
        for name, memory in self._memories.items():
            found |= {f"{name}.{part}": array for part, array in memory.arrays().items()}
        return found

    @classmethod
    def from_arrays(cls, model: CompiledModel, arrays: Mapping[str, Array]) -> UserState:
        """The state that `to_arrays` gave, under the same model.

        Raises:
            ValueError: arrays are missing, or of shapes that another model has.
        """
        state = cls(model)
        wanted = state.to_arrays()
        if set(wanted) != set(arrays):
            raise ValueError(
                f"the arrays of a user's state must be ({', '.join(sorted(wanted))}), but got "
                f"({', '.join(sorted(arrays))}); it was kept under another model: replay the user's events."
            )
        state.latest = float(np.asarray(arrays["latest"], np.float64)[0])
        state.moment = int(np.asarray(arrays["moment"], np.int64)[0])
        for name, memory in state._memories.items():
            memory.restore({part: arrays[f"{name}.{part}"] for part in memory.arrays()})
        return state
