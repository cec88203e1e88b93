"""What the table is made of: its configuration, and the cells that follow from it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field

from harness import source_digest
from harness.settings import RunSettings, load
from trainers.encoders import ENCODERS, ClosedForm, TermSettings
from trainers.forgetting import FamilyName, Forgetting, build
from trainers.model import ModelSettings
from trainers.search.curve_space import ClockName, ForgettingSpace

NONE = "none"


class Source(BaseModel):
    """`{config: movielens-100k.yaml, set: [data.events=/data/events.csv.gz]}`: a data set, as a run's file has it.

    Attributes:
        config: relative to the table's file.
        set: changes of it, as `--set` takes them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: str
    set: tuple[str, ...] = ()


class Curves(BaseModel):
    """`{families: [exponential, mixture], clocks: [time, both]}`: every one of these families on every one of these
    clocks, and `none`, which has no clock."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    families: tuple[FamilyName, ...] = get_args(FamilyName)
    clocks: tuple[ClockName, ...] = ("time", "moments", "both")

    def pairs(self) -> list[tuple[str, str]]:
        """(family, clock), `none` first and once."""
        families = [family for family in self.families if family != NONE]
        return [(NONE, "time"), *((family, clock) for family in families for clock in self.clocks)]


class Plan(BaseModel):
    """The configuration of a table.

    Attributes:
        data: by name, the data sets.
        terms: what each model is, alone; closed forms search their curve, neural terms learn it from where likelihood
            puts it. `own` is left out where nothing is taken twice.
        curves: which curves; `none` is always there.
        neural: of neural terms, each of whose curves is a training; the same by default.
        space: the ranges that are searched.
        trials: fits of a closed form on validation, for each curve.
        seeds: of the searches and the fits; figures are means over them.
        sample: choices that a curve's likelihood is fitted on, and as many that it is judged on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: dict[str, Source] = Field(min_length=1)
    terms: tuple[Annotated[TermSettings, Field(discriminator="kind")], ...] = Field(min_length=1)
    curves: Curves = Curves()
    neural: Curves | None = None
    space: ForgettingSpace = ForgettingSpace()
    trials: int = Field(12, ge=1)
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    sample: int = Field(5000, ge=100)

    @classmethod
    def read(cls, path: Path) -> Plan:
        plan = cls.model_validate(yaml.safe_load(path.read_text()))
        folder = path.absolute().parent
        sources = {
            name: source.model_copy(update={"config": str(folder / source.config)})
            for name, source in plan.data.items()
        }
        return plan.model_copy(update={"data": sources})

    def run_settings(self, name: str) -> RunSettings:
        source = self.data[name]
        return load(source.config, list(source.set))

    def curves_of(self, term: TermSettings) -> Curves:
        return self.curves if closed(term) or self.neural is None else self.neural

    def cells(self, name: str) -> list[Cell]:
        """The cells of a data set, those of one term together, the control before what is compared with it."""
        labels = self.terms_of(name)
        return [
            Cell(name, term.label, family, clock, seed)
            for term in self.terms
            if term.label in labels
            for family, clock in self.curves_of(term).pairs()
            if fits(term, self.curve(family, clock))
            for seed in self.seeds
        ]

    def terms_of(self, name: str) -> list[str]:
        """The terms that a data set can have: `own` where items are taken again."""
        repeats = self.run_settings(name).data.repeats
        return [term.label for term in self.terms if repeats or term.kind != "own"]

    def term(self, label: str) -> TermSettings:
        return next(term for term in self.terms if term.label == label)

    def curve(self, family: str, clock: str) -> dict[str, Any]:
        """A family in the middle of the space, as it stands in a configuration."""
        space = self.space.model_copy(update={"family": (family,), "clock": (clock,)})
        return space.settings("curve", space.start("curve", family))


def curve_name(family: str, clock: str) -> str:
    """`power/time`; `none` has no clock."""
    return family if family == NONE else f"{family}/{clock}"


def closed(term: TermSettings) -> bool:
    return issubclass(ENCODERS[term.kind], ClosedForm)


def fits(term: TermSettings, curve: dict[str, Any]) -> bool:
    """Whether a term can have a curve: a state that decays wants a sum of exponentials."""
    try:
        ModelSettings.model_validate({"terms": [{**term.model_dump(), "weight": 1.0, "forgetting": curve}]})
    except ValueError:
        return False
    return True


def forgetting(curve: dict[str, Any]) -> Forgetting:
    from trainers.forgetting import ForgettingSettings

    return build(ForgettingSettings.model_validate(curve))


@dataclass(frozen=True)
class Cell:
    """One curve of one term on one data set."""

    data: str
    term: str
    family: str
    clock: str
    seed: int

    def file(self, folder: Path, plan: Plan) -> Path:
        """Where its result lies: under a name that changes with everything that decides it."""
        term = plan.term(self.term)
        begins = (
            [plan.space.model_dump(mode="json", exclude={"family", "clock"}, exclude_none=True), plan.trials]
            if closed(term)
            else [plan.sample]  # of the choices whose likelihood says where it begins
        )
        key = _key(plan.data[self.data].model_dump(), term.model_dump(mode="json"), *begins)
        return folder / f"{self.data}-{self.term}-{self.family}-{self.clock}-{self.seed}-{key}.npz"


def curves_file(folder: Path, plan: Plan, name: str) -> Path:
    """Where the likelihoods of the curves on a data set lie, under such a name."""
    key = _key(plan.data[name].model_dump(), plan.curves.pairs(), plan.sample)
    return folder / f"{name}-likelihood-{key}.npz"


def _key(*content: Any) -> str:
    """Changes with the content, and with the code that makes something of it."""
    text = json.dumps([source_digest(), *content], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
