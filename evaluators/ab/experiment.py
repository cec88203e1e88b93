"""An experiment with two or more arms, read once at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.ab.arms import Arms, names_of
from evaluators.ab.cuped import cuped
from evaluators.ab.guardrails import Guarded, Guardrail
from evaluators.ab.lift import Lift, absolute, relative
from evaluators.ab.ratio import SampleRatio, sample_ratio
from evaluators.arrays import Ints
from evaluators.significance import holm


@dataclass(frozen=True)
class Against:
    """An arm against the first: absolute and relative lift with intervals (relative is None where the first arm's mean
    is not told from 0), p of Welch's test, the same after Holm's correction for all arms, and the guardrails."""

    name: str
    absolute: Lift
    relative: Lift | None
    p: float
    p_holm: float
    guardrails: tuple[Guarded, ...]


@dataclass(frozen=True)
class Comparison:
    """names, mean [K] of the arms; ratio: whether the arms have the sizes planned; against: every arm but the first;
    reduction: the share of the variance that the covariates took (0 without any)."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    ratio: SampleRatio
    against: tuple[Against, ...]
    reduction: float
    level: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    outcome: NDArray[Any],
    arm: Ints,
    shares: Sequence[float],
    *,
    names: Sequence[str] | None = None,
    covariates: NDArray[Any] | None = None,
    guardrails: Mapping[Guardrail, NDArray[Any]] | None = None,
    level: float = 0.95,
) -> Comparison:
    """Compare every arm with the first.

    outcome, arm [U]: a figure and an arm a user; shares [K] as planned; covariates [U] or [U, C], known before, for
    CUPED; guardrails: the values [U] of each metric that must not fall. Intervals are of `level` each, p_holm holds for
    all arms together.

    Raises ValueError where shapes disagree, and on an arm with fewer than two users.

    >>> arm = np.arange(300) % 3
    >>> outcome = np.random.default_rng(0).normal(0.3 * (arm == 2), 1)
    >>> found = compare(outcome, arm, (1 / 3, 1 / 3, 1 / 3), names=("old", "same", "new"))
    >>> [(each.name, each.p_holm < 0.05) for each in found.against], found.ratio.mismatch
    ([('same', False), ('new', True)], False)
    """
    width = len(shares)
    known = names_of(names, width)
    values, reduction = np.asarray(outcome, np.float64), 0.0
    arms = Arms.of(values, arm, width)
    if arms.count.min() < 2:
        raise ValueError(
            f"each arm must have at least 2 users, but got {arms.count.astype(int).tolist()}; "
            "use more users or evener shares."
        )
    ratio = sample_ratio(tuple(arms.count.astype(int).tolist()), shares)
    if covariates is not None:
        adjusted = cuped(values, covariates, arm)
        arms, reduction = Arms.of(adjusted.outcome, arm, width), adjusted.reduction
    p = [float(each) for each in arms.p()]
    guarded = [rail.read(Arms.of(held, arm, width)) for rail, held in (guardrails or {}).items()]
    against = tuple(
        Against(known[place + 1], found, share, p[place], after, tuple(rail[place] for rail in guarded))
        for place, (found, share, after) in enumerate(
            zip(absolute(arms, level), relative(arms, level), holm(p), strict=True)
        )
    )
    return Comparison(known, tuple(arms.mean.tolist()), ratio, against, reduction, level)
