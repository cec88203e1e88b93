"""The modules whose parameters say how interest fades."""

from __future__ import annotations

from torch import nn


class Fading(nn.Module):
    """A module all of whose parameters are those of a forgetting function: they may learn at a rate of their own
    (`training.decay_rate`)."""
