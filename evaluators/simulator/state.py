"""What is remembered between two days: each user's past, and when they come next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluators.arrays import Floats, Ints

HISTORY = 24  # events of a user that are remembered


@dataclass(frozen=True)
class Visits:
    """B visits, as a recommender sees them: user [B], time [B] days; items [B, H], times [B, H]: the user's last events
    in no order, all strictly before the visit; -1 and -inf where there are fewer."""

    user: Ints
    time: Floats
    items: Ints
    times: Floats

    def __len__(self) -> int:
        return len(self.user)

    def of(self, chosen: Ints) -> Visits:
        return Visits(self.user[chosen], self.time[chosen], self.items[chosen], self.times[chosen])


@dataclass
class State:
    """U users: items, times [U, H] their last H events; events [U] how many there were; next [U] when they come; pace
    [U] their own factor on the time between sessions."""

    items: Ints
    times: Floats
    events: Ints
    next: Floats
    pace: Floats

    @classmethod
    def new(cls, first: Floats, pace: Floats, history: int) -> State:
        users = len(first)
        return cls(
            np.full((users, history), -1, np.int64), np.full((users, history), -np.inf),
            np.zeros(users, np.int64), first.copy(), pace,
        )  # fmt: skip

    def copy(self) -> State:
        return self.subset(np.arange(len(self.next)))

    def subset(self, users: Ints) -> State:
        """Some of the users, numbered anew in the order given."""
        return State(
            self.items[users], self.times[users], self.events[users], self.next[users], self.pace[users]
        )

    def put(self, users: Ints, part: State) -> None:
        """Take back a `subset` that went its own way."""
        for name in ("items", "times", "events", "next", "pace"):
            getattr(self, name)[users] = getattr(part, name)

    def visits(self, users: Ints) -> Visits:
        return Visits(users, self.next[users], self.items[users], self.times[users])

    def remember(self, users: Ints, items: Ints, times: Floats) -> None:
        """One event each, in place of the oldest where there is no room."""
        place = self.events[users] % self.items.shape[1]
        self.items[users, place] = items
        self.times[users, place] = times
        self.events[users] += 1
