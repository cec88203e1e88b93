"""One simulated population, and what each of its users would do under each recommender."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from evaluators.arrays import Bools, Floats, Ints
from evaluators.simulator import (
    Blend,
    Events,
    Exponential,
    Lasting,
    Parameters,
    Power,
    State,
    World,
    trend_of,
)

LEARN, BEFORE, ENTER, GRACE, WINDOW = 60, 14, 28, 7, 7
"""Days: a log; a period under the control; users are let in, some every day; they come within this or not at all;
each is watched for so long."""
SHOWN = 5  # places of a list
START_OF_TEST = LEARN + BEFORE
END = START_OF_TEST + ENTER + GRACE + WINDOW
LOOKS = ENTER + GRACE
WORLD = Parameters(bias=1.0, outside=1.0)
CONTROL = "own, nothing forgotten"


@dataclass(frozen=True)
class Pool:
    """users who came: outcome [U], the satisfied choices of a user's first week in the test; before [U], of the two
    weeks before; look [U], the look (from 0, a day each) that counts the user, whose week is over then."""

    outcome: Floats
    before: Floats
    look: Ints


@dataclass(frozen=True)
class Bench:
    """A world, its log of `LEARN` days, the five models made of it, and users who go on from there: each is let in on a
    day of their own, `day` [U], and was served by the control until then."""

    world: World
    log: Events
    models: dict[str, Blend]
    state: State
    before: Floats
    day: Ints

    @classmethod
    def build(cls, users: int, seed: int) -> Bench:
        world = World(WORLD, days=END, seed=seed)
        state = world.people(users)
        log = world.roam(state, LEARN)
        models = models_of(log.item, log.time, LEARN)
        day = np.random.default_rng([seed, 9]).integers(0, ENTER, users)
        before = np.zeros(users)
        for number in range(ENTER):
            mine = np.flatnonzero(day == number)
            part = state.subset(mine)
            stop = START_OF_TEST + number
            events = world.serve(part, stop, [models[CONTROL]], k=SHOWN, seed=1000 * (seed + 1) + number)
            before[mine] = satisfied(events.of(events.time >= stop - BEFORE), len(mine))
            state.put(mine, part)
        return cls(world, log, models, state, before, day)

    @property
    def came(self) -> Bools:
        """[U] who come within `GRACE` days of being let in: no arm can change it."""
        return self.state.next < START_OF_TEST + self.day + GRACE

    def first_weeks(self, run: Callable[[State, float, int], Events]) -> Iterator[tuple[Ints, Events]]:
        """run (state, stop, number) for the users of each day -> who they are, and what they did in their first
        week."""
        for number in range(ENTER):
            mine = np.flatnonzero(self.came & (self.day == number))
            part = self.state.subset(mine)
            entry = part.next.copy()
            events = run(part, START_OF_TEST + number + GRACE + WINDOW, number)
            yield mine, events.of(events.time - entry[events.user] < WINDOW)

    def serve(self, model: str, chance: float, seed: int) -> Pool:
        """What all would do under a model whose choices satisfy with this chance."""
        outcome = np.zeros(len(self.day))

        def run(state: State, stop: float, number: int) -> Events:
            found = [self.models[model]]
            return self.world.serve(
                state, stop, found, k=SHOWN, seed=1000 * (seed + 1) + number, satisfied=[chance]
            )

        for mine, events in self.first_weeks(run):
            outcome[mine] = satisfied(events, len(mine))
        look = (self.state.next[self.came] - START_OF_TEST).astype(np.int64)
        return Pool(outcome[self.came], self.before[self.came], look)

    def interleaved(self, a: str, b: str, seed: int) -> Floats:
        """-> [U'] of those who came: choices of B's items less those of A's in the first week."""
        total = np.zeros(len(self.day))

        def run(state: State, stop: float, number: int) -> Events:
            return self.world.interleave(
                state, stop, self.models[a], self.models[b], k=SHOWN, seed=1000 * (seed + 1) + number
            )

        for mine, events in self.first_weeks(run):
            credit = np.where(events.team < 0, 0, 2 * events.team.astype(np.int64) - 1)
            total[mine] = np.bincount(events.user, credit, len(mine))
        return total[self.came]


def models_of(items: Ints, times: Floats, at: float) -> dict[str, Blend]:
    """Five simple models, the worst first as one would guess; all but the first follow the trend of the last week."""
    whole, recent = (
        trend_of(items, times, at, curve, WORLD.items) for curve in (Lasting(), Exponential(7.0))
    )
    return {
        "popularity": Blend(whole, Lasting(), own=0.0),
        "popularity, half-life 7 days": Blend(recent, Lasting(), own=0.0),
        CONTROL: Blend(recent, Lasting()),
        "own, half-life 14 days": Blend(recent, Exponential(14.0)),
        "own, the true power law": Blend(recent, Power(2.0, 1.5)),
    }


def satisfied(events: Events, users: int) -> Floats:
    return np.bincount(events.user[events.satisfied], minlength=users).astype(np.float64)
