"""A/B tests: users dealt to arms by hash, lifts with intervals that hold as often as one looks, and the checks without
which no lift is to be trusted."""

from evaluators.ab.always import Confidence
from evaluators.ab.arms import Arms, welch
from evaluators.ab.assignment import assign
from evaluators.ab.cuped import Adjusted, cuped
from evaluators.ab.experiment import Against, Comparison, compare
from evaluators.ab.guardrails import Guarded, Guardrail
from evaluators.ab.interleaving import Preference, preference, team_draft
from evaluators.ab.lift import Lift, absolute, relative
from evaluators.ab.power import detectable, power_curve, simulated_power, users_needed
from evaluators.ab.ratio import SampleRatio, SequentialRatio, ratio_path, sample_ratio, sequential_ratio
from evaluators.ab.replay import Experiment, simulate
from evaluators.ab.stopping import AlwaysValid, FixedHorizon, Futility, Rule, Stops, Verdict, stop

__all__ = [
    "Adjusted",
    "Against",
    "AlwaysValid",
    "Arms",
    "Comparison",
    "Confidence",
    "Experiment",
    "FixedHorizon",
    "Futility",
    "Guarded",
    "Guardrail",
    "Lift",
    "Preference",
    "Rule",
    "SampleRatio",
    "SequentialRatio",
    "Stops",
    "Verdict",
    "absolute",
    "assign",
    "compare",
    "cuped",
    "detectable",
    "power_curve",
    "preference",
    "ratio_path",
    "relative",
    "sample_ratio",
    "sequential_ratio",
    "simulate",
    "simulated_power",
    "stop",
    "team_draft",
    "users_needed",
    "welch",
]
