"""Forgetting functions: R(age) = exp(−g(age)), one class a family, one interface for every term.

>>> curve = build(ForgettingSettings(family="power", tau=7, exponent=0.5))
>>> curve.half_life
21.0
"""

from trainers.forgetting.base import AXES, CLOCKS, Age, Axis, Family, Forgetting
from trainers.forgetting.composed import Product, by_clock
from trainers.forgetting.families import FAMILIES
from trainers.forgetting.parameters import Parameter, Value
from trainers.forgetting.settings import FamilyName, ForgettingSettings, Scope, build

__all__ = [
    "AXES",
    "CLOCKS",
    "FAMILIES",
    "Age",
    "Axis",
    "Family",
    "FamilyName",
    "Forgetting",
    "ForgettingSettings",
    "Parameter",
    "Product",
    "Scope",
    "Value",
    "build",
    "by_clock",
]
