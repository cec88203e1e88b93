"""When a test stops, and what it says then: rules over the looks of many experiments at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
import scipy
from numpy.typing import NDArray

from evaluators.ab.always import Confidence
from evaluators.ab.arms import Arms
from evaluators.arrays import Floats, Ints

Verdicts = NDArray[np.int8]


class Verdict(IntEnum):
    """What a rule says at a look."""

    GO_ON = 0
    DIFFERS = 1
    FUTILE = 2


class Rule(Protocol):
    """looks [..., T, K] -> [..., T, K-1] a `Verdict` for each lift at each look, from what had come in by then."""

    def verdicts(self, looks: Arms) -> Verdicts: ...


@dataclass(frozen=True)
class FixedHorizon:
    """Welch's test, read at the looks named (the last one where none is): it is only valid for one.

    >>> FixedHorizon(at=range(3)).verdicts(Arms(*np.ones((3, 3, 2)))).tolist()  # to read it daily is to peek
    [[0], [0], [0]]
    """

    level: float = 0.95
    at: Sequence[int] | None = None

    def verdicts(self, looks: Arms) -> Verdicts:
        p = looks.p()
        read = np.zeros(p.shape[-2], bool)
        read[-1 if self.at is None else list(self.at)] = True
        return np.where(read[:, None] & (p < 1 - self.level), Verdict.DIFFERS, Verdict.GO_ON).astype(np.int8)


@dataclass(frozen=True)
class AlwaysValid:
    """Stops at the first look whose confidence sequence leaves 0 out: a false alarm at any look has no more than the
    chance 1 - level."""

    confidence: Confidence

    def verdicts(self, looks: Arms) -> Verdicts:
        found = self.confidence.p(looks) < 1 - self.confidence.level
        return np.where(found, Verdict.DIFFERS, Verdict.GO_ON).astype(np.int8)


@dataclass(frozen=True)
class Futility:
    """Stops where the lift hoped for would hardly be found any more: conditional power below `least`.

    With the share t = V_end / V of the information in, θ = lift / sqrt(V_end) and Z the test's statistic,

        power left = Φ((Z·sqrt(t) + θ·(1 - t) - z_{1-α/2}) / sqrt(1 - t)),

    in the direction of `lift` (absolute), for the fixed test at the planned end of `users` users in the two arms. It
    never says that arms differ, so it makes no false alarm more likely; it costs a little power.

    Source: Lan, Simon & Halperin 1982, "Stochastically curtailed tests in long-term clinical trials"; Lan & Wittes
    1988, "The B-value".
    """

    lift: float
    users: float
    least: float = 0.1
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.lift == 0 or not 0 < self.least < 1 or self.users < 4:
            raise ValueError(
                f"`lift != 0`, `0 < least < 1` and `users >= 4` must hold, but got (lift={self.lift}, "
                f"least={self.least}, users={self.users}); name the lift hoped for and the users planned."
            )

    def power_left(self, looks: Arms) -> Floats:
        """looks [..., K] -> [..., K-1] the chance that the test at the end finds the lift, were it as hoped for."""
        share = np.clip(looks.users / self.users, 1e-9, 1)
        left = np.maximum(1 - share, 1e-12)
        end = np.maximum(looks.error * np.sqrt(share), 1e-300)
        drift = abs(self.lift) / end
        seen = np.clip(looks.z() * np.sign(self.lift), -1e6, 1e6) * np.sqrt(share)
        reach = scipy.stats.norm.ppf((1 + self.level) / 2)
        found: Floats = scipy.stats.norm.cdf((seen + drift * left - reach) / np.sqrt(left))
        return np.where(np.isfinite(looks.square_error), found, 1.0)

    def verdicts(self, looks: Arms) -> Verdicts:
        hopeless = (self.power_left(looks) < self.least) & (looks.users < self.users)
        return np.where(hopeless, Verdict.FUTILE, Verdict.GO_ON).astype(np.int8)


@dataclass(frozen=True)
class Stops:
    """look [..., K-1]: the first look at which a rule said anything, the last one where none did; verdict [..., K-1]:
    what it said there."""

    look: Ints
    verdict: Verdicts

    def differs(self) -> NDArray[np.bool_]:
        return np.equal(self.verdict, Verdict.DIFFERS)


def stop(looks: Arms, rules: Sequence[Rule]) -> Stops:
    """Apply rules to every look: where several speak at one look, the first of them is heard.

    >>> looks = Arms(*(np.array(x, float) for x in ([[9, 9], [99, 99]], [[0, 0], [0, 1]], [[1, 1], [1, 1]])))
    >>> found = stop(looks, [AlwaysValid(Confidence(tightest=100))])
    >>> found.look.tolist(), found.differs().tolist()
    ([1], [True])
    """
    said = np.zeros((*looks.lift.shape,), np.int8)
    for rule in rules:
        said = np.where(said == Verdict.GO_ON, rule.verdicts(looks), said)
    spoken = said != Verdict.GO_ON
    last = said.shape[-2] - 1
    look = np.where(spoken.any(-2), spoken.argmax(-2), last)
    verdict = np.take_along_axis(said, look[..., None, :], axis=-2)[..., 0, :]
    return Stops(look, verdict)
