"""Simulated users whose interests fade by a known curve: what a recommender changes can be known, not guessed.

`World` makes them come, choose, be satisfied and return; `fit` finds the parameters of a log; `Blend` are recommenders
to try. Arrays only.
"""

from evaluators.simulator.events import Events
from evaluators.simulator.fit import fit
from evaluators.simulator.parameters import Parameters
from evaluators.simulator.recommenders import Blend, Offline, trend_of
from evaluators.simulator.retention import Exponential, Lasting, Power, Retention
from evaluators.simulator.state import State, Visits
from evaluators.simulator.world import Recommender, World

__all__ = [
    "Blend",
    "Events",
    "Exponential",
    "Lasting",
    "Offline",
    "Parameters",
    "Power",
    "Recommender",
    "Retention",
    "State",
    "Visits",
    "World",
    "fit",
    "trend_of",
]
