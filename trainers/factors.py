"""What a network learned of a user's own events, factor by factor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Factor:
    """A learned factor of the weight of a user's own events, beside its highest value.

    Attributes:
        name: `age`, `later moments`, `hours apart, same kind of day`, `hours apart, other kind of day`, `interval`.
        unit: of `at`: `days`, `moments`, `hours` or `intervals` (ages divided by the item's own interval).
        at: [N] where it is told.
        share: [N] the factor there, 1 at its highest; its logarithm is linear between, in that of the age, which for
            moments is counted from one.
    """

    name: str
    unit: str
    at: npt.NDArray[np.float64]
    share: npt.NDArray[np.float64]

    @property
    def half_life(self) -> float:
        """From where it stays at or below half of its highest value; infinite where it never does.

        >>> age = Factor("age", "days", np.array([1.0, 2.0, 4.0, 8.0]), np.array([0.4, 1.0, 0.75, 0.25]))
        >>> float(round(age.half_life, 3))
        5.166
        """
        above = np.flatnonzero(self.share > 0.5)
        if above[-1] == len(self.share) - 1:
            return math.inf
        ends = slice(above[-1], above[-1] + 2)
        fallen = np.interp(math.log(2), -np.log(self.share[ends]), [0.0, 1.0])
        begin = float(self.at[0] == 0)
        low, high = np.log(self.at[ends] + begin)
        return math.exp(low + fallen * (high - low)) - begin
