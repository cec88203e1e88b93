"""How far ahead a query asks: its own moment, the next few moments, or the next few days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluators.arrays import DAY, Bools, Ints
from evaluators.packed import Moments


@dataclass(frozen=True)
class Horizon:
    """Everything that a user takes from the moment on is relevant, for so many moments or so many days.

    moments: the query's moment and the next `moments - 1` of that user; 1 is next-basket. days: everything in
    [moment, moment + days); a query whose days are not over before the period is (or before the log is, where the
    period has no end) is not asked, since nobody knows what would have been right.

    A user's next query is the first moment after the horizon of the one before, so no event is asked about twice.
    """

    moments: int | None = None
    days: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.moments, self.days) if value is not None]
        if len(given) != 1 or given[0] <= 0:
            raise ValueError(
                "`horizon` must have one of `moments >= 1` and `days > 0`, but got "
                f"(moments={self.moments}, days={self.days}); {{moments: 1}} is the next basket."
            )

    def windows(self, at: Moments, asked: Bools, stop: float) -> tuple[Ints, Ints]:
        """Which moments are asked, and where each one's horizon ends.

        asked [M]: the moments of the period; stop: its end, unix seconds; -> chosen [Q], after [Q]: moments
        [chosen, after) are asked for together.

        >>> at = Moments(np.arange(6), np.array([0, 0, 0, 1, 1]), np.array([1.0, 2.0, 3.0, 1.0, 9.0]))
        >>> [part.tolist() for part in Horizon(moments=2).windows(at, at.time > 1, np.inf)]
        [[1, 4], [3, 5]]
        """
        follows = np.append(False, at.user[1:] == at.user[:-1])  # a user's first moment has no history
        stands = np.flatnonzero(asked & follows)
        if not len(stands):
            return stands, stands
        # Moments of a user in a period in time follow one another.
        opens = np.ones(len(stands), dtype=bool)
        opens[1:] = at.user[stands[1:]] != at.user[stands[:-1]]
        last = np.append(stands[np.flatnonzero(opens)[1:] - 1], stands[-1])
        of_user = np.cumsum(opens) - 1
        after = self._after(at, stands, last[of_user] + 1)
        chosen, place = np.zeros(len(stands), dtype=bool), np.flatnonzero(opens)
        while len(place):
            chosen[place] = True
            following = np.searchsorted(stands, after[place])
            inside = after[place] <= last[of_user[place]]
            place = following[inside]
        if self.days is not None:
            known = min(stop, float(at.time.max()))
            chosen &= at.time[stands] + self.days * DAY <= known
        return stands[chosen], after[chosen]

    def _after(self, at: Moments, stands: Ints, end: Ints) -> Ints:
        """The first moment after the horizon of each, at most `end`: [Q]."""
        if self.moments is not None:
            return np.minimum(stands + self.moments, end)
        assert self.days is not None
        codes, order = np.unique(at.time, return_inverse=True)
        until = np.searchsorted(codes, at.time[stands] + self.days * DAY, side="left")
        width = len(codes) + 1
        return np.minimum(np.searchsorted(at.user * width + order, at.user[stands] * width + until), end)
