"""`transformer`: causal attention, log R(age) on the logits of each head."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from trainers.encoders.base import HistorySettings
from trainers.encoders.neural import AgedSettings, Neural

if TYPE_CHECKING:
    from trainers.networks.habit import Habit
    from trainers.networks.network import Network


class TransformerSettings(AgedSettings):
    """`{kind: transformer, blocks: 2, heads: 2, forgetting: {family: power, tau: 1, exponent: 0.5, learn: true, scope:
    head}, training: {…}}`.

    Attributes:
        blocks: layers of attention.
        heads: of each layer; they divide `dim`. With `forgetting.scope: head` each has a curve of its own.
    """

    scopes: ClassVar[tuple[str, ...]] = HistorySettings.scopes

    kind: Literal["transformer"] = "transformer"
    blocks: int = Field(2, ge=1)
    heads: int = Field(2, ge=1)

    @model_validator(mode="after")
    def _divides(self) -> TransformerSettings:
        if self.dim % self.heads:
            raise ValueError(f"`heads` must divide `dim`, but got (dim={self.dim}, heads={self.heads}).")
        return self


class Transformer(Neural):
    """Self-attention (Vaswani et al. 2017; SASRec, Kang & McAuley 2018) in which old events are forgotten."""

    kind = "transformer"
    settings: TransformerSettings

    def build(self, own: Habit | None) -> Network:
        from trainers.networks import attention
        from trainers.networks.retention import Retention

        s = self.settings
        blocks = [
            attention.Block(
                s.dim,
                attention.Attention(s.dim, s.heads, Retention(s.forgetting, s.heads), s.ages),
                s.dropout,
            )
            for _ in range(s.blocks)
        ]
        return attention.Transformer(self.items, s.dim, blocks, s.dropout, own, s.ages)
