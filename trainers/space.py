"""Search spaces: which settings of which terms a search may vary, as it stands in YAML."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

import optuna
from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from trainers.forgetting import FAMILIES
from trainers.model import ModelSettings

Params = dict[str, Any]
"""One point of a space, by parameter name: `own+linear.half_life_days`, `linear.l2`."""

ClockName = Literal["time", "moments"]
FamilyName = Literal["none", "exponential", "power", "hyperbolic", "geometric"]


class Range(BaseModel):
    """`{low: 0.1, high: 10, log: true}`; whole numbers where both ends are."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"`low < high` must hold, but got (low={self.low}, high={self.high}).")
        if self.log and self.low <= 0:
            raise ValueError(f"`low` must be above 0 where `log` is set, but got {self.low}.")
        return self

    def suggest(self, trial: optuna.Trial, name: str) -> int | float:
        found: int | float
        if isinstance(self.low, int) and isinstance(self.high, int):
            found = trial.suggest_int(name, self.low, self.high, log=self.log)
        else:
            found = trial.suggest_float(name, self.low, self.high, log=self.log)
        return found

    def middle(self) -> int | float:
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        return int(middle) if isinstance(self.low, int) and isinstance(self.high, int) else middle

    def samples(self) -> list[int | float]:
        """Values of every sort that it can give: its ends, and a broken number where it gives such."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        return [self.low, self.high, *([] if whole else [self.low + (self.high - self.low) / math.pi])]


Scalar = bool | int | float | str
Domain = Range | Annotated[list[Scalar], Field(min_length=1)]


LEAST = {"time": 0.001, "moments": 0.001, "exponent": 0.01}
MOST = 1e6


class ForgettingSpace(BaseModel):
    """Which curves to try. Rates are searched as half-lives, the one scale that all families share.

    Attributes:
        family: the families; `none` is always tried too.
        clock: `time`, `moments`, or both.
        half_life: by clock, the range in days or moments, searched on a log scale.
        exponent: the range of `power`'s exponent.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    family: tuple[FamilyName, ...] = ("none", "exponential", "power", "hyperbolic", "geometric")
    clock: tuple[ClockName, ...] = Field(("time", "moments"), min_length=1)
    half_life: dict[ClockName, tuple[float, float]] = {
        "time": (0.5, 365.0),
        "moments": (0.5, 50.0),
    }
    exponent: tuple[float, float] = (0.25, 2.0)

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        for clock in self.clock:
            if clock not in self.half_life:
                raise ValueError(f"`half_life` must give a range for the clock {clock!r}.")
        ranges: dict[str, tuple[float, float]] = {"exponent": self.exponent}
        for name, (low, high) in (ranges | dict(self.half_life.items())).items():
            if not 0 < low < high:
                raise ValueError(f"`0 < low < high` must hold for {name!r}, but got ({low:g}, {high:g}).")
            if (
                low < LEAST[name] or high > MOST
            ):  # beyond, a parameter of some family leaves the range of floats
                raise ValueError(
                    f"{name!r} must lie between {LEAST[name]:g} and {MOST:g}, but got ({low:g}, {high:g})."
                )
        return self

    @property
    def families(self) -> tuple[str, ...]:
        return ("none", *(name for name in self.family if name != "none"))

    def names(self, prefix: str) -> dict[str, str]:
        """The parameter names of a slot: family, clock, exponent, and a half-life for each clock."""
        return {
            **{name: f"{prefix}.{name}" for name in ("family", "clock", "exponent")},
            "time": f"{prefix}.half_life_days",
            "moments": f"{prefix}.half_life_moments",
        }

    def suggest(self, trial: optuna.Trial, prefix: str) -> Params:
        names = self.names(prefix)
        params = {names["family"]: trial.suggest_categorical(names["family"], self.families)}
        if params[names["family"]] == "none":
            return params
        clock = params[names["clock"]] = trial.suggest_categorical(names["clock"], self.clock)
        low, high = self.half_life[clock]
        params[names[clock]] = trial.suggest_float(names[clock], low, high, log=True)
        if "exponent" in FAMILIES[params[names["family"]]].parameters:
            params[names["exponent"]] = trial.suggest_float(names["exponent"], *self.exponent, log=True)
        return params

    def start(self, prefix: str, family: str) -> Params:
        """The middle of the space for one family."""
        names = self.names(prefix)
        params: Params = {names["family"]: family}
        if family != "none":
            params[names["clock"]] = self.clock[0]
            params[names[self.clock[0]]] = math.sqrt(math.prod(self.half_life[self.clock[0]]))
            if "exponent" in FAMILIES[family].parameters:
                params[names["exponent"]] = math.sqrt(math.prod(self.exponent))
        return params

    def settings(self, prefix: str, params: Params) -> dict[str, Any]:
        """The forgetting function at a point, as it stands in a configuration."""
        names = self.names(prefix)
        family = params[names["family"]]
        if family == "none":
            return {"family": "none"}
        clock = params[names["clock"]]
        curve = FAMILIES[family].from_half_life(
            params[names[clock]], clock, params.get(names["exponent"], 1.0)
        )
        return curve.to_dict()


