"""What every encoder offers, and the settings that all terms share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field, model_validator

from trainers.curves.learning import of_history
from trainers.factors import Factor
from trainers.forgetting import Forgetting, ForgettingSettings, build
from trainers.histories import Histories
from trainers.log import TrainingData
from trainers.storage.saved import Shape, shaped

Array = npt.NDArray[np.generic]
Scores = npt.NDArray[np.floating]
Statistics = dict[str, npt.NDArray[np.floating]]
"""Sums over users: those of two halves of the users add up to those of all."""

PREFIX = "forgetting."
STRETCH = f"{PREFIX}stretch"
"""What a learned curve is called among the arrays of a term."""


class EncoderSettings(BaseModel):
    """What every term of a model says of itself.

    Attributes:
        kind: the encoder.
        name: how a search space and a report call the term; the kind where it is left out.
        weight: its factor in the sum of terms.
        scale: `raw` scores, or `standard`: each query's scores are shifted and scaled to mean 0 and variance 1 over
            the catalogue, which makes the weights of terms with different units comparable.
        weights: whether an event counts by the log's column `weight` (the quantity bought, the rating).
        forgetting: R(age) of this term.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    scopes: ClassVar[tuple[str, ...]] = ("all",)
    """Whose curves the term can tell apart; `head` too where it has heads."""

    kind: str
    name: str = Field("", pattern=r"^[A-Za-z0-9_-]*$")  # it becomes a file name, and `+` joins names
    weight: float = Field(1.0, ge=0, allow_inf_nan=False)
    scale: Literal["raw", "standard"] = "raw"
    weights: bool = False
    forgetting: ForgettingSettings = ForgettingSettings()

    @property
    def label(self) -> str:
        return self.name or self.kind

    @model_validator(mode="after")
    def _has_the_scope(self) -> Self:
        scopes = (*self.scopes, *(["head"] if "heads" in type(self).model_fields else []))
        if self.forgetting.scope not in scopes:
            raise ValueError(
                f"`forgetting.scope` of `{self.kind}` must be one of ({', '.join(scopes)}), but got "
                f"{self.forgetting.scope!r}."
            )
        return self

    def without_forgetting(self) -> Self:
        """The same term under `none`: it remembers everything, in its profile and in its loss."""
        return self.model_copy(update={"forgetting": ForgettingSettings()})


@dataclass(frozen=True)
class Split:
    """The raw score of one item at one moment as a sum over the E events of its history: Σ events + rest, in float64,
    where `score` may have rounded.

    Attributes:
        events: [E] what each event adds.
        left: [E] what is left of each event for this item, R(age)·w; 0 where the event does not add by itself.
        rest: what no event adds by itself.
    """

    events: npt.NDArray[np.float64]
    left: npt.NDArray[np.float64]
    rest: float


class Encoder(ABC):
    """A fitted (or not yet fitted) encoder. `state` is all that it learned; settings and state make it again."""

    kind: ClassVar[str]

    def __init__(self, settings: Any, items: int) -> None:
        self.settings = settings
        self.items = items
        self.forgetting = build(settings.forgetting)

    @abstractmethod
    def score(self, histories: Histories) -> Scores:
        """[Q, I] the score of every catalogue column at every moment, before `scale` and `weight`."""

    @abstractmethod
    def state(self) -> dict[str, Array]:
        """Everything that was learned, as named arrays."""

    @abstractmethod
    def load(self, state: dict[str, Array]) -> None:
        """Take back what `state` gave; ValueError where these are not the arrays of this term."""

    @classmethod
    def needs_everybody(cls, settings: Any) -> bool:
        """Whether each worker of a fit reads all users' events, since what it learns of them is no sum over users."""
        return bool(settings.forgetting.learned)

    @classmethod
    def fit_key(cls, settings: Any) -> dict[str, Any]:
        """The settings on which the fit depends: two terms that agree in them share one fit."""
        key: dict[str, Any] = settings.model_dump(mode="json", exclude={"name", "weight", "scale"})
        return key

    def curves(self) -> dict[str, Forgetting]:
        """The forgetting functions as they were fitted, by place; one for all stands under the empty name."""
        return {"": self.forgetting}

    def factors(self) -> list[Factor]:
        """What multiplies what is left of a user's own events in this term, as it was learned; none in most."""
        return []

    def split(self, histories: Histories, column: int, score: float) -> Split:
        """Whence the raw score of `column` at one moment comes: `score`, if no event adds by itself."""
        nothing = np.zeros(len(histories.columns))
        return Split(nothing, nothing, score)


class HistorySettings(EncoderSettings):
    """A term that weights a history event by event: each may fade by its type, its category or its user."""

    scopes: ClassVar[tuple[str, ...]] = ("all", "event_type", "category", "user")


