"""What a policy would have earned, from what another one did: estimators on logged feedback with propensities.

`Logged` holds the rounds and the policy in question; `judge` gives every estimator's figure with intervals and says
which of them the log can carry. For lists: `LoggedLists`. An estimator of your own is a subclass of `Estimator`.
"""

from evaluators.off_policy.base import Estimator
from evaluators.off_policy.bounds import Sequence, confidence_sequence, empirical_bernstein
from evaluators.off_policy.diagnostics import Diagnostics, Limits, diagnose
from evaluators.off_policy.doubly_robust import (
    DirectMethod,
    DoublyRobust,
    SelfNormalizedDR,
    ShrunkDR,
    SwitchDR,
)
from evaluators.off_policy.judge import Figure, judge
from evaluators.off_policy.lists import (
    CascadeDR,
    IndependentIPS,
    ListEstimator,
    LoggedLists,
    RewardInteractionIPS,
    in_turn,
)
from evaluators.off_policy.logged import Logged
from evaluators.off_policy.policies import epsilon_greedy, softmax
from evaluators.off_policy.reward_models import Logistic, Means, RewardModel, cross_fitted
from evaluators.off_policy.slope import slope
from evaluators.off_policy.weighting import IPS, MarginalizedIPS, Replay, SelfNormalizedIPS

__all__ = [
    "IPS",
    "CascadeDR",
    "Diagnostics",
    "DirectMethod",
    "DoublyRobust",
    "Estimator",
    "Figure",
    "IndependentIPS",
    "Limits",
    "ListEstimator",
    "Logged",
    "LoggedLists",
    "Logistic",
    "MarginalizedIPS",
    "Means",
    "Replay",
    "RewardInteractionIPS",
    "RewardModel",
    "SelfNormalizedDR",
    "SelfNormalizedIPS",
    "Sequence",
    "ShrunkDR",
    "SwitchDR",
    "confidence_sequence",
    "cross_fitted",
    "diagnose",
    "empirical_bernstein",
    "epsilon_greedy",
    "in_turn",
    "judge",
    "slope",
    "softmax",
]