class TermSpace(BaseModel):
    """What varies in one term, or in several at once: `forgetting`, and any other setting of the term by its name."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Domain] = Field(init=False)

    forgetting: ForgettingSpace | None = None

    @property
    def domains(self) -> dict[str, Domain]:
        return self.__pydantic_extra__ or {}


class Space(RootModel[dict[str, TermSpace]]):
    """By term, what to search; a key `own+linear` gives both terms the same values."""

    model_config = ConfigDict(frozen=True)
    root: dict[str, TermSpace] = {}

    def check(self, model: ModelSettings) -> None:
        """ValueError where the space names a term or a setting that the model does not have, or values that it would
        refuse: that is known before the first trial."""
        labels = {term.label: term for term in model.terms}
        searched: dict[tuple[str, str], str] = {}
        for key, term_space in self.root.items():
            for label in key.split("+"):
                if label not in labels:
                    raise ValueError(
                        f"`search.space` must name terms of the model ({', '.join(labels)}), but got {label!r}."
                    )
                for name in [*term_space.domains, *(["forgetting"] if term_space.forgetting else [])]:
                    if (other := searched.setdefault((label, name), key)) != key:
                        raise ValueError(
                            f"`search.space` must search a setting once, but {name!r} of `{label}` is in `{other}` and "
                            f"`{key}`."
                        )
                for name, domain in term_space.domains.items():
                    fields = type(labels[label]).model_fields
                    if name not in fields or name in ("kind", "name", "forgetting"):
                        raise ValueError(
                            f"`search.space.{key}`: the term `{label}` has no setting {name!r} to search."
                        )
                    for value in domain.samples() if isinstance(domain, Range) else domain:
                        _replaced(model, {label: {name: value}})

    def suggest(self, trial: optuna.Trial) -> Params:
        """Ask Optuna for a point."""
        params: Params = {}
        for key, term_space in self.root.items():
            if term_space.forgetting:
                params |= term_space.forgetting.suggest(trial, key)
            for name, domain in term_space.domains.items():
                label = f"{key}.{name}"
                params[label] = (
                    domain.suggest(trial, label)
                    if isinstance(domain, Range)
                    else trial.suggest_categorical(label, domain)
                )
        return params

    def starts(self) -> list[Params]:
        """The points to begin with: `none` first, then each family at the middle of its range."""
        families: dict[str, None] = {"none": None}
        for term_space in self.root.values():
            if term_space.forgetting:
                families |= dict.fromkeys(term_space.forgetting.families)
        points = []
        for family in families:
            point: Params = {}
            for key, term_space in self.root.items():
                slot = term_space.forgetting
                if slot:
                    point |= slot.start(key, family if family in slot.families else slot.families[-1])
                for name, domain in term_space.domains.items():
                    point[f"{key}.{name}"] = (
                        domain.middle() if isinstance(domain, Range) else domain[len(domain) // 2]
                    )
            points.append(point)
        return points

    def apply(self, model: ModelSettings, params: Params) -> ModelSettings:
        """The model at a point of the space."""
        changes: dict[str, dict[str, Any]] = {}
        for key, term_space in self.root.items():
            change: dict[str, Any] = {name: params[f"{key}.{name}"] for name in term_space.domains}
            if term_space.forgetting:
                change["forgetting"] = term_space.forgetting.settings(key, params)
            for label in key.split("+"):
                changes[label] = {**changes.get(label, {}), **change}
        return _replaced(model, changes)

    def without_forgetting(self) -> Space:
        """The same space under `none`: everything but the curves."""
        return Space({key: term.model_copy(update={"forgetting": None}) for key, term in self.root.items()})

    def family_of(self, params: Params) -> str:
        """The family of a point's first curve: the one that its trial stands for in tables."""
        return next((str(value) for name, value in params.items() if name.endswith(".family")), "none")


def _replaced(model: ModelSettings, changes: dict[str, dict[str, Any]]) -> ModelSettings:
    terms = [{**term.model_dump(), **changes.get(term.label, {})} for term in model.terms]
    return ModelSettings.model_validate({"terms": terms})
