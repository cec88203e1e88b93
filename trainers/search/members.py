"""The members of a population, round by round: what each is to do next, and from whom it goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from optuna.trial import FrozenTrial

from trainers.search.course import Course, Step, Task
from trainers.search.halving import Reading, Stop
from trainers.search.objective import Subject
from trainers.search.population import PopulationSettings, labels
from trainers.search.proposals import Proposals
from trainers.search.settings import SearchSettings

TRIES = 20  # to find settings that no member goes on with
Place = tuple[int, int]
"""(round, member)."""


class Population:
    """A population, whose every member's round is a task. The next round of a member is known once its own place in the
    round before is: from the values and the seed alone, so that no timing can change it.

    Args:
        known: trials of a former search, which the first settings learn from.
    """

    def __init__(
        self,
        settings: SearchSettings,
        scheduler: PopulationSettings,
        subject: Subject,
        known: Sequence[FrozenTrial] = (),
    ) -> None:
        self.scheduler, self.space, self.seed = scheduler, subject.space, settings.seed
        self.size = settings.trials
        epochs = max(
            term.training.epochs  # type: ignore[union-attr]  # `PopulationSettings.check` refuses others
            for term in subject.model.terms
            if term.label in labels(subject.space)
        )
        self.ends = (*(int(end) for end in scheduler.rungs(epochs)), epochs)
        first = Proposals(
            settings.model_copy(update={"scheduler": None, "ahead": self.size}), subject.space, known
        )
        self.courses: dict[Place, Course] = {}
        self.lineage: dict[Place, tuple[int, ...]] = {}
        """Whose rounds a member's training consists of, itself last."""
        while (task := first.propose()) is not None:
            self.courses[0, task.number], self.lineage[0, task.number] = task.course, (task.number,)
        self.values: dict[Place, float] = {}
        self._failed: dict[int, int] = {}
        """By member, the round in which it failed."""
        self._asked: list[Place] = []
        self._next = [0] * self.size
        """By member, the first round that was not asked for."""

    # What Tune asks

    @property
    def total(self) -> int:
        return self.size * len(self.ends)

    @property
    def proposed(self) -> int:
        return len(self._asked)

    @property
    def over(self) -> bool:
        """Whether nothing is left to ask for: each member has come to its last round, or failed."""
        return all(
            number == len(self.ends) or member in self._failed for member, number in enumerate(self._next)
        )

    def propose(self) -> Task | None:
        """The next task; None while the rounds it depends on are not over, and after the last."""
        for number, member in sorted((number, member) for member, number in enumerate(self._next)):
            if number < len(self.ends) and self._known((number, member)):
                self._asked.append((number, member))
                self._next[member] += 1
                end = self.ends[number] if number < len(self.ends) - 1 else None
                course = self.courses[number, member]
                return Task(number * self.size + member, course, until=end, after=self.ends[:number])
        return None

    def put_back(self) -> None:
        """The latest task, to be proposed again."""
        self._next[self._asked.pop()[1]] -= 1

    def tell(
        self, number: int, value: float | None, readings: Sequence[Reading] = (), stop: Stop | None = None
    ) -> None:
        """A task is over; without a value or a reading the member has failed, and is out."""
        place = divmod(number, self.size)
        found = readings[-1][1] if value is None and readings else value
        if found is None:
            self._failed[place[1]] = place[0]
        else:
            self.values[place] = found

    # Who goes on from where

    def _known(self, place: Place) -> bool:
        """Whether it is settled by what settings a member goes on, and from whom."""
        number, member = place
        if place not in self.courses and (number - 1, member) in self.values:
            if self._over(number - 1):
                self._settle(number)
            elif self._safe(number - 1, member):
                self._go_on(place)
        return place in self.courses

    def _began(self, number: int) -> list[int]:
        """Who has not failed before this round."""
        return [member for member in range(self.size) if self._failed.get(member, number) >= number]

    def _over(self, number: int) -> bool:
        return all(
            (number, member) in self.values or member in self._failed for member in self._began(number)
        )

    def _ranked(self, number: int) -> list[int]:
        """Who is through a round, the best first; of equals the one of the lower number."""
        through = [member for member in range(self.size) if (number, member) in self.values]
        return sorted(through, key=lambda member: (-self.values[number, member], member))

    def _taken_over(self, members: int) -> int:
        """How many of so many take over from others."""
        return min(math.ceil(members * self.scheduler.quantile - 1e-9), members // 2)

    def _safe(self, number: int, member: int) -> bool:
        """Whether a member is sure to go on by itself, though others are not through the round."""
        ranked = self._ranked(number)
        below = len(ranked) - ranked.index(member) - 1
        return below >= self._taken_over(len(self._began(number)))

    def _go_on(self, place: Place) -> None:
        number, member = place
        self.courses[place] = self.courses[number - 1, member]
        self.lineage[place] = (*self.lineage[number - 1, member], member)

    def _settle(self, number: int) -> None:
        """A round is over: who goes on in the round `number`, and how."""
        ranked = self._ranked(number - 1)
        many = self._taken_over(len(ranked))
        for place, member in enumerate(ranked):
            if place < len(ranked) - many:
                self._go_on((number, member))
                continue
            rng = np.random.default_rng((self.seed, number, member))
            other = ranked[int(rng.integers(many))]
            self.courses[number, member] = self._near(self.courses[number - 1, other], number, rng)
            self.lineage[number, member] = (*self.lineage[number - 1, other], member)

    def _near(self, course: Course, number: int, rng: np.random.Generator) -> Course:
        """Another course from here on; one that nobody has yet, where that can be had: two alike are one."""
        for _ in range(TRIES):
            params = self.scheduler.perturbed(course[-1][1], self.space, rng)
            found = (*course, (self.ends[number - 1], params))
            if params != course[-1][1] and found not in (
                self.courses.get((number, member)) for member in range(self.size)
            ):
                break
        return found

    # What came of it

    @property
    def through(self) -> int:
        """The epochs of the last round that all are through: what was left behind before is needed no more. One that
        has failed is not through: the same search, run again, takes it up."""
        done = [
            end
            for number, end in enumerate(self.ends)
            if all((number, member) in self.values for member in range(self.size))
        ]
        return done[-1] if done else 0

    def trial_of(self, number: int) -> int:
        """Whose task it was."""
        return number % self.size

    def course(self, member: int) -> Course:
        """The settings of the training that a member has in the end, or had when it failed."""
        return next(
            self.courses[number, member]
            for number in reversed(range(len(self.ends)))
            if (number, member) in self.courses
        )

    def ended(self, member: int) -> bool:
        """Whether a member is through its last round, or failed."""
        return member in self._failed or (len(self.ends) - 1, member) in self.values

    def value(self, member: int) -> float | None:
        """What it came to in its last round."""
        return self.values.get((len(self.ends) - 1, member))

    def stop(self, member: int) -> Stop | None:
        """Nobody is stopped."""
        return None

    def steps(self, member: int) -> tuple[Step, ...]:
        """How a member's training came about, round by round."""
        held = [number for number in range(len(self.ends)) if (number, member) in self.lineage]
        course, last = self.course(member), len(self.ends) - 1
        return tuple(
            Step(
                begin,
                self.ends[number],
                whose,
                [params for after, params in course if after <= begin][-1],
                self.values.get((number, whose)) if number < last else None,
            )
            for number, whose in enumerate(self.lineage[held[-1], member])
            for begin in (self.ends[number - 1] if number else 0,)
        )

    def importance(self) -> dict[str, float]:
        """Not told: settings that change on the way have no value of their own."""
        return {}
