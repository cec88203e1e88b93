"""What is measured on simulated experiments: false alarms, power, agreement with offline ranking, interleaving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

import evaluators
from benchmarks.ab.trial import CONTROL, LOOKS, SHOWN, WORLD, Bench, Pool, models_of
from evaluators.ab import (
    AlwaysValid,
    Arms,
    Confidence,
    FixedHorizon,
    Futility,
    Rule,
    Stops,
    assign,
    compare,
    cuped,
    power_curve,
    ratio_path,
    stop,
    users_needed,
    welch,
)
from evaluators.arrays import DAY, Floats, Ints
from evaluators.intervals import chunks
from evaluators.simulator import Offline
from evaluators.simulator.events import START

SHARES = (0.5, 0.5)


@dataclass(frozen=True)
class Drawn:
    """R experiments of M users each, drawn from a pool: user, arm [R, M]."""

    user: Ints
    arm: Ints

    def looks(self, outcome: Floats, look: Ints, each: Floats | None = None) -> Arms:
        """outcome [2, U] under each arm -> [R, T, 2]; each [R, M]: an outcome a user instead."""
        rows = np.repeat(np.arange(len(self.user)), self.user.shape[1])
        arm, user = self.arm.ravel(), self.user.ravel()
        values = outcome[arm, user] if each is None else each.ravel()
        return Arms.accrued(values, arm, look[user], (len(self.user), LOOKS, 2), rows)


def dealt(users: int, experiments: int, size: int, seed: int) -> Drawn:
    """Users without replacement, dealt by the hash with a salt for each experiment."""
    random = np.random.default_rng(seed)
    user = np.stack([random.choice(users, size, replace=False) for _ in range(experiments)])
    return Drawn(user, np.stack([assign(row, SHARES, f"{seed}-{r}") for r, row in enumerate(user)]))


def drawn(users: int, experiments: int, size: int, random: np.random.Generator) -> Drawn:
    """Users with replacement, dealt by coins: the pool is then the whole population, and its lift the true one."""
    shape = (experiments, size)
    return Drawn(random.integers(0, users, shape), random.integers(0, 2, shape))


def by_look(found: Stops) -> list[float]:
    """-> [T] the share of experiments that had said `differs` by each look."""
    said = np.bincount(found.look[:, 0][found.differs()[:, 0]], minlength=LOOKS)
    return [float(each) for each in said.cumsum() / len(found.look)]


def rules(size: int) -> dict[str, Rule]:
    return {
        "fixed, read once at the end": FixedHorizon(),
        "fixed, read every day": FixedHorizon(at=range(LOOKS)),
        "always-valid, read every day": AlwaysValid(Confidence(tightest=size)),
    }


def false_alarms(pool: Pool, experiments: int, size: int, seed: int) -> dict[str, Any]:
    """A/A: both arms are served alike; how often each rule says that they differ."""
    made = dealt(len(pool.outcome), experiments, size, seed)
    looks = made.looks(np.stack([pool.outcome] * 2), pool.look)
    found: dict[str, Any] = {name: by_look(stop(looks, [rule])) for name, rule in rules(size).items()}
    adjusted = made.looks(
        np.stack([pool.outcome] * 2), pool.look, _cuped(pool.outcome, pool.before)[made.user]
    )
    found["always-valid on CUPED outcomes"] = by_look(
        stop(adjusted, [rules(size)["always-valid, read every day"]])
    )
    counts = looks.count
    expected = counts.sum(2, keepdims=True) / 2
    daily = stats.chi2.sf(((counts - expected) ** 2 / np.maximum(expected, 1)).sum(2), 1)
    srm = {
        "chi-square, read every day": daily < 0.05,
        "sequential multinomial, read every day": ratio_path(counts, SHARES) < 0.05,
    }
    return {"rules": found, "srm": {name: float(alarm.any(1).mean()) for name, alarm in srm.items()}}


def _cuped(outcome: Floats, before: Floats) -> Floats:
    """The slope is fitted once to all users of the pool, as it would be to a period before: no look changes it."""
    return cuped(outcome, before, np.zeros(len(outcome), np.int64)).outcome


def planted(bench: Bench, base: Pool, seed: int, lift: float = 0.05) -> Pool:
    """The same model made to satisfy a little more often, by so much that the outcome rises by `lift`."""
    model, chance = CONTROL, WORLD.satisfied
    step = chance * lift
    pool = bench.serve(model, chance + step, seed)
    step *= lift / (pool.outcome.mean() / base.outcome.mean() - 1)
    return bench.serve(model, chance + step, seed)


def power(a: Pool, b: Pool, size: int, experiments: int, seed: int) -> dict[str, float]:
    """How often a lift is found beside what the curve promised; size: users in both arms."""
    outcome = np.stack([a.outcome, b.outcome])
    less = (a.before - a.before.mean()) * cuped(a.outcome, a.before, np.zeros(len(a.before), np.int64)).slope[
        0
    ]
    lift, spread = _of(a.outcome, b.outcome)
    _, adjusted = _of(a.outcome - less, b.outcome - less)
    always = AlwaysValid(Confidence(tightest=size))
    random = np.random.default_rng([seed, size])
    parts = []
    for count in chunks(experiments, size):
        made = drawn(outcome.shape[1], count, size, random)
        looks, better = made.looks(outcome, a.look), made.looks(outcome - less, a.look)
        found = stop(looks, [always])
        early = stop(looks, [always, Futility(lift=lift, users=size)])
        shares = {
            "fixed": _share(stop(looks, [FixedHorizon()])),
            "fixed with CUPED": _share(stop(better, [FixedHorizon()])),
            "always": _share(found),
            "always with CUPED": _share(stop(better, [always])),
            "day": float(found.look.mean() + 1),
            "day with futility": float(early.look.mean() + 1),
        }
        parts.append({name: value * count / experiments for name, value in shares.items()})
    per_arm = np.array([size / 2])
    return {
        "users": size,
        "promised": float(power_curve(lift, spread, per_arm)[0]),
        "promised with CUPED": float(power_curve(lift, adjusted, per_arm)[0]),
        **{name: sum(part[name] for part in parts) for name in parts[0]},
    }


def _of(a: Floats, b: Floats) -> tuple[float, tuple[float, float]]:
    return float(b.mean() - a.mean()), (float(a.std(ddof=1)), float(b.std(ddof=1)))


def _share(found: Stops) -> float:
    return float(found.differs().mean())


def ranking(bench: Bench, pools: Mapping[str, Pool]) -> list[dict[str, Any]]:
    """Five models, by the outcome of five arms and by the successive protocol on the log of the same world."""
    offsets, items, times = bench.log.packed(len(bench.day))
    split = evaluators.split(
        offsets,
        items,
        times,
        WORLD.items,
        protocol="successive",
        stage="test",
        repeats=True,
        max_queries=8_000,
    )
    offline = models_of(bench.log.item, bench.log.time, (split.start - START) / DAY)
    arm = np.repeat(np.arange(len(pools)), [len(pool.outcome) for pool in pools.values()])
    online = np.concatenate([pool.outcome for pool in pools.values()])
    before = np.concatenate([pool.before for pool in pools.values()])
    compared = compare(online, arm, (0.2,) * 5, names=list(pools), covariates=before)
    rows: list[dict[str, Any]] = []
    for place, (name, model) in enumerate(offline.items()):
        found = evaluators.evaluate(
            Offline(model, split, items, times), split.queries, evaluators.resolve(("ndcg",), (SHOWN,))
        ).summary(evaluators.Intervals(n=300))[f"ndcg@{SHOWN}"]
        against = compared.against[place - 1] if place else None
        apart = place and welch(*(pools[each].outcome for each in list(pools)[place - 1 : place + 1]))
        rows.append(
            {
                "model": name,
                "online": compared.mean[place],
                "lift": against and (against.absolute.value, against.absolute.low, against.absolute.high),
                "p to the one above": apart,
                "ndcg": (found["mean"], found["low"], found["high"]),
            }
        )
    return rows


def agreement(rows: Sequence[dict[str, Any]]) -> float:
    """Kendall's rank correlation of the two rankings: 1 where they agree on every pair."""
    return float(
        stats.kendalltau([row["online"] for row in rows], [row["ndcg"][0] for row in rows]).statistic
    )


