"""A training whose best schedule is known, and a population of it run without Ray."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trainers.encoders.mlp import MlpSettings
from trainers.model import ModelSettings
from trainers.search.course import Task
from trainers.search.crew import carry_out
from trainers.search.members import Population
from trainers.search.objective import Judge, Reached, State, Subject
from trainers.search.population import PopulationSettings
from trainers.search.records import Records
from trainers.search.settings import SearchSettings

EPOCHS, NOISE, START = 30, 1.0, 10.0
SPACE: dict[str, Any] = {"mlp": {"training.rate": {"low": 0.01, "high": 1.0, "log": True}}}


def subject(space: dict[str, Any] | None = None) -> Subject:
    term = {"kind": "mlp", "training": {"epochs": EPOCHS}}
    model = ModelSettings.model_validate({"terms": [term, {"kind": "own"}]})
    return Subject(model, settings(space=space or SPACE).space)


def subject_patient() -> Subject:
    """As a search trains it."""
    chosen, about = settings(), subject()
    return replace(about, model=population_of(chosen).patient(about.model, about.space))


def settings(trials: int = 8, **values: Any) -> SearchSettings:
    scheduler = {"kind": "pbt", "interval": 3, **values.pop("scheduler", {})}
    return SearchSettings.model_validate({"trials": trials, "space": SPACE, "scheduler": scheduler, **values})


def population_of(chosen: SearchSettings) -> PopulationSettings:
    assert chosen.population is not None
    return chosen.population


def population(chosen: SearchSettings) -> Population:
    return Population(chosen, population_of(chosen), subject())


def after_step(variance: float, rate: float) -> float:
    """The expected square of x after a step x ← x − rate·(x + noise)."""
    return (1 - rate) ** 2 * variance + rate**2 * NOISE


def best_possible() -> float:
    """The value under the best schedule: the rate that makes the next square least is V / (V + noise), so that
    1 / V grows by 1 / noise a step."""
    return math.log(1 / START + EPOCHS / NOISE)


@dataclass(frozen=True)
class Noisy:
    """Stochastic gradient descent on x², in expectation: a step an epoch. The value is −log of the square.

    Attributes:
        folder: where `epochs` gets a line for each that is trained.
        raises: a member whose rate is above raises.
        stop_after: after so many epochs trained, all raise.
    """

    folder: str
    scheduler: PopulationSettings
    raises: float = math.inf
    stop_after: int = 10_000

    def key(self) -> str:
        return "noisy"

    def about(self) -> dict[str, Any]:
        return {}

    def open(self) -> Judge:
        return self.judge

    def judge(self, settings: ModelSettings, start: State | None = None) -> Iterator[Reached]:
        term = settings.terms[0]
        assert isinstance(term, MlpSettings)
        begun, variance = (int(start["epochs"]), float(start["variance"])) if start else (0, START)
        rungs = self.scheduler.rungs(EPOCHS)
        for epoch in range(begun, EPOCHS):
            rate = term.training.after(epoch).rate
            if rate > self.raises:
                raise ArithmeticError(f"no luck with {rate:g}")
            self._trained(epoch, settings)
            variance = after_step(variance, rate)
            value = np.full(3, -math.log(variance))
            if epoch + 1 in rungs:
                state = {"epochs": epoch + 1, "variance": variance}
                yield Reached(epoch + 1, value, whole=False, state=state, told={"variance": variance})
        yield Reached(EPOCHS, value)

    def _trained(self, epoch: int, settings: ModelSettings) -> None:
        if self.stop_after < 10_000 and len(trained(self.folder)) >= self.stop_after:
            raise ConnectionError("the machine went away")
        with (Path(self.folder) / "epochs").open("a") as file:
            file.write(f"{epoch} {settings.model_dump_json()}\n")


def trained(folder: str | Path) -> list[str]:
    """The epochs that were trained, a line each."""
    file = Path(folder) / "epochs"
    return file.read_text().splitlines() if file.exists() else []


def run(
    chosen: SearchSettings, folder: Path, *, order: int = 1, limit: int = 100, most: int = 10_000, **fake: Any
) -> Population:
    """A population without Ray: up to `limit` tasks side by side, told in the order asked for; after `most` of them the
    process is gone."""
    objective = Noisy(str(folder), population_of(chosen), **fake)
    records, members, about = Records(folder / "trials", objective.key()), population(chosen), subject()
    waiting: list[Task] = []
    while not (members.over and not waiting):
        task = members.propose() if len(waiting) < limit else None
        if task is not None:
            waiting.append(task)
            continue
        assert waiting, "nothing to do, and not over"
        for each in waiting[::order]:
            if most == 0:
                return members
            most -= 1
            model = about.along(each.course)
            entry = records.find(model, each)
            try:
                entry = entry or carry_out(each, model, objective.open(), records)
            except ArithmeticError:
                members.tell(each.number, None)
            else:
                members.tell(each.number, entry.value, entry.readings)
        waiting = []
    return members


def values(members: Population) -> list[float]:
    """What the members have in the end."""
    last = len(members.ends) - 1
    return [
        members.values[last, member] for member in range(members.size) if (last, member) in members.values
    ]
