"""What a model would have earned as a policy, from rounds in which another policy chose and wrote down its chances."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

import evaluators
from evaluators import interval, off_policy
from harness.data.errors import DataError
from harness.data.rounds import Rounds, read_rounds
from harness.errors import ConfigurationError
from harness.off_policy.settings import OffPolicySettings
from harness.settings import RunSettings
from harness.stage import BLOCK, ForeignScorer, ModelScorer, Stage
from trainers.model import Model

Floats = npt.NDArray[np.float64]
LARGEST = 200_000_000  # entries of the policy, 1.6 GB; a reward model has as many


def value_of(model: Model | ForeignScorer, stage: Stage, settings: RunSettings) -> dict[str, Any]:
    """The JSON of `off_policy`: the model's policy in the rounds of a stage, by every estimator.

    The policy acts on what came strictly before each round's moment; the reward model is fitted on the rounds before
    the stage, so that it has seen none that it is asked of.
    """
    wanted = settings.off_policy
    assert wanted is not None
    split = stage.split
    if split.protocol != "successive":
        raise ConfigurationError(
            f"`off_policy` needs one cut in time for all, but `split.protocol` is {split.protocol}; take `successive`."
        )
    rounds = read_rounds(settings.data, wanted.columns, stage.store)
    _fits(wanted, rounds)
    before = rounds.take(rounds.time < split.start)
    asked = rounds.take((rounds.time >= split.start) & (rounds.time < split.stop))
    if not len(before) or not len(asked):
        raise DataError(
            f"rounds before and in the {split.stage} period are needed, but there are {len(before)} and {len(asked)}; "
            "move `split.cuts`."
        )
    logged = _logged(model, stage, wanted, before, asked)
    level, method = settings.evaluate.level, settings.evaluate.interval
    figures = off_policy.judge(
        logged,
        _estimators(wanted, stage, logged),
        level,
        top=wanted.largest_reward,
        least_propensity=wanted.least_propensity,
        method=method,
    )
    low, high = off_policy.confidence_sequence(
        logged, level, top=wanted.largest_reward, least_propensity=wanted.least_propensity
    )
    return {
        "policy": wanted.policy.text(),
        "rounds": len(logged),
        "users": len(np.unique(asked.user)),
        "logged": interval(logged.reward, logged.owner, level, method=method).to_dict(),
        "estimators": {name: figure.to_dict() for name, figure in figures.items()},
        "sequence": {"low": float(low[-1]), "high": float(high[-1])},
    }


def _fits(wanted: OffPolicySettings, rounds: Rounds) -> None:
    """Raise where the log is not within what the configuration says of it."""
    if rounds.reward.min() < 0 or rounds.reward.max() > wanted.largest_reward:
        raise ConfigurationError(
            f"rewards must be in [0, {wanted.largest_reward}], but the log has [{rounds.reward.min()}, "
            f"{rounds.reward.max()}]; set `off_policy.largest_reward`."
        )
    least = rounds.propensity.min()
    if wanted.least_propensity is not None and wanted.least_propensity > least:
        raise ConfigurationError(
            f"`off_policy.least_propensity` must be at most {least}, the smallest in the log, but got "
            f"{wanted.least_propensity}."
        )


def _estimators(
    wanted: OffPolicySettings, stage: Stage, logged: off_policy.Logged
) -> list[off_policy.Estimator]:
    found: list[off_policy.Estimator] = [
        off_policy.Replay(),
        off_policy.DirectMethod(),
        off_policy.IPS(),
        off_policy.SelfNormalizedIPS(),
        off_policy.DoublyRobust(),
        off_policy.SelfNormalizedDR(),
        off_policy.SwitchDR(wanted.limit),
        off_policy.ShrunkDR(wanted.limit),
    ]
    group = np.asarray(stage.store.category)[stage.split.catalogue]
    if logged.logging is not None and len(np.unique(group)) > 1:
        found.append(off_policy.MarginalizedIPS(group))
    return found


def _logged(
    model: Model | ForeignScorer, stage: Stage, wanted: OffPolicySettings, before: Rounds, asked: Rounds
) -> off_policy.Logged:
    column = stage.split.column
    catalogue = len(stage.split.catalogue)
    action, earlier = column[asked.item].astype(np.int64), column[before.item].astype(np.int64)
    # An item that training never saw is an action too, of which the model never makes use: the last one.
    actions = catalogue + bool((action < 0).any())
    if len(asked) * actions > LARGEST:
        raise ConfigurationError(
            f"at most {LARGEST:,} pairs of round and item can be held, but there are {len(asked):,} × {actions:,}; "
            "move `split.cuts` so that fewer rounds are asked."
        )
    policy = np.zeros((len(asked), actions))
    for index, scores in _scores(model, stage, asked):
        policy[index, :catalogue] = wanted.policy.probabilities(scores)
    slots = np.eye(int(max(before.position.max(), asked.position.max())) + 1)
    known = earlier >= 0
    predict = off_policy.Logistic(top=wanted.largest_reward).fit(
        slots[before.position[known]], earlier[known], before.reward[known], actions
    )
    everywhere = np.concatenate([before.propensity, asked.propensity])
    uniform = actions == catalogue and np.allclose(everywhere, 1 / actions, rtol=1e-6, atol=0)
    return off_policy.Logged(
        np.where(action < 0, catalogue, action),
        asked.reward,
        asked.propensity,
        policy,
        predict(slots[asked.position]),
        np.full(policy.shape, 1 / actions) if uniform else None,
        asked.user if wanted.resample == "users" else None,
        asked.position,
    )


def _scores(model: Model | ForeignScorer, stage: Stage, asked: Rounds) -> Any:
    """Blocks (slice of rounds, scores [B, I]), each from the history strictly before its round; -inf for what may not
    be shown."""
    found = stage.log.asked(asked.user, asked.time)
    none = np.zeros(len(asked) + 1, np.int64)
    queries = evaluators.Queries(asked.user, asked.time, found.begin, found.end, none, np.zeros(0, np.int32))
    here = replace(stage, split=replace(stage.split, queries=queries))
    scorer = replace(model, stage=here) if isinstance(model, ForeignScorer) else ModelScorer(here, model)
    for index, scores in evaluators.blocks(scorer, len(queries), BLOCK):
        scores = np.array(scores, np.float64)
        if here.seen is not None:
            hidden = here.seen(index)
            scores[hidden.owners(), hidden.columns] = -np.inf
        yield index, scores
