"""Encoders: each turns a history at a moment into a score for every item of the catalogue."""

from trainers.encoders.base import ClosedForm, Encoder, Statistics
from trainers.encoders.gated import Gru, GruSettings, Lstm, LstmSettings
from trainers.encoders.linear import Linear, LinearSettings
from trainers.encoders.mlp import Mlp, MlpSettings
from trainers.encoders.neural import Neural, NeuralSettings
from trainers.encoders.own import Own, OwnSettings
from trainers.encoders.recurrent import Recurrent, RecurrentSettings
from trainers.encoders.transformer import Transformer, TransformerSettings
from trainers.encoders.trend import Trend, TrendSettings
from trainers.encoders.vae import Vae, VaeSettings

ENCODERS: dict[str, type[Encoder]] = {
    encoder.kind: encoder for encoder in (Trend, Own, Linear, Mlp, Gru, Lstm, Vae, Transformer, Recurrent)
}
"""The kinds that a configuration may name."""

TermSettings = (
    TrendSettings
    | OwnSettings
    | LinearSettings
    | MlpSettings
    | GruSettings
    | LstmSettings
    | VaeSettings
    | TransformerSettings
    | RecurrentSettings
)

__all__ = [
    "ENCODERS",
    "ClosedForm",
    "Encoder",
    "Linear",
    "Mlp",
    "Neural",
    "NeuralSettings",
    "Own",
    "Statistics",
    "TermSettings",
    "Trend",
]
