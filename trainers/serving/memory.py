"""What is left of one user's events, as terms keep it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from trainers.encoders.base import Array
from trainers.forgetting.compiled import Compiled, ItemStates
from trainers.histories import NOTHING_READ
from trainers.log import DAY

Floats = npt.NDArray[np.float64]


class Memory:
    """What a term keeps of one user; this one keeps nothing."""

    def add(self, column: int, weight: float, at: float, moment: int) -> None:
        """An event at `at` (unix seconds), in the user's moment of that number."""

    def arrays(self) -> dict[str, Array]:
        """All of it, by name."""
        return {}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Take back what `arrays` gave."""

    @property
    def nbytes(self) -> int:
        return 0


class ProfileMemory(Memory):
    """The decayed profile: a compiled curve's states for each item that the user has had."""

    def __init__(self, curve: Compiled, weighted: bool) -> None:
        self.states, self.weighted = ItemStates(curve), weighted

    def add(self, column: int, weight: float, at: float, moment: int) -> None:
        self.states.add(column, weight if self.weighted else 1.0, at / DAY, moment)

    def read(self, at: float, moment: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """The items [S] that the user has had, and what is left of each [S]."""
        columns, left = self.states.read(at / DAY, moment)
        return columns, left.astype(np.float32)

    def arrays(self) -> dict[str, Array]:
        found: dict[str, Array] = dict(self.states.arrays())
        return found

    def restore(self, arrays: Mapping[str, Array]) -> None:
        wanted = (len(arrays["columns"]), self.states.compiled.states)
        _check_shape("amounts", arrays["amounts"], wanted)
        self.states.restore(arrays)

    @property
    def nbytes(self) -> int:
        return self.states.nbytes


class BankMemory(Memory):
    """The states of a bank: Σ exp(−rate_k·age)·e(item) and Σ exp(−rate_k·age), as of the latest event."""

    def __init__(self, day_rates: Floats, moment_rates: Floats, embedding: npt.NDArray[np.float32]) -> None:
        self._day_rates, self._moment_rates, self._embedding = day_rates, moment_rates, embedding
        self._sums = np.zeros((len(day_rates), embedding.shape[1]))
        self._masses = np.zeros(len(day_rates))
        self._at, self._moment, self.events = -math.inf, 0, 0

    def _kept(self, at: float, moment: int) -> Floats:
        """[K] what is left of the states."""
        if not self.events:
            return np.ones_like(self._masses)
        lost = self._day_rates * ((at - self._at) / DAY) + self._moment_rates * (moment - self._moment)
        return np.asarray(np.exp(-lost))

    def add(self, column: int, weight: float, at: float, moment: int) -> None:
        kept = self._kept(at, moment)
        self._sums *= kept[:, None]
        self._sums += self._embedding[column]
        self._masses *= kept
        self._masses += 1.0
        self._at, self._moment = at, moment
        self.events += 1

    def read(self, at: float, moment: int) -> tuple[Floats, Floats, float]:
        """The states [K, D], their masses [K], and the days since the last event."""
        kept = self._kept(at, moment)
        days = (at - self._at) / DAY if self.events else NOTHING_READ
        return self._sums * kept[:, None], self._masses * kept, days

    def arrays(self) -> dict[str, Array]:
        return {
            "sums": self._sums.copy(),
            "masses": self._masses.copy(),
            "at": np.array([self._at]),
            "counts": np.array([self._moment, self.events], np.int64),
        }

    def restore(self, arrays: Mapping[str, Array]) -> None:
        _check_shape("sums", arrays["sums"], self._sums.shape)
        self._sums = np.array(arrays["sums"], np.float64)
        self._masses = np.array(arrays["masses"], np.float64)
        self._at = float(np.asarray(arrays["at"], np.float64)[0])
        self._moment, self.events = (int(number) for number in np.asarray(arrays["counts"], np.int64))

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays().values())


def _check_shape(name: str, array: Array, wanted: tuple[int, ...]) -> None:
    if array.shape != wanted:
        raise ValueError(
            f"`{name}` of a user's state must have the shape {wanted}, but has {array.shape}; it was kept under "
            "another model: replay the user's events."
        )
