"""What users choose: repeats, the curve by which they fade, and what all want, fitted to a log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from evaluators.arrays import Bools, Floats, Ints, owners
from evaluators.simulator.retention import Exponential, Lasting, Power, Retention

LEAST = 10.0  # events of an item by which the slope of popularity is told: below, counts are noise
SURELY = 5.0  # events that an item would have had by then, had it not been new
FEW = 30  # items that tell a slope
EVENTS = 10_000  # choices that the likelihood reads
SMOOTH = 7.0  # days over which the popularity of the day is averaged

Curve = Callable[[Floats], Retention]
CURVES: dict[str, tuple[Curve, tuple[float, ...]]] = {
    "lasting": (lambda at: Lasting(), ()),
    "exponential": (lambda at: Exponential(float(np.exp(at[0]))), (np.log(7.0),)),
    "power": (lambda at: Power(float(np.exp(at[0])), float(np.exp(at[1]))), (np.log(3.0), 0.0)),
}


@dataclass(frozen=True)
class Choices:
    """repeat, retention, popularity, fade as in `Parameters`; likelihood: log-likelihood a choice of each curve."""

    repeat: float
    retention: Retention
    popularity: float
    fade: float
    likelihood: dict[str, float]


@dataclass(frozen=True)
class _Asked:
    """N choices, each of a user with a past: age [N, H] days of their events, known and same [N, H]: whether there is
    one, and of the item chosen; common [N]: the item's share of what all took that week."""

    age: Floats
    known: Bools
    same: Bools
    common: Floats

    def own(self, retention: Retention) -> Floats:
        """-> [N] the share of the item in what is left of the past."""
        left = np.where(self.known, retention(self.age), 0.0)
        share: Floats = np.where(self.same, left, 0.0).sum(1) / np.maximum(left.sum(1), 1e-300)
        return share


def fit_choices(offsets: Ints, items: NDArray[np.integer], days: Floats, history: int) -> Choices:
    """offsets [U+1], items, days [N] of a packed log, from its first event on; history: events of a user remembered.

    repeat and retention: maximum likelihood of  repeat · own(i) + (1 - repeat) · common(i), for each kind of curve;
    the one kept is best by Schwarz's criterion (1978), so a parameter more must earn its place. fade: what all want
    is a Poisson process whose rate falls from an item's first event on, given how many of its events there are.
    popularity: the slope of rank against count over the head (Gabaix & Ibragimov 2011, "Rank - 1/2"). In both of
    these an event counts as much as it is likely to be of what all want.
    """
    common = _common(items, days)
    rows = _rows(offsets)
    few = rows[np.linspace(0, len(rows) - 1, min(len(rows), EVENTS)).astype(np.int64)]
    asked = _asked(offsets, items, days, common, few, history)
    found = {name: _fitted(asked, curve, start) for name, (curve, start) in CURVES.items()}
    values = {
        name: value - len(CURVES[name][1]) * np.log(len(few)) / (2 * len(few))
        for name, (value, _, _) in found.items()
    }
    _, repeat, retention = found[max(values, key=values.__getitem__)]
    whole = np.ones(len(items))
    everywhere = _asked(offsets, items, days, common, rows, history)
    mixed = repeat * everywhere.own(retention) + (1 - repeat) * everywhere.common
    whole[rows] = (1 - repeat) * everywhere.common / np.maximum(mixed, 1e-300)
    fade = _fade(items, days, whole)
    return Choices(
        repeat, retention, _slope(items, days, whole, fade), fade,
        {name: value for name, (value, _, _) in found.items()},
    )  # fmt: skip


def _rows(offsets: Ints) -> Ints:
    """Rows whose user has a past."""
    user = owners(offsets)
    return np.flatnonzero(np.arange(len(user)) > offsets[user])


