"""`vae`: a variational autoencoder over the decayed profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from trainers.encoders.mlp import Bag, BagSettings

if TYPE_CHECKING:
    from trainers.networks.habit import Habit
    from trainers.networks.network import Network


class VaeSettings(BagSettings):
    """`{kind: vae, dim: 64, hidden: 256, beta: 0.2, forgetting: {…}, training: {…}}`.

    Attributes:
        beta: the weight of the divergence in the loss.
    """

    kind: Literal["vae"] = "vae"
    beta: float = Field(0.2, ge=0)


class Vae(Bag):
    """Mult-VAE (Liang et al. 2018) that is asked for what comes next."""

    kind = "vae"
    settings: VaeSettings

    def build(self, own: Habit | None) -> Network:
        from trainers.networks.bag import Variational

        s = self.settings
        return Variational(self.items, self.interest(), s.dim, s.hidden, s.dropout, s.beta, own)
