"""Forgetting functions: R(age) = exp(−g(age)), one class a family, one interface for every term.

>>> curve = build(ForgettingSettings(family="power", tau=7, exponent=0.5))
>>> curve.half_life
21.0
"""

from trainers.forgetting.base import CLOCKS, Age, Forgetting
from trainers.forgetting.families import FAMILIES
from trainers.forgetting.settings import ForgettingSettings, build

__all__ = ["CLOCKS", "FAMILIES", "Age", "Forgetting", "ForgettingSettings", "build"]
