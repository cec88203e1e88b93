"""A simulated A/B test on a log: users are dealt to two arms, one model serves each, what they really did decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluators.ab.always import Confidence
from evaluators.ab.arms import Arms, welch
from evaluators.ab.assignment import assign
from evaluators.ab.cuped import cuped
from evaluators.ab.guardrails import Guarded, Guardrail
from evaluators.ab.lift import Lift, absolute
from evaluators.ab.power import detectable, users_needed
from evaluators.ab.ratio import SampleRatio, SequentialRatio, sample_ratio, sequential_ratio
from evaluators.arrays import DAY, Floats, Ints
from evaluators.intervals import check_resampling, per_user, picks, tails


@dataclass(frozen=True)
class Cuped:
    """The lift after what was known before the test is taken out; reduction: the share of the variance that went."""

    absolute: Lift
    p: float
    reduction: float


@dataclass(frozen=True)
class Always:
    """The lift with an interval that holds at every look at once; p: the smallest always-valid p-value; day: the first
    day of the test whose interval left 0 out, counted from 1 (None where none did), of `days`."""

    absolute: Lift
    p: float
    day: int | None
    days: int


@dataclass(frozen=True)
class Experiment:
    """mean: A's and B's mean outcome per user; absolute, relative: lift of B over A (relative is None where
    A's mean may be 0); p: Welch's t-test, two-sided; ratio: the sample-ratio check; needed: users per arm to
    detect the seen lift (None where there is none); detectable: the smallest absolute lift that these arms
    would detect; both at `level` and `power`; cuped: None without covariates; ratio_sequential, always: None
    without times; guardrails: those asked for."""

    mean: tuple[float, float]
    absolute: Lift
    relative: Lift | None
    p: float
    ratio: SampleRatio
    needed: int | None
    detectable: float
    level: float
    power: float
    cuped: Cuped | None = None
    ratio_sequential: SequentialRatio | None = None
    always: Always | None = None
    guardrails: tuple[Guarded, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def simulate(
    a: NDArray[Any],
    b: NDArray[Any],
    users: NDArray[Any],
    *,
    shares: tuple[float, float] = (0.5, 0.5),
    salt: str = "lethe",
    level: float = 0.95,
    power: float = 0.8,
    n: int = 1000,
    seed: int = 0,
    times: NDArray[Any] | None = None,
    covariates: NDArray[Any] | None = None,
    guardrails: Mapping[Guardrail, tuple[NDArray[Any], NDArray[Any]]] | None = None,
    tightest: float = 1.0,
) -> Experiment:
    """Deal users to arms A and B, serve each by its model, compare the mean outcome per user.

    a, b [Q]: the metric of model A and of model B on the same queries; users [Q]: their ids (the log's own
    ids, if the same person is to get the same arm another day); only the value of a user's own arm is read. A
    user's outcome is the mean over that user's queries. The lift's interval resamples users within each arm.

    times [Q] unix seconds: users come to the arms at their first query, and are counted from the day of their last one,
    when their outcome is complete; it gives the tests that may be looked at every day. tightest: the share of all
    users at which the always-valid interval is tightest (`Confidence`). covariates [Q] or [Q, C]: what was known of the
    user before the test, the same in each of their rows. guardrails: A's and B's values [Q] of metrics that must not
    fall.

    Source: Kohavi, Tang & Xu 2020, "Trustworthy Online Controlled Experiments" (arms by hash, 4; sample
    ratio, 21). A simulation knows only what users did under the recommender of their day: it rehearses the
    test, it is not the test.

    Raises ValueError on shapes that disagree, on shares that are not two positive numbers that sum to 1, and
    on an arm with fewer than two users.

    >>> made = simulate(np.tile([0.1, 0.2], 50), np.tile([0.2, 0.3], 50), np.arange(100))
    >>> round(made.absolute.value, 2), made.ratio.mismatch
    (0.09, False)
    """
    check_resampling(level, n)
    _check(a, b, shares, power)
    dealt = _Dealt.of(users, shares, salt)
    first, second = dealt.apart(a, b)
    if min(len(first), len(second)) < 2:
        raise ValueError(
            f"each arm must have at least 2 users, but got ({len(first)}, {len(second)}); "
            "use more users or evener shares."
        )
    found, ratio_to_a = _lifts(first, second, level, n, seed)
    spread = (float(first.std(ddof=1)), float(second.std(ddof=1)))
    sizes = (len(first), len(second))
    return Experiment(
        mean=(float(first.mean()), float(second.mean())),
        absolute=found,
        relative=ratio_to_a,
        p=welch(first, second),
        ratio=sample_ratio(sizes, shares),
        needed=users_needed(found.value, spread, 1 - level, power) if found.value else None,
        detectable=detectable(spread, sizes, 1 - level, power),
        level=level,
        power=power,
        cuped=None if covariates is None else _cuped(dealt, dealt.own(a, b), covariates, level),
        ratio_sequential=None if times is None else _arrivals(dealt, times, shares),
        always=None if times is None else _always(dealt, dealt.own(a, b), times, tightest, level),
        guardrails=tuple(
            rail.read(Arms.of(dealt.own(*both), dealt.arm, 2))[0] for rail, both in (guardrails or {}).items()
        ),
    )


@dataclass(frozen=True)
class _Dealt:
    """users [Q] as numbers [0, U) in order of appearance, arm [U]."""

    users: Ints
    arm: Ints

    @classmethod
    def of(cls, users: NDArray[Any], shares: tuple[float, float], salt: str) -> _Dealt:
        codes, known = pd.factorize(np.asarray(users))
        return cls(codes.astype(np.int64), assign(known, shares, salt))

    def own(self, a: NDArray[Any], b: NDArray[Any]) -> Floats:
        """-> [U] the mean of each user's queries under the model of their arm."""
        (total_a, count), (total_b, _) = per_user(a, self.users), per_user(b, self.users)
        return np.where(self.arm == 0, total_a, total_b) / count

    def apart(self, a: NDArray[Any], b: NDArray[Any]) -> tuple[Floats, Floats]:
        outcome = self.own(a, b)
        return outcome[self.arm == 0], outcome[self.arm == 1]


def _check(a: NDArray[Any], b: NDArray[Any], shares: tuple[float, float], power: float) -> None:
    if np.shape(a) != np.shape(b):
        raise ValueError(
            f"`a.shape == b.shape` must hold, but got ({np.shape(a)}, {np.shape(b)}); pair the same queries."
        )
    if not 0 < power < 1:
        raise ValueError(f"`0 < power < 1` must hold, but got (power={power}); 0.8 is customary.")
    if len(shares) != 2:
        raise ValueError(
            f"shares must be two positive numbers that sum to 1, but got {list(shares)}; "
            "`compare` takes more arms."
        )


def _cuped(dealt: _Dealt, outcome: Floats, covariates: NDArray[Any], level: float) -> Cuped:
    rows = np.unique(dealt.users, return_index=True)[1]
    adjusted = cuped(outcome, np.asarray(covariates)[rows], dealt.arm)
    arms = Arms.of(adjusted.outcome, dealt.arm, 2)
    return Cuped(absolute(arms, level)[0], float(arms.p()[0]), adjusted.reduction)


def _arrivals(dealt: _Dealt, times: NDArray[Any], shares: tuple[float, float]) -> SequentialRatio:
    """The sequential sample-ratio test after every user, in the order of their first queries."""
    came = np.full(len(dealt.arm), np.inf)
    np.minimum.at(came, dealt.users, np.asarray(times, np.float64))
    return sequential_ratio(dealt.arm[np.argsort(came, kind="stable")], shares)


def _always(dealt: _Dealt, outcome: Floats, times: NDArray[Any], tightest: float, level: float) -> Always:
    """A look a day, at the users whose last query has been answered."""
    done = np.full(len(dealt.arm), -np.inf)
    np.maximum.at(done, dealt.users, np.asarray(times, np.float64))
    day = ((done - np.min(times)) // DAY).astype(np.int64)
    days = int(day.max()) + 1
    looks = Arms.accrued(outcome, dealt.arm, day, (1, days, 2))
    confidence = Confidence(tightest * len(outcome), level)
    path = confidence.p(looks)[0, :, 0]
    low, high = confidence.interval(looks)
    lift = Lift(*(float(each[0, -1, 0]) for each in (looks.lift, low, high)))
    left_out = np.flatnonzero(path < 1 - level)
    return Always(lift, float(path[-1]), int(left_out[0]) + 1 if len(left_out) else None, days)


def _lifts(first: Floats, second: Floats, level: float, n: int, seed: int) -> tuple[Lift, Lift | None]:
    """Percentile bootstrap within each arm; no relative lift where A's mean may be 0."""
    means_a, means_b = (
        np.concatenate([arm[pick].mean(1) for pick in picks(len(arm), n, stream)])
        for arm, stream in ((first, seed), (second, seed + 1))
    )
    gaps = means_b - means_a
    low, high = (float(x) for x in np.quantile(gaps, tails(level)))
    lift = float(second.mean() - first.mean())
    base = float(first.mean())
    if base == 0 or (means_a == 0).any():
        return Lift(lift, low, high), None
    lower, upper = (float(x) for x in np.quantile(gaps / means_a, tails(level)))
    return Lift(lift, low, high), Lift(lift / base, lower, upper)
