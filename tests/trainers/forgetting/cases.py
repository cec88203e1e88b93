"""Curves of every family: parameters to test with, extreme ones, values by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trainers.forgetting import AXES, FAMILIES, Forgetting, ForgettingSettings, build

Values = dict[str, Any]

EXAMPLES: dict[str, list[Values]] = {
    "none": [{}],
    "exponential": [{"half_life": 0.5}, {"half_life": 30.0}],
    "power": [
        {"tau": 7.0, "exponent": 0.5},
        {"tau": 0.3, "exponent": 2.0},
        {"tau": 40.0, "exponent": 0.25},
    ],
    "hyperbolic": [{"tau": 0.7}, {"tau": 14.0}],
    "geometric": [{"rate": 0.99}, {"rate": 0.4}, {"rate": 1.0}],
    "weibull": [{"tau": 12.0, "shape": 0.4}, {"tau": 5.0, "shape": 1.0}, {"tau": 80.0, "shape": 2.5}],
    "linear": [{"horizon": 3.0}, {"horizon": 200.0}],
    "logistic": [{"midpoint": 20.0, "width": 4.0}, {"midpoint": 2.0, "width": 9.0}],
    "saturating": [{"amount": 0.4, "rate": 0.05}, {"amount": 3.0, "rate": 1.5}],
    "growth": [{"amount": 0.05, "rate": 0.1}, {"amount": 0.6, "rate": 0.004}, {"amount": 2.0, "rate": 0.2}],
    "floor": [
        {"floor": 0.1, "of": {"family": "exponential", "half_life": 7.0}},
        {"floor": 0.6, "of": {"family": "power", "tau": 3.0, "exponent": 1.5}},
        {"floor": 0.2, "of": {"family": "linear", "horizon": 30.0}},
        {"floor": 0.05, "of": {"family": "mixture", "half_lives": [1.0, 20.0], "shares": [0.3, 0.7]}},
        {"floor": 0.1, "of": {"family": "saturating", "amount": 1.0, "rate": 0.2}},
    ],
    "mixture": [
        {"half_lives": [4.0], "shares": [1.0]},
        {"half_lives": [0.5, 60.0], "shares": [0.8, 0.2]},
        {"half_lives": [100.0, 0.1, 5.0], "shares": [0.2, 0.5, 0.3]},
    ],
    "monotone": [
        {"knots": [1.0, 10.0], "slopes": [1.0, 0.2]},
        {"knots": [0.5, 4.0, 30.0, 90.0], "slopes": [0.3, 0.0, 2.0, 0.7]},
        {"knots": [2.0, 20.0], "slopes": [0.2, 0.0]},
    ],
    "renewal": [
        {"half_life": 60.0, "interval": 7.0, "depth": 0.6, "width": 0.4},
        {"half_life": 40.0, "interval": 30.0, "depth": 0.2, "width": 0.25},
        {"half_life": 5.0, "interval": 20.0, "depth": 0.95, "width": 0.2},
    ],
}
TIMES = (1e-9, 1e15)
EXTREME: dict[str, list[Values]] = {
    "none": [{}],
    "exponential": [{"half_life": t} for t in TIMES],
    "power": [{"tau": t, "exponent": e} for t in TIMES for e in (1e-6, 1e6)],
    "hyperbolic": [{"tau": t} for t in TIMES],
    "geometric": [{"rate": 1e-300}, {"rate": 1 - 1e-16}],
    "weibull": [{"tau": t, "shape": s} for t in TIMES for s in (1e-6, 1e6)],
    "linear": [{"horizon": t} for t in TIMES],
    "logistic": [{"midpoint": t, "width": w} for t in TIMES for w in TIMES],
    "saturating": [{"amount": a, "rate": r} for a in (1e-9, 1e6) for r in TIMES],
    "growth": [{"amount": a, "rate": r} for a in (1e-9, 1e6) for r in TIMES],
    "floor": [
        {"floor": f, "of": {"family": "exponential", "half_life": t}}
        for f in (1e-300, 1 - 1e-16)
        for t in TIMES
    ],
    "mixture": [{"half_lives": [1e-9, 1e15], "shares": [s, 1 - s]} for s in (1e-300, 0.5, 1 - 1e-16)],
    "monotone": [{"knots": [1e-9, 1e15], "slopes": s} for s in ([0.0, 0.0], [1e6, 1e6], [1e-300, 0.0])],
    "renewal": [
        {"half_life": t, "interval": i, "depth": d, "width": w}
        for t in TIMES
        for i in TIMES
        for d, w in ((1e-300, 1e-9), (1 - 1e-16, 1e6))
    ],
}
LN2 = math.log(2)
BY_HAND: dict[str, list[tuple[Values, float, float]]] = {
    "none": [({}, 0.0, 1.0), ({}, 1e6, 1.0)],
    "exponential": [({"half_life": 30.0}, 60.0, 0.25), ({"half_life": 2.0}, 1.0, 1 / math.sqrt(2))],
    "power": [({"tau": 7.0, "exponent": 0.5}, 21.0, 0.5), ({"tau": 2.0, "exponent": 3.0}, 4.0, 1 / 27)],
    "hyperbolic": [({"tau": 4.0}, 4.0, 0.5), ({"tau": 4.0}, 12.0, 0.25)],
    "geometric": [({"rate": 0.5}, 3.0, 0.125), ({"rate": 0.99}, 1.0, 0.99), ({"rate": 1.0}, 9.0, 1.0)],
    "weibull": [
        ({"tau": 9.0, "shape": 0.5}, 9.0, math.exp(-1)),
        ({"tau": 9.0, "shape": 0.5}, 36.0, math.exp(-2)),
        ({"tau": 3.0, "shape": 2.0}, 6.0, math.exp(-4)),
    ],
    "linear": [({"horizon": 8.0}, 2.0, 0.75), ({"horizon": 8.0}, 7.0, 0.125)],
    "logistic": [
        ({"midpoint": 3.0, "width": 1.0}, 3.0, (1 + math.exp(-3)) / 2),
        ({"midpoint": 4.0, "width": 2.0}, 10.0, (1 + math.exp(-2)) / (1 + math.exp(3))),
    ],
    "saturating": [
        ({"amount": 2.0, "rate": LN2}, 0.0, math.exp(-2)),
        ({"amount": 2.0, "rate": LN2}, 3.0, math.exp(-0.25)),
    ],
    "growth": [
        ({"amount": 0.25, "rate": LN2}, 0.0, math.exp(-0.25)),
        ({"amount": 0.25, "rate": LN2}, 3.0, math.exp(-2)),
    ],
    "floor": [
        ({"floor": 0.1, "of": {"family": "exponential", "half_life": 7.0}}, 7.0, 0.55),
        ({"floor": 0.2, "of": {"family": "linear", "horizon": 4.0}}, 3.0, 0.4),
        ({"floor": 0.2, "of": {"family": "linear", "horizon": 4.0}}, 9.0, 0.2),
    ],
    "mixture": [
        ({"half_lives": [1.0, 2.0], "shares": [0.5, 0.5]}, 2.0, 0.375),
        ({"half_lives": [1.0, 4.0], "shares": [0.75, 0.25]}, 4.0, 0.75 / 16 + 0.125),
    ],
    "monotone": [
        ({"knots": [3.0], "slopes": [2.0]}, 6.0, 1 / 9),  # (1 + 6/3)^−2
        ({"knots": [1.0, 3.0], "slopes": [1.0, 0.5]}, 3.0, 1 / 4),
        ({"knots": [1.0, 3.0], "slopes": [1.0, 0.5]}, 15.0, 1 / 8),  # 4^−1 · (16 / 4)^−½
    ],
    "renewal": [
        ({"half_life": 10.0, "interval": 10.0, "depth": 0.5, "width": 1.0}, 0.0, 0.5),
        ({"half_life": 10.0, "interval": 10.0, "depth": 0.5, "width": 1.0}, 10.0, 0.5),
        (
            {"half_life": 10.0, "interval": 10.0, "depth": 0.5, "width": LN2},
            20.0,
            0.25 * (0.5 + 0.5 * math.exp(-0.5)),
        ),
    ],
}
"""Parameters, age, R(age)."""

CASES = [(name, values, clock) for name in FAMILIES for values in EXAMPLES.get(name, []) for clock in AXES]
AGES = {"time": np.linspace(0.0, 30 * 365.25, 4001), "moments": np.geomspace(1.0, 1e6, 4001) - 1.0}


def function(case: tuple[str, Values, str]) -> Forgetting:
    name, values, clock = case
    return build(ForgettingSettings.model_validate({"family": name, "clock": clock, **values}))


def example_curves(clock: str = "time") -> list[Forgetting]:
    return [function(case) for case in CASES if case[2] == clock]