def told_apart(rows: Sequence[dict[str, Any]], pools: Mapping[str, Pool]) -> tuple[int, int, int]:
    """Pairs of models; those whose outcomes differ on-line (Welch, 5 % over all pairs by Holm); how many of these the
    protocol orders the same way."""
    pairs = list(combinations(rows, 2))
    outcomes = {name: pool.outcome for name, pool in pools.items()}
    chances = evaluators.holm([welch(outcomes[a["model"]], outcomes[b["model"]]) for a, b in pairs])
    apart = [pair for pair, chance in zip(pairs, chances, strict=True) if chance < 0.05]
    alike = sum((a["online"] < b["online"]) == (a["ndcg"][0] < b["ndcg"][0]) for a, b in apart)
    return len(pairs), len(apart), alike


def sensitivity(
    bench: Bench, pools: Mapping[str, Pool], names: tuple[str, str], seed: int, experiments: int
) -> dict[str, Any]:
    """Users for a power of 0.8: two arms (with and without CUPED) and interleaving, for the same two models."""
    a, b = (pools[name] for name in names)
    credit = np.sign(bench.interleaved(*names, seed))
    lift, spread = _of(a.outcome, b.outcome)
    less = (a.before - a.before.mean()) * cuped(a.outcome, a.before, np.zeros(len(a.before), np.int64)).slope[
        0
    ]
    _, adjusted = _of(a.outcome - less, b.outcome - less)
    sizes = np.unique(np.geomspace(10, 20_000, 36).astype(int))
    random = np.random.default_rng(seed)
    rates = []
    for size in sizes:
        signs = random.choice(credit, (experiments, size))
        wins, losses = (signs > 0).sum(1), (signs < 0).sum(1)
        p = 2 * stats.binom.cdf(np.minimum(wins, losses), wins + losses, 0.5)
        rates.append(float((p < 0.05).mean()))
    enough = next((at for at, rate in enumerate(rates) if rate >= 0.8), len(rates) - 1)
    between = np.interp(0.8, rates[max(enough - 1, 0) : enough + 1], sizes[max(enough - 1, 0) : enough + 1])
    return {
        "models": names,
        "lift": lift / a.outcome.mean(),
        "error": float(np.hypot(*spread) / len(a.outcome) ** 0.5 / a.outcome.mean()),
        "ab": 2 * users_needed(lift, spread),
        "ab with CUPED": 2 * users_needed(lift, adjusted),
        "interleaving": int(np.ceil(between)),
        "preferred": float((credit > 0).sum() / (credit != 0).sum()),
        "curve": [(int(size), rate) for size, rate in zip(sizes, rates, strict=True)],
        "spread": spread,
        "absolute": lift,
    }
