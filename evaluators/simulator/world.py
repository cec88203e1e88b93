"""A world of simulated users: they come, choose from a list or by themselves, are satisfied or not, and come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaluators.ab.interleaving import team_draft
from evaluators.arrays import Bools, Floats, Ints
from evaluators.simulator.events import Events
from evaluators.simulator.parameters import Parameters
from evaluators.simulator.state import HISTORY, State, Visits

MINUTE = 1 / 1440  # between two choices of a session
BLOCK = 4_000  # visits answered at once: their scores stay in the cache

Teams = NDArray[np.int8]
Shows = Callable[[Visits], tuple[Ints, Teams]]


class Recommender(Protocol):
    """Anything that makes lists from what users did: visits [B] -> items [B, k], best first, -1 for nothing, none
    twice."""

    def recommend(self, visits: Visits, k: int) -> Ints: ...


class World:
    """A catalogue whose items are born and fade, and the users' ways of `Parameters`, from one seed.

    What a user wants at time t is a distribution over items:

        p(i) = repeat · Σ_{events of i} R(t - t_e) / Σ_events R(t - t_e) + (1 - repeat) · appeal_i(t) / Σ_j appeal_j(t),

    appeal_i(t) = rank_i^-popularity · 2^(-(t - born_i) / fade) from its birth on (read once a day). By themselves
    they take an item by p. From a list they choose place k with the weight (1 + k)^-bias · p(i_k), and nothing with
    the weight `outside`: a multinomial logit with position bias (McFadden 1974; Craswell, Zoeter, Taylor & Ramsey
    2008).

    Users do not influence each other: given the catalogue they are independent, and an arm cannot spill into another.

    days: for how long the world lasts.
    """

    def __init__(self, parameters: Parameters, days: int, seed: int = 0) -> None:
        self.parameters, self.days, self.seed = parameters, days, seed
        random = np.random.default_rng([seed, 0])
        rank = 1.0 + random.permutation(parameters.items)
        span = min(4 * parameters.fade, 1e4)  # older items have a sixteenth of their appeal left
        self.born = random.uniform(-span, days if np.isfinite(parameters.fade) else -span, parameters.items)
        age = np.arange(days)[:, None] - self.born
        appeal = np.where(age >= 0, rank**-parameters.popularity * np.exp2(-age / parameters.fade), 0.0)
        self.appeal_DI: Floats = appeal / appeal.sum(1, keepdims=True)
        self._cumulative = (np.cumsum(self.appeal_DI, axis=1) + np.arange(days)[:, None]).ravel()

    def people(self, users: int, seed: int = 0, history: int = HISTORY) -> State:
        """New users, with no past: when they come first, and their pace."""
        random = np.random.default_rng([self.seed, 1, seed])
        pace = np.exp(self.parameters.gap_between * random.normal(size=users))
        return State.new(random.uniform(0, self.parameters.join, users), pace, history)

    def roam(self, state: State, stop: float, seed: int = 0) -> Events:
        """Let users find what they want by themselves until day `stop`: every visit takes something that satisfies.
        `state` moves on; the events are a log."""
        random = np.random.default_rng([self.seed, 2, seed])

        def took(visits: Visits) -> tuple[Ints, Bools, Teams]:
            count = len(visits)
            return self._wish(visits, random), np.ones(count, bool), np.full(count, -1, np.int8)

        return self._run(state, stop, took, random)

    def serve(
        self,
        state: State,
        stop: float,
        recommenders: Sequence[Recommender],
        arm: Ints | None = None,
        *,
        k: int = 10,
        seed: int = 0,
        satisfied: Sequence[float] | None = None,
    ) -> Events:
        """Show every user the lists of their arm's recommender until day `stop`: arm [U], all in the first where left
        out.

        satisfied: each arm's chance that what was chosen satisfies, to plant a difference; `Parameters.satisfied` by
        default. A visit's team is the user's arm.
        """
        of_user = np.zeros(len(state.next), np.int64) if arm is None else arm
        chance = np.asarray(satisfied or [self.parameters.satisfied] * len(recommenders))

        def show(visits: Visits) -> tuple[Ints, Teams]:
            lists = np.full((len(visits), k), -1, np.int64)
            mine = of_user[visits.user]
            for number, recommender in enumerate(recommenders):
                rows = np.flatnonzero(mine == number)
                if len(rows):
                    lists[rows] = recommender.recommend(visits.of(rows), k)
            return lists, np.repeat(mine[:, None], k, axis=1).astype(np.int8)

        random = np.random.default_rng([self.seed, 3, seed])
        events = self._run(
            state,
            stop,
            lambda visits: self._choose(visits, show, random, chance[of_user[visits.user]]),
            random,
        )
        return Events(
            events.user, events.time, events.item, events.satisfied, of_user[events.user].astype(np.int8)
        )

    def interleave(
        self, state: State, stop: float, a: Recommender, b: Recommender, *, k: int = 10, seed: int = 0
    ) -> Events:
        """Show every user lists drafted from both: a visit's team is 0 or 1 by whose item was chosen, -1 where none."""
        random = np.random.default_rng([self.seed, 4, seed])

        def show(visits: Visits) -> tuple[Ints, Teams]:
            return team_draft(a.recommend(visits, k), b.recommend(visits, k), random)

        chance = np.asarray(self.parameters.satisfied)
        return self._run(state, stop, lambda visits: self._choose(visits, show, random, chance), random)

    def wanted(self, visits: Visits, lists: Ints) -> Floats:
        """p of each item shown: lists [B, K] -> [B, K]."""
        left = self._left(visits)
        total = left.sum(1, keepdims=True)
        own = np.zeros(lists.shape)
        for place in range(lists.shape[1]):
            own[:, place] = np.where(visits.items == lists[:, place, None], left, 0.0).sum(1)
        share = np.where(total > 0, self.parameters.repeat, 0.0)
        appeal = self.appeal_DI[self._day(visits.time)[:, None], np.maximum(lists, 0)]
        mixed = share * own / np.where(total > 0, total, 1.0) + (1 - share) * appeal
        return np.where(lists >= 0, mixed, 0.0)

    def _left(self, visits: Visits) -> Floats:
        """-> [B, H] the retention of each event."""
        known = visits.items >= 0
        age = np.where(known, visits.time[:, None] - np.where(known, visits.times, 0.0), 0.0)
        return np.where(known, self.parameters.retention(age), 0.0)

    def _day(self, time: Floats) -> Ints:
        return np.minimum(time.astype(np.int64), self.days - 1)

    def _wish(self, visits: Visits, random: np.random.Generator) -> Ints:
        """An item of each user's own wishes: one of the past by its retention, or one that all want."""
        left = np.cumsum(self._left(visits), axis=1)
        again = (random.random(len(visits)) < self.parameters.repeat) & (left[:, -1] > 0)
        drawn = (random.random(len(visits))[:, None] * left[:, -1:] >= left).sum(1)
        day = self._day(visits.time)
        at = np.searchsorted(self._cumulative, day + random.random(len(visits)), side="right")
        common = np.minimum(at - day * self.parameters.items, self.parameters.items - 1)
        own = visits.items[np.arange(len(visits)), np.minimum(drawn, left.shape[1] - 1)]
        wish: Ints = np.where(again, own, common).astype(np.int64)
        return wish

    def _choose(
        self, visits: Visits, show: Shows, random: np.random.Generator, chance: Floats
    ) -> tuple[Ints, Bools, Teams]:
        """-> item [B], satisfied [B], team [B] of each visit."""
        lists, teams = show(visits)
        examined = (1.0 + np.arange(lists.shape[1])) ** -self.parameters.bias
        weight = np.cumsum(examined * self.wanted(visits, lists), axis=1)
        drawn = random.random(len(visits)) * (weight[:, -1] + self.parameters.outside)
        place = (drawn[:, None] >= weight).sum(1)
        chosen = place < lists.shape[1]
        rows, at = np.arange(len(visits)), np.minimum(place, lists.shape[1] - 1)
        pleased = chosen & (random.random(len(visits)) < chance)
        return (
            np.where(chosen, lists[rows, at], -1), pleased, np.where(chosen, teams[rows, at], -1).astype(np.int8),
        )  # fmt: skip

    def _run(
        self,
        state: State,
        stop: float,
        answer: Callable[[Visits], tuple[Ints, Bools, Teams]],
        random: np.random.Generator,
    ) -> Events:
        """Rounds of one visit a user, until nobody comes before `stop`."""
        if stop > self.days:
            raise ValueError(
                f"`stop <= days` must hold, but got (stop={stop}, days={self.days}); make a world that lasts longer."
            )
        parts = [Events(*(np.empty(0, kind) for kind in (np.int64, float, np.int64, bool, np.int8)))]
        coming = np.flatnonzero(state.next < stop)
        while len(coming):
            for begin in range(0, len(coming), BLOCK):
                users = coming[begin : begin + BLOCK]
                visits = state.visits(users)
                items, pleased, team = answer(visits)
                parts.append(Events(users, visits.time, items, pleased, team))
                took = items >= 0
                state.remember(users[took], items[took], visits.time[took])
                state.next[users] = visits.time + self._away(state.pace[users], took, pleased, random)
            coming = coming[state.next[coming] < stop]
        return Events.joined(parts)

    def _away(self, pace: Floats, took: Bools, pleased: Bools, random: np.random.Generator) -> Floats:
        """Days until the next visit: a minute or so within a session, else a gap, longer for the unsatisfied."""
        parameters = self.parameters
        spread = np.exp(parameters.gap_within * random.normal(size=len(pace)))
        gap = parameters.gap * pace * spread * np.where(pleased, 1.0, parameters.later)
        stays = took & (random.random(len(pace)) < parameters.stay)
        return np.where(stays, MINUTE * random.uniform(0.5, 5.0, len(pace)), gap)
