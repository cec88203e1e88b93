"""A complete summary with invented figures, of the shape that a run leaves."""

from __future__ import annotations

import math
import random
from typing import Any

CONFIG = """\
data:
  events: data/online-retail/events.csv.gz
  items: data/online-retail/items.csv.gz
  columns: {user: user_id, item: item_id, time: timestamp, weight: weight}
  repeats: true
split: {protocol: successive, cuts: [0.8, 0.9]}
model:
  terms:
    - {kind: own, weight: 1.0, forgetting: {family: power, clock: time, tau: 7, exponent: 0.5}}
    - {kind: linear, variant: ease, l2: 500, weight: 0.42, forgetting: {family: exponential, half_life: 30}}
evaluate: {k: [10], metrics: [ndcg, recall, precision, mrr, coverage]}
search: {trials: 48, metric: ndcg@10}
registry: {name: online-retail}
"""


def estimate(mean: float, half: float = 0.018) -> dict[str, float]:
    return {"mean": mean, "low": mean - half, "high": mean + half}


def difference(value: float, half: float, p: float) -> dict[str, float]:
    return {"difference": value, "low": value - half, "high": value + half, "p": p}


def metrics(ndcg: float, half: float = 0.018) -> dict[str, dict[str, float]]:
    factors = {"ndcg@10": 1.0, "recall@10": 0.94, "precision@10": 0.71, "mrr@10": 1.62}
    return {name: estimate(ndcg * f, half * f) for name, f in factors.items()} | {
        "coverage@10": estimate(0.61, 0.01)
    }


