"""What a training did."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Curve:
    """What a training did, epoch by epoch.

    Attributes:
        loss: mean training loss of each epoch, nats an item.
        validation: likelihood loss on the validation queries after each epoch; empty without such queries.
        start: the validation loss before the first epoch, for a fine-tuning that starts from something.
        best_epoch: how many epochs the kept parameters were trained for; 0 keeps the start.
    """

    loss: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    start: float | None = None
    best_epoch: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
