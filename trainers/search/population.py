"""Population based training (PBT; Jaderberg et al. 2017), without what depends on timing.

The members of a population train side by side, in rounds of some epochs. After a round those of the worst quantile take
over what a member of the best quantile has come to, parameters and the optimiser's state, and go on with its settings,
perturbed. What wins is not a point of the space but a *schedule*: settings by epoch.

All members begin with the same parameters and see the same batches, as all trials of a search do. So what a member has
come to follows from the settings on its way alone, and so does its name on disk: a training that follows the schedule
from the start is the same training, whoever went which part of the way. The lineage replays.

Ray's PopulationBasedTraining perturbs by a common random state, in the order in which reports happen to arrive, and
keeps its checkpoints within one experiment. Here a member's next round depends on the values of the round before and
the seed alone: any number of workers ends with the same population, and one that was killed goes on to the same end. A
member that is sure not to be among the worst of its round does not wait for the others.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from trainers.encoders import NeuralSettings
from trainers.model import ModelSettings
from trainers.search.curve_space import Params
from trainers.search.space import Domain, Range, Scalar, Space
from trainers.training.changes import CHANGEABLE


class PopulationSettings(BaseModel):
    """`{kind: pbt, interval: 2, quantile: 0.25, factors: [0.8, 1.25], resample: 0.25}`: settings change inside a
    training; `search.trials` says how many members the population has.

    Attributes:
        kind: `pbt`.
        interval: the epochs of a round.
        quantile: this share of the members, the worst, take over from as many, the best.
        factors: a number that is taken over is multiplied by one of these, within its range; a choice from a list moves
            by one place.
        resample: or it is drawn anew from its range, with this chance.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["pbt"] = "pbt"
    interval: int = Field(1, ge=1)
    quantile: float = Field(0.25, gt=0, le=0.5)
    factors: tuple[float, float] = (0.8, 1.25)
    resample: float = Field(0.25, ge=0, le=1)

    by: ClassVar[Literal["epochs"]] = "epochs"
    latest: ClassVar[bool] = True  # a member goes on from what it is, not from what it was at its best

    @model_validator(mode="after")
    def _moves(self) -> Self:
        low, high = self.factors
        if not 0 < low < 1 < high:
            raise ValueError(f"`factors` must be one below 1 and one above, but got {list(self.factors)}.")
        return self

    def rungs(self, whole: float) -> tuple[float, ...]:
        """Where rounds end, below the `whole` of the epochs.

        >>> PopulationSettings(interval=4).rungs(10)
        (4.0, 8.0)
        """
        return tuple(float(end) for end in range(self.interval, math.ceil(whole), self.interval))

    def check(self, model: ModelSettings, space: Space) -> None:
        """ValueError where a space asks for what cannot change inside a training."""
        may = ", ".join("dropout" if name == "dropout" else f"training.{name}" for name in CHANGEABLE)
        terms = {term.label: term for term in model.terms}
        varied = 0
        for key, held in space.root.items():
            for name in [*held.domains, *(["forgetting"] if held.forgetting else [])]:
                varied += 1
                if not _changeable(name):
                    raise ValueError(
                        f"`search.scheduler` of kind pbt changes settings inside a training, where `{key}.{name}` "
                        f"cannot change; search some of ({may}), or take `kind: asha`."
                    )
            for term in (terms[label] for label in key.split("+")):
                if not isinstance(term, NeuralSettings) or not term.weight:
                    raise ValueError(
                        f"`search.scheduler` of kind pbt needs networks to train, but `{term.label}` "
                        f"{'has the weight 0' if isinstance(term, NeuralSettings) else 'has no epochs'}; leave it out "
                        "of `search.space`."
                    )
                if term.training.changes or term.training.epochs <= self.interval:
                    raise ValueError(
                        f"`search.scheduler` of kind pbt needs terms of more than `interval` ({self.interval}) epochs "
                        f"and without `training.changes`, but `{term.label}` has {term.training.epochs} epochs and "
                        f"{len(term.training.changes)} changes."
                    )
        if not varied:
            raise ValueError(f"`search.scheduler` of kind pbt needs settings to change: some of ({may}).")

    def patient(self, model: ModelSettings, space: Space) -> ModelSettings:
        """The model whose searched networks train all their epochs: what lags is given up by the population."""
        searched = labels(space)
        terms = [
            term.model_copy(
                update={"training": term.training.model_copy(update={"patience": term.training.epochs})}
            )
            if isinstance(term, NeuralSettings) and term.label in searched
            else term
            for term in model.terms
        ]
        return ModelSettings(terms=tuple(terms))

    def perturbed(self, params: Params, space: Space, rng: np.random.Generator) -> Params:
        """Other settings near these."""
        domains = {
            f"{key}.{name}": held.domains[name] for key, held in space.root.items() for name in held.domains
        }
        return {name: self._moved(value, domains[name], rng) for name, value in sorted(params.items())}

    def _moved(self, value: Scalar, domain: Domain, rng: np.random.Generator) -> Scalar:
        anew, side = rng.random() < self.resample, int(rng.integers(2))
        if isinstance(domain, Range):
            share = rng.random()
            return domain.at(share) if anew else domain.inside(float(value) * self.factors[side])
        place = int(rng.integers(len(domain))) if anew else domain.index(value) + (-1, 1)[side]
        return domain[min(max(place, 0), len(domain) - 1)]


def labels(space: Space) -> tuple[str, ...]:
    """The terms that a space varies."""
    return tuple(label for key in space.root for label in key.split("+"))


def _changeable(name: str) -> bool:
    block, _, rest = name.partition(".")
    if block != "training":
        return name == "dropout"
    first, _, parameter = rest.partition(".")
    return first in CHANGEABLE and first != "dropout" and (first == "forgetting") == bool(parameter)
