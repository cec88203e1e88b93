"""Asynchronous successive halving (ASHA; Li et al. 2020), without what depends on timing.

A trial is looked at on the way, at its rungs: after `grace`, `grace`·`factor`, `grace`·`factor`², … epochs or shares of
the users. At a rung it goes on only where its value is no worse than the (1 − 1/`factor`) quantile of what others had
there.

Ray's ASHAScheduler compares with whatever has been reported by then, so that another number of workers, or a busy
machine, stops other trials. Here trial n is compared with the trials 0 … n − `ahead`, which are over before it begins:
its cut-offs are known when it is proposed, nothing waits, the same search stops the same trials on any number of
workers, and one that was killed goes on to the same end. The first `ahead` trials have nobody before them and are
whole. With `ahead` = 1 the decisions are those of Ray's scheduler, trial by trial.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

Reading = tuple[float, float]
"""(after how much: epochs or share of users; the value there)."""


class Stop(NamedTuple):
    """Where a trial was stopped, and its value there."""

    at: float
    value: float


class HalvingSettings(BaseModel):
    """`{kind: asha, by: epochs, grace: 1, factor: 3}`: trials that lag behind are stopped early.

    Attributes:
        kind: `asha`.
        by: `epochs`, of the neural terms that a trial trains; or `users`: of the training users, whose events such
            terms are trained on, anew at each rung and judged on all validation users; in a trial that trains none, of
            the validation users whose queries are answered, since answering is what closed forms cost.
        grace: no trial is stopped before so many epochs (1 by default), or so large a share (a ninth by default).
        factor: each rung is so many times the one before, and lets one in so many pass.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["asha"] = "asha"
    by: Literal["epochs", "users"] = "epochs"
    grace: float | None = Field(None, gt=0)
    factor: float = Field(3.0, gt=1, le=100)

    latest: ClassVar[bool] = False
    """Whether a look is at the parameters as they are there, not at the best so far."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.grace is None:
            return self
        if self.by == "epochs" and (self.grace < 1 or self.grace != int(self.grace)):
            raise ValueError(f"`grace` must be a whole number of epochs from 1 on, but got {self.grace:g}.")
        if self.by == "users" and self.grace >= 1:
            raise ValueError(f"`grace` must be a share of the users below 1, but got {self.grace:g}.")
        return self

    def rungs(self, whole: float = 1.0) -> tuple[float, ...]:
        """Where a trial is looked at, below the `whole` of its epochs or users.

        >>> HalvingSettings().rungs(16), HalvingSettings(grace=2, factor=2.5).rungs(16)
        ((1.0, 3.0, 9.0), (2.0, 5.0, 13.0))
        >>> [round(share, 3) for share in HalvingSettings(by="users").rungs()]
        [0.111, 0.333]
        """
        epochs = self.by == "epochs"
        at = self.grace or (1.0 if epochs else 1 / 9)
        found: list[float] = []
        while at < whole * (1 - 1e-9):
            rung = float(np.ceil(at - 1e-9)) if epochs else at
            if rung < whole and rung not in found:
                found.append(rung)
            at *= self.factor
        return tuple(found)

    def cutoffs(self, known: Iterable[Sequence[Reading]]) -> tuple[Reading, ...]:
        """The least value that goes on at each rung where trials before had one; `known`: the readings of each.

        >>> HalvingSettings(factor=2).cutoffs([[(1, 0.2), (2, 0.6)], [(1, 0.4)]])
        ((1, 0.30000000000000004), (2, 0.6))
        """
        by_rung: dict[float, list[float]] = {}
        for readings in known:
            for at, value in readings:
                by_rung.setdefault(at, []).append(value)
        share = 100 * (1 - 1 / self.factor)
        return tuple((at, float(np.percentile(values, share))) for at, values in sorted(by_rung.items()))


def stop_of(readings: Iterable[Reading], cutoffs: Sequence[Reading]) -> Stop | None:
    """The first reading below its cut-off.

    >>> stop_of([(1, 0.3), (3, 0.4)], [(1, 0.2), (3, 0.5)])
    Stop(at=3, value=0.4)
    >>> stop_of([(1, 0.3), (3, 0.4)], [(1, 0.2)]) is None
    True
    """
    bar = dict(cutoffs)
    return next((Stop(at, value) for at, value in readings if value < bar.get(at, -np.inf)), None)
