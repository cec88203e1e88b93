"""What simulated people are like: everything that is not drawn."""

from __future__ import annotations

from dataclasses import dataclass, field

from evaluators.simulator.retention import Power, Retention


@dataclass(frozen=True)
class Parameters:
    """Days are the unit of time. A log tells all down to `retention` (`fit`); the rest is what people do in front of a
    list, and must be assumed.

    Attributes:
        items: size of the catalogue.
        popularity: an item's appeal is rank^-popularity when it is new (Zipf).
        fade: the half-life of an item's appeal; items are born all along.
        join: users first come at a time uniform in [0, join].
        gap, gap_within, gap_between: after a satisfied session the next one comes a log-normal time later: `gap` is the
            median over users and sessions, the others the standard deviations of its logarithm.
        stay: the chance that one more choice is made in the same session.
        repeat: the share of what a user wants that is their own past, by retention; the rest is what all want.
        retention: how interest in a past event fades.
        bias: place k of a list (from 0) is examined (1 + k)^-bias as often as the first (Craswell et al. 2008 compare
            such curves).
        outside: the weight of choosing nothing; all that a user wants weighs 1.
        satisfied: the chance that what was chosen from a list satisfies.
        later: how many times longer an unsatisfied user stays away.
    """

    items: int = 300
    popularity: float = 0.9
    fade: float = 20.0
    join: float = 30.0
    gap: float = 2.0
    gap_within: float = 0.8
    gap_between: float = 0.6
    stay: float = 0.2
    repeat: float = 0.6
    retention: Retention = field(default_factory=lambda: Power(tau=2.0, exponent=1.5))
    bias: float = 0.6
    outside: float = 0.3
    satisfied: float = 0.8
    later: float = 1.5

    def __post_init__(self) -> None:
        shares = {"stay": self.stay, "repeat": self.repeat}
        for name, value in shares.items():
            if not 0 <= value < 1:
                raise ValueError(f"`0 <= {name} < 1` must hold, but got ({name}={value}); it is a share.")
        if not 0 <= self.satisfied <= 1:
            raise ValueError(
                f"`0 <= satisfied <= 1` must hold, but got (satisfied={self.satisfied}); it is a chance."
            )
        positive = {"items": self.items, "fade": self.fade, "gap": self.gap, "outside": self.outside}
        for name, value in positive.items():
            if not value > 0:
                raise ValueError(f"`{name} > 0` must hold, but got ({name}={value}); raise it.")
        least = {
            "popularity": self.popularity, "join": self.join, "gap_within": self.gap_within,
            "gap_between": self.gap_between, "bias": self.bias,
        }  # fmt: skip
        for name, value in least.items():
            if not value >= 0:
                raise ValueError(f"`{name} >= 0` must hold, but got ({name}={value}); raise it.")
        if self.later < 1:
            raise ValueError(
                f"`later >= 1` must hold, but got (later={self.later}); the satisfied come back sooner."
            )
