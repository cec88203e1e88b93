"""`recurrent`: a bank of decaying states, parallel over time in training, constant work per new event when serving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from trainers.encoders.neural import AgedSettings, Neural
from trainers.forgetting import ForgettingSettings, build

if TYPE_CHECKING:
    from trainers.networks.habit import Habit
    from trainers.networks.network import Network

RATES = ("half_life", "half_lives", "rate")  # the parameters that say how fast a state decays
SIXTH = (1 / 6,) * 6
BANK = ForgettingSettings(
    family="mixture",
    clock="both",
    half_lives=(0.0005, 0.005, 0.05, 0.5, 5.0, 40.0),  # from 43 seconds to 40 days
    shares=SIXTH,
    moments=ForgettingSettings(
        family="mixture", clock="moments", half_lives=(0.35, 1.0, 3.0, 8.0, 24.0, 70.0), shares=SIXTH
    ),
    learn=True,
)


class RecurrentSettings(AgedSettings):
    """`{kind: recurrent, dim: 64, hidden: 128, training: {epochs: 12, rate: 0.008}}`.

    Attributes:
        hidden: the size of the layers behind the states.
        forgetting: a sum of exponentials, each of which becomes a state: `mixture`, `exponential`, `geometric`, a
            `floor` under these, or `none`. Its shares are the weights that the states begin with; with `learn` the
            half-lives move. With `clock: both` the states of the two clocks stand side by side, which a network
            can multiply as it likes.
    """

    kind: Literal["recurrent"] = "recurrent"
    hidden: int = Field(128, ge=1)
    forgetting: ForgettingSettings = BANK

    @model_validator(mode="after")
    def _decays(self) -> RecurrentSettings:
        for curve in build(self.forgetting).factors:
            if curve.exponentials() is None:
                raise ValueError(
                    f"a state of `recurrent` decays exponentially, but `{curve.family}` is no sum of exponentials; "
                    "take `mixture`, `exponential`, `geometric` or `none`."
                )
        asked = () if isinstance(self.forgetting.learn, bool) else self.forgetting.learn
        if others := [name for name in asked if name.split(".")[-1] not in RATES]:
            raise ValueError(
                f"`learn` of `recurrent` must name how fast states decay ({', '.join(RATES)}), but got {others[0]!r}: "
                "it says how the states begin, and the network behind them is learned anyway."
            )
        return self


class Recurrent(Neural):
    """Decaying states as in linear recurrences (S4D, Gu et al. 2022; RetNet, Sun et al. 2023), on either clock."""

    kind = "recurrent"
    settings: RecurrentSettings

    def build(self, own: Habit | None) -> Network:
        from trainers.networks.bank import Bank, Decay

        s = self.settings
        curve = build(s.forgetting)
        decays = {}
        for factor in curve.factors:
            place = "moments." if factor is not curve and factor.clock == "moments" else ""
            names = {f"{place}{each.name}" for each in factor.parameters if each.name.split(".")[-1] in RATES}
            decays[factor.clock] = Decay(factor, bool(names & set(s.forgetting.learned)))
        return Bank(
            self.items, s.dim, s.hidden, decays.get("time"), decays.get("moments"), s.dropout, own, s.ages
        )
