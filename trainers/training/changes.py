"""What of a training may be otherwise from some epoch on: its schedule, beside that of the rate."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from trainers.forgetting import ForgettingSettings


def _fixed(curve: ForgettingSettings) -> ForgettingSettings:
    if curve.learn or curve.scope != "all":
        raise ValueError(
            "the curve of a loss must be fixed and the same for all, since nothing could be learned by it, but got "
            f"(learn={curve.learn!r}, scope={curve.scope!r}); leave out `learn`, `scope` and `stretch`."
        )
    return curve


LossCurve = Annotated[ForgettingSettings, AfterValidator(_fixed)]
"""By which a loss counts old moments less."""


class Change(BaseModel):
    """`{after: 3, rate: 0.004, dropout: 0.1}`: what is otherwise once so many epochs are over, and stays so.

    Attributes:
        after: epochs that are over by then.
        rate, decay_rate, weight_decay, by_items, forgetting: as in `OptimiseSettings`.
        dropout: that of the whole network.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: int = Field(ge=1)
    rate: float | None = Field(None, gt=0)
    decay_rate: float | None = Field(None, ge=0)
    weight_decay: float | None = Field(None, ge=0)
    by_items: float | None = Field(None, ge=0, le=1)
    dropout: float | None = Field(None, ge=0, lt=1)
    forgetting: LossCurve | None = None

    @property
    def values(self) -> dict[str, Any]:
        """What it changes, by name."""
        held = {name: getattr(self, name) for name in CHANGEABLE}
        return {name: value for name, value in held.items() if value is not None}

    def without_forgetting(self) -> Change | None:
        """The same without a curve; None where it changes nothing else."""
        kept = self.model_copy(update={"forgetting": None})
        return kept if kept.values else None

    @model_validator(mode="after")
    def _changes(self) -> Change:
        if not self.values:
            raise ValueError(
                f"a change must name what is otherwise after {self.after} epochs, one of ({', '.join(CHANGEABLE)})."
            )
        return self


CHANGEABLE = tuple(name for name in Change.model_fields if name != "after")


def in_force(changes: Sequence[Change], epochs: int) -> dict[str, Any]:
    """What changes have made otherwise by the epoch that follows so many.

    >>> course = [Change(after=2, rate=0.1), Change(after=4, rate=0.2, dropout=0.5)]
    >>> in_force(course, 1), in_force(course, 3), in_force(course, 4)
    ({}, {'rate': 0.1}, {'rate': 0.2, 'dropout': 0.5})
    """
    found: dict[str, Any] = {}
    for change in changes:
        if change.after <= epochs:
            found |= change.values
    return found


def check_order(changes: Sequence[Change], epochs: int) -> None:
    """ValueError where changes do not follow one another within the epochs of a training."""
    at = [change.after for change in changes]
    if any(later <= earlier for earlier, later in pairwise(at)) or (at and at[-1] >= epochs):
        raise ValueError(
            f"`changes` must come one after the other within the {epochs} epochs, each `after` larger than the one "
            f"before it and below {epochs}, but got {at}."
        )
