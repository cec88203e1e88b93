"""The families that a configuration may name."""

from __future__ import annotations

from trainers.forgetting.base import Family
from trainers.forgetting.composed import Floor
from trainers.forgetting.decays import (
    Exponential,
    Geometric,
    Hyperbolic,
    Linear,
    Logistic,
    Nothing,
    Power,
    Weibull,
)
from trainers.forgetting.shapes import Mixture, Monotone, Renewal
from trainers.forgetting.source import Growth, Saturating

FAMILIES: dict[str, type[Family]] = {
    family.family: family
    for family in (
        Nothing,
        Exponential,
        Power,
        Hyperbolic,
        Geometric,
        Weibull,
        Linear,
        Logistic,
        Saturating,
        Growth,
        Floor,
        Mixture,
        Monotone,
        Renewal,
    )
}
"""By name. `FamilyName` in the settings lists the same names for the type checker and for messages."""