def _common(items: NDArray[np.integer], days: Floats) -> Floats:
    """-> [N] each event's item as a share of the events of its week."""
    week = (days // SMOOTH).astype(np.int64)
    width = int(items.max()) + 1
    cell = week * width + items
    share: Floats = np.bincount(cell)[cell] / np.bincount(week)[week]
    return share


def _asked(
    offsets: Ints, items: NDArray[np.integer], days: Floats, common: Floats, rows: Ints, history: int
) -> _Asked:
    back = rows[:, None] - np.arange(1, history + 1)
    known = back >= offsets[owners(offsets)[rows]][:, None]
    back = np.maximum(back, 0)
    age = np.where(known, days[rows][:, None] - days[back], 0.0)
    return _Asked(age, known, known & (items[back] == items[rows][:, None]), common[rows])


def _fitted(asked: _Asked, curve: Curve, start: tuple[float, ...]) -> tuple[float, float, Retention]:
    """-> the log-likelihood a choice, repeat, and the curve, at their best."""

    def surprise(at: Floats) -> float:
        repeat = 1 / (1 + np.exp(-at[0]))
        mixed = repeat * asked.own(curve(at[1:])) + (1 - repeat) * asked.common
        return -float(np.log(np.maximum(mixed, 1e-300)).mean())

    bounds = [(-8.0, 8.0)] + [(-4.0, 7.0)] * len(start)
    best = optimize.minimize(
        surprise,
        np.array([0.0, *start]),
        method="Nelder-Mead",
        bounds=bounds,
        options={"xatol": 1e-3, "fatol": 1e-7},
    )
    return -float(best.fun), float(1 / (1 + np.exp(-best.x[0]))), curve(best.x[1:])


def _slope(items: NDArray[np.integer], days: Floats, weight: Floats, fade: float) -> float:
    """The slope of log appeal on log rank: an item's events over what it could have had from its first event on.

    Items that came up during the log, where there are enough: those of its first days have faded by who knows how
    much."""
    order, _, first, number = _by_item(items, days)
    rate = np.log(2) / fade
    day, mass = days[order], weight[order]
    after = np.cumsum((mass * np.exp(-rate * day))[::-1])[::-1][first] * np.exp(rate * day[first])
    counts = np.bincount(number, mass, len(first))
    old, early = (day[first] < share * day[-1] for share in (0.1, 0.6))
    missed = counts / np.maximum(after, 1e-300) * np.cumsum(mass)[first]  # events before, had it been there
    new = early & ~old & (counts >= LEAST) & (missed > SURELY)
    chosen = new if new.sum() >= FEW else old
    appeal = counts / np.maximum(after, 1e-300)
    told = LEAST / after[chosen].min()  # an item of so much would have shown itself whenever it came
    appeal = np.sort(appeal[chosen & (appeal >= told)])[::-1]
    if len(appeal) < 3 or np.ptp(appeal) == 0:
        return 0.0
    slope = np.polyfit(np.log(appeal), np.log(np.arange(len(appeal)) + 0.5), 1)[0]
    return float(-1 / slope)


def _by_item(items: NDArray[np.integer], days: Floats) -> tuple[Ints, NDArray[np.integer], Ints, Ints]:
    """-> order [N] by time; of the events in it: item [N], the first of each item, the number of each one's item."""
    order = np.argsort(days, kind="stable")
    item = items[order]
    _, first, number = np.unique(item, return_index=True, return_inverse=True)
    return order.astype(np.int64), item, first.astype(np.int64), number.astype(np.int64)


def _fade(items: NDArray[np.integer], days: Floats, weight: Floats) -> float:
    """The half-life of appeal: with the rate λ, an item's later events have the density a(t)·e^{-λt} over what is
    left of the log after its first, where a(t) is how much all users took at t."""
    order, item, first, number = _by_item(items, days)
    day, mass = days[order], weight[order]
    later = np.ones(len(item), bool)
    later[first] = False
    counted = np.bincount(number[later], mass[later], len(first))

    def surprise(rate: float) -> float:
        after = np.append(np.cumsum((mass * np.exp(-rate * day))[::-1])[::-1], 0.0)[first + 1]
        use = (counted > 0) & (after > 0)
        return float(
            rate * (mass * day)[later & use[number]].sum() + (counted[use] * np.log(after[use])).sum()
        )

    best = optimize.minimize_scalar(surprise, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-6})
    return float(np.log(2) / max(best.x, 1e-6))
