"""Encoders: each turns a history at a moment into a score for every item of the catalogue."""

from trainers.encoders.base import ClosedForm, Encoder, Statistics
from trainers.encoders.linear import Linear, LinearSettings
from trainers.encoders.mlp import Mlp, MlpSettings
from trainers.encoders.own import Own, OwnSettings
from trainers.encoders.trend import Trend, TrendSettings

ENCODERS: dict[str, type[Encoder]] = {encoder.kind: encoder for encoder in (Trend, Own, Linear, Mlp)}
"""The kinds that a configuration may name."""

TermSettings = TrendSettings | OwnSettings | LinearSettings | MlpSettings

__all__ = ["ENCODERS", "ClosedForm", "Encoder", "Linear", "Mlp", "Own", "Statistics", "TermSettings", "Trend"]