def segment(queries: int, ndcg: float, half: float) -> dict[str, Any]:
    return {"queries": queries, "users": queries // 2, "metrics": metrics(ndcg, half)}


def summary() -> dict[str, Any]:
    """A run that was promoted."""
    return {
        "name": "online-retail",
        "created": "2026-03-14T15:09:26+00:00",
        "seconds": 1523.4,
        "config_path": "configs/online-retail.yaml",
        "protocol": "successive",
        "cuts": [0.8, 0.9],
        "repeats": True,
        "metric": "ndcg@10",
        "intervals": {"level": 0.95, "method": "percentile"},
        "fingerprint": "b3f1c0de5a6e4d0f9a77c1e2",
        "versions": {
            "lethe": "0.1.0",
            "torch": "2.13.0",
            "ray": "2.60.0",
            "mlflow": "3.17.2",
            "pandas": "3.1.1",
        },
        "run_id": "4f0c2d9b8e7a4b6f9d3c1a2b5e6f7081",
        "reproduce": [
            "lethe run configs/online-retail.yaml",
            "lethe evaluate configs/online-retail.yaml --model models:/online-retail/7 --stage test",
        ],
        "data": _data(),
        "search": _search(),
        "terms": _terms(),
        "fading": _fading(),
        "training": _training(),
        "finetune": {
            "kept": False,
            "reason": "the recent window gained nothing that an interval can tell from zero",
            **difference(0.0006, 0.0021, 0.58),
        },
        "evaluation": _evaluation(),
        "models": {
            "candidate": metrics(0.2940),
            "none": metrics(0.2815),
            "trend": metrics(0.1114, 0.011),
            "champion v3": metrics(0.2901),
        },
        "comparisons": [
            {"against": "none", "ndcg@10": difference(0.0125, 0.0042, 0.0001)},
            {"against": "trend", "ndcg@10": difference(0.1826, 0.0160, 0.0001)},
            {"against": "champion v3", "ndcg@10": difference(0.0039, 0.0031, 0.013)},
        ],
        "calibration": _calibration(),
        "examples": _examples(),
        "ab": _ab(),
        "model": {
            "name": "online-retail",
            "version": "7",
            "aliases": ["candidate", "challenger", "champion"],
        },
        "verdict": {
            "promoted": True,
            "sentence": "Version 7 forgets by a power law with a half-life of 21 days, beats the live model "
            "by 0.0039 NDCG@10 on the same 9,214 queries, and is now the champion.",
            "reasons": [
                "The gain over the same model without forgetting excludes zero.",
                "The gain over the decayed trend excludes zero.",
                "No segment is worse than the champion by more than 0.01.",
            ],
        },
    }


def _data() -> dict[str, Any]:
    draw = random.Random(5)
    starts = [
        f"20{10 + (11 + w // 4) // 12}-{(11 + w // 4) % 12 + 1:02d}-{1 + 7 * (w % 4):02d}" for w in range(52)
    ]
    events = [round(6200 + 3800 * math.sin(w / 9) ** 2 + 90 * w + draw.gauss(0, 700)) for w in range(52)]
    quantiles = {"p1": 0.01, "p10": 2.1, "p25": 7.9, "p50": 23.6, "p75": 55.0, "p90": 102.4, "p99": 248.0}
    return {
        "events": 397_884,
        "users": 4_338,
        "items": 3_665,
        "rejected": 9_003,
        "reasons": {"item is missing": 27, "timestamp cannot be read": 3, "weight is not above zero": 8_973},
        "profile": {
            "counts": {"events": 397_884, "users": 4_338, "items": 3_665},
            "span": {"first": "2010-12-01T08:26:00Z", "last": "2011-12-09T12:50:00Z", "days": 373.2},
            "histogram": {"period": "week", "start": starts, "events": events},
            "gap_days": quantiles,
            "repeat_share": 0.374,
            "baskets": {
                "moments": 18_532,
                "mean": 20.9,
                "p50": 15.0,
                "histogram": {
                    "from": [1, 2, 3, 5, 10, 20, 50, 100],
                    "moments": [1_512, 830, 1_460, 3_120, 4_630, 5_480, 1_130, 370],
                },
            },
            "events_per_user": {"mean": 91.7, "p50": 41.0, "p99": 801.0},
            "popularity": {"gini": 0.67, "top_1_percent_share": 0.093},
        },
    }


def _search() -> dict[str, Any]:
    draw = random.Random(11)
    names = ["power", "exponential", "weibull", "hyperbolic"]
    history: list[dict[str, Any]] = [
        {
            "trial": f"t{n:03d}",
            "value": round(0.291 - abs(draw.gauss(0, 0.010 - 0.00012 * n)), 4),
            "family": names[n % 4],
            "control": False,
            "params": _tried(n, names[n % 4]) if n % 5 == 0 else None,  # a picture of all 48 takes its time
        }
        for n in range(48)
    ]
    history[20]["value"] = None
    history[33]["value"], history[41]["value"] = 0.2911, 0.2914
    history += [
        {
            "trial": f"c{n:03d}",
            "value": round(0.279 - abs(draw.gauss(0, 0.005)), 4),
            "family": "none",
            "control": True,
            "params": {"linear.l2": 500.0},
        }
        for n in range(48)
    ]
    rows = [
        ("power", "time", 21.0, "days", 14, 0.2914, 0.0, 0.0),
        ("mixture", "time", 18.4, "days", 6, 0.2911, -0.0003, 0.0011),
        ("weibull", "time", 24.9, "days", 9, 0.2903, -0.0011, 0.0013),
        ("hyperbolic", "time", 16.2, "days", 8, 0.2896, -0.0018, 0.0014),
        ("exponential", "time", 38.0, "days", 11, 0.2871, -0.0043, 0.0021),
        ("geometric", "moments", 3.2, "moments", 5, 0.2850, -0.0064, 0.0025),
        ("none", "time", None, "days", 48, 0.2790, -0.0124, 0.0040),
    ]
    return {
        "trials": 48,
        "control_trials": 48,
        "failed": 1,
        "failures": [{"trial": "t020", "error": "RuntimeError: the loss is not finite at epoch 3"}],
        "best": {
            "trial": "t041",
            "value": 0.2914,
            "params": {"own.tau": 7.13, "own.exponent": 0.5012, "linear.l2": 512.0, "linear.weight": 0.42},
        },
        "history": history,
        "importance": {"own.exponent": 0.46, "own.tau": 0.27, "linear.weight": 0.19, "linear.l2": 0.08},
        "importance_note": "Shares of the variance that a forest explains over the trials made; they say "
        "nothing about values that were not tried.",
        "families": [
            {
                "family": f,
                "clock": c,
                "half_life": h,
                "unit": u,
                "trials": n,
                "value": v,
                "difference": d,
                "low": d - half,
                "high": d + half,
            }
            for f, c, h, u, n, v, d, half in rows
        ],
        "sure": {
            "runner_up": {"trial": "t033", **difference(0.0003, 0.0011, 0.59)},
            "none": {"trial": "c012", **difference(0.0124, 0.0040, 0.0001)},
        },
    }


def _tried(n: int, family: str) -> dict[str, Any]:
    """Parameters of a trial: a shape that only one family has, a number over two decades, a number from a list."""
    shape = {"own.exponent": 0.25 + n / 30} if family == "power" else {}
    params = {"own.family": family, "own.tau": 10 ** (n / 24), "linear.l2": (200.0, 500.0, 1000.0)[n % 3]}
    return params | shape


def _calibration() -> dict[str, Any]:
    expected = [0.001 * 1.8**n for n in range(10)]
    bins = [
        {"predicted": p, "observed": 1.2 * p, "low": 0.9 * p, "high": 1.5 * p, "count": 921} for p in expected
    ]
    told = "Of what a user takes next the model expects 4.3 % to be any one item of its list, and 4.9 % was."
    before = [{**each, "predicted": 0.7 * each["predicted"]} for each in bins]
    return {
        "expects": {"temperature": 0.71, "slope": 0.9, "shift": 0.05},
        "before": {"bins": before, "error": 0.011},
        "k": 10,
        "queries": 921,
        "bins": bins,
        "error": 0.006,
        "sentence": told,
    }


def _examples() -> dict[str, Any]:
    def moment(days: float, left: float, *titles: str) -> dict[str, Any]:
        return {
            "at": 1_322_000_000 - 86_400 * days,
            "age": days,
            "left": left,
            "events": len(titles),
            "titles": list(titles),
        }

    shown = [
        {"rank": 1, "item": "22423", "title": "REGENCY CAKESTAND", "hit": True, "last": 3.0},
        {"rank": 2, "item": "85123A", "title": "WHITE HANGING HEART", "hit": False, "last": None},
    ]
    users = [
        {
            "user": name,
            "at": 1_322_000_000,
            "events": 3,
            "gone": 1,
            "moments": [moment(200, 0.05, "PARTY BUNTING"), moment(3, 0.8, "REGENCY CAKESTAND", "JAM SET")],
            "list": shown,
            "missed": ["ALARM CLOCK"],
        }
        for name in ("17850", "13047")
    ]
    return {"rule": "Users are chosen by rule.", "term": "own", "forgotten": 0.1, "users": users}


def _terms() -> list[dict[str, Any]]:
    days = [0.25 * 1.12**n for n in range(70)]
    moments = [0.5 * n for n in range(1, 41)]
    return [
        {
            "name": "own",
            "kind": "own",
            "weight": 1.0,
            "settings": {},
            "forgetting": {
                "family": "power",
                "clock": "time",
                "params": {"tau": 7.0, "exponent": 0.5},
                "half_life": 21.0,
                "unit": "days",
                "curve": [[age, (1 + age / 7) ** -0.5] for age in days],
            },
        },
        {
            "name": "linear",
            "kind": "linear",
            "weight": 0.42,
            "settings": {"variant": "ease", "l2": 512.0},
            "forgetting": {
                "family": "exponential",
                "clock": "time",
                "params": {"half_life": 30.0},
                "half_life": 30.0,
                "unit": "days",
                "curve": [[age, 0.5 ** (age / 30)] for age in days],
            },
        },
        {
            "name": "mlp",
            "kind": "mlp",
            "weight": 0.11,
            "settings": {"width": 128, "dropout": 0.2},
            "forgetting": {
                "family": "geometric",
                "clock": "moments",
                "params": {"rate": 0.805},
                "half_life": 3.2,
                "unit": "moments",
                "curve": [[age, 0.805**age] for age in moments],
            },
        },
        {
            "name": "transformer",
            "kind": "transformer",
            "weight": 0.2,
            "settings": {"blocks": 1, "heads": 2},
            "forgetting": {
                "family": "hyperbolic",
                "clock": "time",
                "params": {},
                "half_life": None,
                "unit": "days",
                "curve": [],
                "parts": [
                    {
                        "name": f"head {head}",
                        "clock": "time",
                        "params": {"tau": tau},
                        "half_life": tau,
                        "unit": "days",
                        "curve": [[age, 1 / (1 + age / tau)] for age in days],
                    }
                    for head, tau in enumerate((0.5, 44.0), 1)
                ],
            },
            "factors": [
                {
                    "name": name,
                    "unit": unit,
                    "half_life": half,
                    "curve": [[0.5, 0.8], [1.0, 1.0], [8.0, 0.25]],
                }
                for name, unit, half in (
                    ("age", "days", 2.8),
                    ("interval", "intervals", None),
                    ("hours apart, same kind of day", "hours", None),
                    ("hours apart, other kind of day", "hours", None),
                )
            ],
        },
        {"name": "trend", "kind": "trend", "weight": 0.05, "settings": {}, "forgetting": None},
    ]


def _fading() -> dict[str, Any]:
    def gap(value: float, half: float) -> dict[str, float]:
        return {"difference": value, "low": value - half, "high": value + half}

    def family(name: str, half_life: float | None, behind: float, *, apart: bool) -> dict[str, Any]:
        known = half_life is not None
        return {
            "name": name,
            "family": name.partition(",")[0],
            "clock": "" if name == "none" else "time",
            "unit": "days",
            "params": {"half_life": half_life} if half_life else {},
            "half_life": half_life,
            "low": 0.77 * half_life if known and half_life else None,
            "high": 1.3 * half_life if known and half_life else None,
            "value": -6.8485 - behind,
            "behind": gap(behind, 0.001 if behind else 0.0),
            "gain": gap(0.0169 - behind, 0.004),
            "told_apart": apart,
        }

    def group(name: str, half_life: float) -> dict[str, Any]:
        ends = {"value": half_life, "low": 0.77 * half_life, "high": 1.3 * half_life}
        return {"name": name, "events": 4_210, "unit": "days", **ends}

    return {
        "choices": {"fitted": 8_000, "judged": 5_246, "users": 1_143},
        "families": [
            family("floor", 33.0, 0.0, apart=False),
            family("exponential", 31.0, 0.0008, apart=False),
            family("power, moments", 3.1, 0.0052, apart=True),
            family("none", None, 0.0169, apart=True),
        ],
        "chosen": "exponential",
        "pays": True,
        "half_life": {"value": 31.0, "low": 24.0, "high": 40.0, "unit": "days"},
        "shares": {"popular": 0.05, "own": 0.33, "related": 0.62},
        "curve": [[age, 0.5 ** (age / 31)] for age in (0.1, 1.0, 3.0, 10.0, 30.0, 100.0, 365.0)],
        "groups": {
            "category": [group("home", 61.0), group("toys", 30.0), group("christmas", 12.0)],
            "event_type": [group("bought", 44.0), group("viewed", 5.5)],
            "history": [group("up to 63 events", 24.0), group("more than 63 events", 35.0)],
        },
        "terms": [
            {
                "name": "own",
                "family": "exponential",
                "clock": "time",
                "unit": "days",
                "half_life": 31.0,
                "low": 24.0,
                "high": 40.0,
            },
        ],
        "sentence": "An interest is half gone after 31 days [24, 40]; forgetting is worth +0.0161 [+0.0121, +0.0201] "
        "nats an event.",
    }


def _training() -> list[dict[str, Any]]:
    loss = [3.1 + 4.2 * math.exp(-n / 4) for n in range(20)]
    validation = [0.262 - 0.12 * math.exp(-n / 3) - 0.0007 * max(0, n - 14) for n in range(20)]
    return [
        {"term": "mlp", "stage": "pretrain", "loss": loss, "validation": validation, "best_epoch": 15},
        {
            "term": "mlp",
            "stage": "finetune",
            "loss": [3.2, 3.11, 3.08, 3.07],
            "validation": [0.262, 0.2626, 0.2625, 0.262],
            "best_epoch": 2,
        },
    ]


def _evaluation() -> dict[str, Any]:
    return {
        "protocol": "successive",
        "stage": "test",
        "queries": 9_214,
        "users": 1_871,
        "catalogue": 3_665,
        "metrics": metrics(0.2940),
        "segments": {
            "recency": {
                "<=1d": segment(412, 0.361, 0.051),
                "<=7d": segment(1_920, 0.338, 0.030),
                "<=30d": segment(3_850, 0.301, 0.022),
                "<=90d": segment(2_212, 0.247, 0.026),
                ">90d": segment(820, 0.203, 0.037),
            },
            "history": {
                "<=5": segment(690, 0.142, 0.029),
                "<=20": segment(1_544, 0.231, 0.027),
                "<=50": segment(2_310, 0.279, 0.024),
                ">50": segment(4_670, 0.334, 0.021),
            },
            "novelty": {"repeats": segment(7_010, 0.352, 0.020), "new": segment(8_846, 0.061, 0.007)},
        },
        "audit": {
            "training_events": 358_095,
            "queries": 9_214,
            "future_of_first": 0.0,
            "future_of_average": 0.0,
            "unknown_items": 0.0121,
            "duplicates": 0.013,
            "straddling": 0,
            "leaks": False,
            "verdict": "No leak: all 358,095 training events lie strictly before every query.",
        },
    }


def _ab() -> dict[str, Any]:
    return {
        "mean": [0.2811, 0.2963],
        "absolute": {"value": 0.0152, "low": -0.0031, "high": 0.0334},
        "relative": {"value": 0.054, "low": -0.011, "high": 0.122},
        "p": 0.104,
        "ratio": {"users": [948, 923], "expected": [935.5, 935.5], "p": 0.563, "mismatch": False},
        "needed": 2_411,
        "detectable": 0.0259,
        "level": 0.95,
        "power": 0.8,
        "cuped": {
            "absolute": {"value": 0.0148, "low": 0.0003, "high": 0.0293},
            "p": 0.045,
            "reduction": 0.371,
        },
        "ratio_sequential": {"p": 1.0, "mismatch": False, "users": None},
        "always": {
            "absolute": {"value": 0.0152, "low": -0.0133, "high": 0.0437},
            "p": 0.82,
            "day": None,
            "days": 38,
        },
        "guardrails": [
            {
                "metric": "recall@10",
                "margin": 0.03,
                "difference": 0.004,
                "low": -0.012,
                "p": 0.001,
                "held": True,
            }
        ],
    }
