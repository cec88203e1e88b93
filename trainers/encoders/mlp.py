"""`mlp`: the two-layer recommendation function f(x; θ) = W·σ(A·x + b) of a decayed interest x."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from trainers.encoders.base import HistorySettings
from trainers.encoders.neural import Neural, NeuralSettings

if TYPE_CHECKING:
    from trainers.networks.bag import Interest
    from trainers.networks.habit import Habit
    from trainers.networks.network import Network


class BagSettings(NeuralSettings):
    """What the networks over one decayed sum have in common.

    Attributes:
        hidden: the size of the hidden layers.
        normalise: x is divided by (Σ R·w)^normalise: 0 is the plain sum, 1 the mean.
    """

    hidden: int = Field(256, ge=1)
    normalise: float = Field(0.5, ge=0, le=1)
    max_history: int = Field(200, ge=1)
    reads_weights: ClassVar[bool] = True
    scopes: ClassVar[tuple[str, ...]] = HistorySettings.scopes


class Bag(Neural):
    """A network over one decayed sum of the history."""

    settings: BagSettings

    def interest(self) -> Interest:
        from trainers.networks.bag import Interest
        from trainers.networks.retention import Retention

        s = self.settings
        return Interest(self.items, s.dim, Retention(s.forgetting), s.normalise, s.weights)


class MlpSettings(BagSettings):
    """`{kind: mlp, dim: 64, hidden: 256, forgetting: {…}, training: {epochs: 20, rate: 0.003}}`.

    Attributes:
        scale: `standard` unless said otherwise: logits are known up to a shift only.
    """

    kind: Literal["mlp"] = "mlp"
    scale: Literal["raw", "standard"] = "standard"


class Mlp(Bag):
    """The source's recommendation function over the decayed interest."""

    kind = "mlp"
    settings: MlpSettings

    def build(self, own: Habit | None) -> Network:
        from trainers.networks.bag import RecommendationFunction

        s = self.settings
        return RecommendationFunction(self.items, self.interest(), s.dim, s.hidden, s.dropout, own)
