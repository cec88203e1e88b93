"""`gru` and `lstm`: states that decay between moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from trainers.encoders.neural import AgedSettings, Neural

if TYPE_CHECKING:
    from trainers.networks.habit import Habit
    from trainers.networks.network import Network


class GruSettings(AgedSettings):
    """`{kind: gru, dim: 64, forgetting: {family: exponential, half_life: 7, learn: true}, training: {…}}`."""

    kind: Literal["gru"] = "gru"


class LstmSettings(AgedSettings):
    """`{kind: lstm, dim: 64, forgetting: {family: exponential, half_life: 7, learn: true}, training: {…}}`."""

    kind: Literal["lstm"] = "lstm"


class _Gated(Neural):
    settings: GruSettings | LstmSettings

    def build(self, own: Habit | None) -> Network:
        from trainers.networks.gated import Gated
        from trainers.networks.retention import Retention

        s = self.settings
        return Gated(self.items, s.dim, s.kind, Retention(s.forgetting), s.dropout, own, s.ages)


class Gru(_Gated):
    """A gated recurrent unit (Cho et al. 2014) whose state decays between moments (GRU-D, Che et al. 2018)."""

    kind = "gru"


class Lstm(_Gated):
    """Long short-term memory (Hochreiter & Schmidhuber 1997), decaying between moments (T-LSTM, Baytas 2017)."""

    kind = "lstm"
