"""Objectives whose best is known. They stand in a module of their own, which the workers of a search import."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainers.forgetting import build
from trainers.model import ModelSettings
from trainers.search.halving import Reading
from trainers.search.objective import Judge, Reached, State
from trainers.search.settings import Scheduler

QUALITY = {"exponential": 1.0, "power": 0.8, "hyperbolic": 0.7, "geometric": 0.6, "none": 0.1}


@dataclass(frozen=True)
class Analytic:
    """Best with `exponential` and a half-life of 7; the setting `l2` matters a little.

    Attributes:
        folder: where `calls` gets a line for each trial judged.
        raises: trials of this family raise.
        nan: trials of this family have no metric.
        stop_after: after so many trials judged, all others raise.
        hangs: trials of this family never end.
        kills: the first trial of this family ends its process as SIGKILL would.
        epochs: so many are needed for the whole value; a trial is looked at where the scheduler says.
        data: what the values are of.
    """

    folder: str
    raises: str = ""
    nan: str = ""
    stop_after: int = 10_000
    hangs: str = ""
    kills: str = ""
    epochs: int = 1
    scheduler: Scheduler | None = None
    data: str = "here"

    def key(self) -> str:
        return f"analytic {self.scheduler}"

    def about(self) -> dict[str, Any]:
        return {"data": self.data}

    def open(self) -> Judge:
        with (Path(self.folder) / "opened").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return self.judge

    def judge(self, settings: ModelSettings, start: State | None = None) -> Iterator[Reached]:
        model, forgetting = settings, settings.terms[0].forgetting
        if len(calls(self.folder)) >= self.stop_after:
            raise ConnectionError("the machine went away")
        if forgetting.family == self.raises:
            raise ArithmeticError(f"no luck with {forgetting.family}")
        with (Path(self.folder) / "calls").open("a") as file:
            file.write(f"{model.model_dump_json()}\n")
        if forgetting.family == self.hangs:
            time.sleep(600)
        if forgetting.family == self.kills and not (mark := Path(self.folder) / "killed").exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        value = math.nan if forgetting.family == self.nan else known(model)
        for rung, low in self.readings(model):
            self._trained(model, rung)
            yield Reached(rung, around(low), whole=False)
        self._trained(model, self.epochs)
        yield Reached(self.epochs, around(value))

    def readings(self, model: ModelSettings) -> tuple[Reading, ...]:
        """On the way all gain alike: the value after e epochs is 1 / e below that of the whole."""
        rungs = self.scheduler.rungs(self.epochs) if self.scheduler else ()
        return tuple((rung, known(model) - 1 / rung) for rung in rungs)

    def _trained(self, model: ModelSettings, epochs: float) -> None:
        with (Path(self.folder) / "epochs").open("a") as file:
            file.write(f"{epochs:g} {model.model_dump_json()}\n")


def around(value: float) -> npt.NDArray[np.float64]:
    """Three queries whose mean is the value."""
    return np.array([value - 0.01, value, value + 0.01])


def epochs_spent(folder: str) -> float:
    """How many epochs all trials trained, those of one model once however often they were looked at."""
    most: dict[str, float] = {}
    for line in (Path(folder) / "epochs").read_text().splitlines():
        epochs, _, model = line.partition(" ")
        most[model] = max(most.get(model, 0.0), float(epochs))
    return sum(most.values())


def known(model: ModelSettings) -> float:
    """What the metric is."""
    settings = model.terms[0].forgetting
    half_life = min(build(settings).half_life, 1e3)
    value = QUALITY[settings.family] - 0.1 * math.log(half_life / 7) ** 2
    l2 = float(getattr(model.terms[-1], "l2", 0.0))
    return value - 0.001 * abs(l2 - 50.0) / 50.0


def calls(folder: str) -> list[str]:
    """The models judged so far, in the order of their judgement."""
    file = Path(folder) / "calls"
    return file.read_text().splitlines() if file.exists() else []
