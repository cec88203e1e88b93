"""The two models of a gate apart: by how long ago people were here, what is known of them, and what they took."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from evaluators import Evaluation
from evaluators.segments import choices
from harness.gate.decision import Pair
from harness.stage import Stage


def pairs(
    stage: Stage, kinds: Iterable[str], candidate: Evaluation, other: Evaluation
) -> dict[str, dict[str, Pair]]:
    """``{kind: {segment: (candidate, other)}}``, in the segments that an evaluation's report has.

    Args:
        candidate, other: of all queries of the stage, in their order.
    """
    kinds = tuple(kinds)
    if not kinds:
        return {}
    store = stage.store
    chosen = choices(stage.split, np.asarray(store.items), np.asarray(store.times), stage.facts)
    return {
        kind: {name: (choose(candidate), choose(other)) for name, choose in chosen[kind].items()}
        for kind in kinds
    }