class ClosedForm(Encoder):
    """An encoder that is solved from sums over users, so that many workers can each sum their own.

    Its curve may be learned (`forgetting.learn`), and stretched by group (`forgetting.scope`): `prepare` does both,
    before the sums are taken. The result travels in the sums, and is part of the state, under names that start with
    `forgetting.`: subclasses add theirs to what these methods return.

    Attributes:
        forgetting: the common curve.
        stretch: float64 [G] how many times longer its ages are, by group number; None where all are alike.
    """

    stretch: npt.NDArray[np.float64] | None = None
    prepared = False

    def prepare(self, data: TrainingData, *, repeats: bool, seed: int) -> None:
        """Learn from the training events of all users what `statistics` needs; the same on every worker."""
        self.forgetting, self.stretch = self.learn(data, repeats, seed)
        self.prepared = True

    def settle(self, statistics: Statistics) -> None:
        """Take what `prepare` would learn from sums that another fit has taken."""
        self.load_curve(statistics)
        self.prepared = True

    def learn(
        self, data: TrainingData, repeats: bool, seed: int
    ) -> tuple[Forgetting, npt.NDArray[np.float64] | None]:
        """The curve that the settings ask for, and its stretches."""
        return of_history(self.settings.forgetting, data, repeats=repeats, seed=seed)

    @abstractmethod
    def statistics(self, data: TrainingData, users: slice) -> Statistics:
        """The sums over a range of users. The curve is with the first of them, and 0 elsewhere."""
        if self.curve_key(self.settings) and not self.prepared:
            raise RuntimeError(
                f"`{self.settings.label}` settles its curve: `prepare` goes before `statistics`."
            )
        first = users.start == 0 and users.stop > 0
        return {name: array * float(first) for name, array in self._curve().items()}

    @abstractmethod
    def solve(self, statistics: Statistics) -> None:
        """Fit from the sums over all users."""
        self.load_curve(statistics)

    def state(self) -> dict[str, Array]:
        return dict(self._curve())

    def load(self, state: dict[str, Array]) -> None:
        stretch: dict[str, Shape] = {STRETCH: (None,)} if STRETCH in state else {}
        shaped(f"the term `{self.settings.label}`", state, self.shapes() | stretch)
        self.load_curve(state)

    def shapes(self) -> dict[str, Shape]:
        """Of the arrays of `state`, as the settings and the catalogue make them; how many groups a log has that are
        stretched, they do not say."""
        if not self.settings.forgetting.learned:
            return {}
        return {PREFIX + name: (np.size(value),) for name, value in self.forgetting.values.items()}

    @classmethod
    def statistics_key(cls, settings: Any) -> dict[str, Any]:
        """The settings on which the sums depend: a search that varies others sums once."""
        return cls.fit_key(settings)

    @staticmethod
    def curve_key(settings: Any) -> dict[str, Any]:
        """The settings of a curve that a fit settles; empty where the settings say all of it."""
        forgetting: ForgettingSettings = settings.forgetting
        settled = forgetting.learned or forgetting.stretch
        return {"forgetting": forgetting.model_dump(mode="json")} if settled else {}

    def _curve(self) -> Statistics:
        found: Statistics = {} if self.stretch is None else {STRETCH: self.stretch}
        if self.settings.forgetting.learned:
            for name, value in self.forgetting.values.items():
                found[PREFIX + name] = np.array(value, np.float64).reshape(-1)
        return found

    def load_curve(self, state: Mapping[str, Array]) -> None:
        """Take the curve from a state or from sums."""
        found = {name: np.asarray(array, np.float64) for name, array in state.items()}
        if STRETCH in found:
            self.stretch = found[STRETCH]
        many = {each.name for each in self.forgetting.parameters if each.many}
        values = {
            name: found[PREFIX + name] if name in many else found[PREFIX + name][0]
            for name in self.forgetting.values
            if PREFIX + name in found
        }
        if values:
            self.forgetting = self.forgetting.with_values(values)

    def longer(self, histories: Histories) -> npt.NDArray[np.float64] | None:
        """[E] how many times longer each event's ages are; None where all are alike."""
        if self.stretch is None:
            return None
        return self.of_groups(histories.groups(self.settings.forgetting.scope))

    def of_groups(self, group: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """[n] the stretch of each group; 1, the common curve, for one that is not known."""
        assert self.stretch is not None
        known = (group >= 0) & (group < len(self.stretch))
        found: npt.NDArray[np.float64] = np.append(self.stretch, 1.0)[np.where(known, group, -1)]
        return found

    def retained(self, histories: Histories) -> npt.NDArray[np.float64]:
        """[E] what is left of each event, times its weight where the settings ask for it."""
        return histories.retained(self.forgetting, self.settings.weights, self.longer(histories))

    def profile(self, histories: Histories) -> sp.csr_array:
        """[Q, I] what is left of each interest."""
        return histories.profile(self.forgetting, self.settings.weights, self.longer(histories))
