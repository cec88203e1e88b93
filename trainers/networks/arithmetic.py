"""Arithmetic that a CPU does faster than torch's own call."""

from __future__ import annotations

import math

import torch

LN_2 = math.log(2)
LOG2_E = 1 / LN_2


def exp(x: torch.Tensor) -> torch.Tensor:
    """e^x by way of 2^x: on a CPU, `torch.exp` takes fifteen times as long where its result vanishes, as it does for
    most old events."""
    return torch.exp2(x * LOG2_E)
