"""Search spaces: which settings of which terms a search may vary, as it stands in YAML."""

from __future__ import annotations

import math
from typing import Annotated, Any, Self

import optuna
from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from trainers.forgetting import ForgettingSettings, build
from trainers.model import ModelSettings
from trainers.search.curve_space import ForgettingSpace, Params


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

    def at(self, share: float) -> int | float:
        """The value so far along the range, from 0 to 1.

        >>> Range(low=1.0, high=100.0, log=True).at(0.5), Range(low=0, high=10).at(0.26)
        (10.0, 3)
        """
        if self.log:
            return self.inside(self.low * (self.high / self.low) ** share)
        return self.inside(self.low + share * (self.high - self.low))

    def inside(self, value: float) -> int | float:
        """The nearest value of the range."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        return min(max(round(value) if whole else float(f"{value:.6g}"), self.low), self.high)

    def samples(self) -> list[int | float]:
        """Values of every sort that it can give: its ends, and a broken number where it gives such."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        return [self.low, self.high, *([] if whole else [self.low + (self.high - self.low) / math.pi])]


Scalar = bool | int | float | str
Domain = Range | Annotated[list[Scalar], Field(min_length=1)]


class TermSpace(BaseModel):
    """What varies in one term, or in several at once: `forgetting`, and any other setting of the term by its name; one
    inside a block by the names on the way to it, as `training.rate`."""

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
                    if name in ("kind", "name", "forgetting") or not _has(labels[label], name):
                        raise ValueError(
                            f"`search.space.{key}`: the term `{label}` has no setting {name!r} to search."
                        )
                    for value in _samples(domain):
                        _replaced(model, {label: {name: value}})
        for key, term_space in self.root.items():
            for point in term_space.forgetting.corners(key) if term_space.forgetting else ():
                Space({key: TermSpace(forgetting=term_space.forgetting)}).apply(model, point)

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
            curve = term_space.forgetting.settings(key, params) if term_space.forgetting else None
            for term in model.terms:
                if term.label in key.split("+"):
                    mine = {"forgetting": curve | _besides(term.forgetting, curve)} if curve else {}
                    changes[term.label] = {**changes.get(term.label, {}), **change, **mine}
        return _replaced(model, changes)

    def without_forgetting(self, model: ModelSettings) -> Space:
        """The same space under `none`: all that still makes a difference once nothing of `model` is forgotten, which
        leaves out the curves and whatever else forgets, as the ages that a network reads."""
        none = model.without_forgetting()

        def differs(key: str, name: str, value: Any) -> bool:
            changed = _replaced(model, {label: {name: value} for label in key.split("+")})
            return changed.without_forgetting() != none

        kept = {
            key: {
                name: domain
                for name, domain in term_space.domains.items()
                if any(differs(key, name, value) for value in _samples(domain))
            }
            for key, term_space in self.root.items()
        }
        return Space.model_validate(kept)

    def family_of(self, params: Params) -> str:
        """The family of a point's first curve: the one that its trial stands for in tables."""
        return next((str(value) for name, value in params.items() if name.endswith(".family")), "none")


def _samples(domain: Domain) -> list[Any]:
    return domain.samples() if isinstance(domain, Range) else list(domain)


def _besides(settings: ForgettingSettings, curve: dict[str, Any]) -> dict[str, Any]:
    """What a term says of its forgetting besides the curve, which a search over curves leaves as it is: the scope, what
    is stretched, and what is learned, as far as the new curve has it."""
    if curve["family"] == "none":
        return {}
    learn = settings.learn
    if not isinstance(learn, bool):
        names = [parameter.name for parameter in build(ForgettingSettings(**curve)).learnable]
        learn = tuple(name for name in learn if name in names) or False
    if not (learn or settings.stretch):
        return {}
    return {"learn": learn, "scope": settings.scope, "stretch": settings.stretch}


def _has(settings: BaseModel, name: str) -> bool:
    """Whether there is a setting of this name, `block.name` for one inside a block that is there."""
    first, _, rest = name.partition(".")
    if not rest or first not in type(settings).model_fields:
        return first in type(settings).model_fields
    block = getattr(settings, first)
    return isinstance(block, BaseModel) and _has(block, rest)


def _replaced(model: ModelSettings, changes: dict[str, dict[str, Any]]) -> ModelSettings:
    terms = [term.model_dump() for term in model.terms]
    for label, term in zip((term.label for term in model.terms), terms, strict=True):
        for name, value in changes.get(label, {}).items():
            *blocks, last = name.split(".")
            place = term
            for block in blocks:
                place = place[block]
            place[last] = value
    return ModelSettings.model_validate({"terms": terms})
